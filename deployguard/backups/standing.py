"""Is there a verified backup that is young enough? What a monitor asks. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from deployguard.config.retention import RetentionConfig
from deployguard.formats import BackupEntry, Standing, words


def standing(
    environment: str,
    entries: Sequence[BackupEntry],
    policy: RetentionConfig,
    now: datetime,
    unreadable: Sequence[str] = (),
) -> Standing:
    """Where the backups of an environment stand. ``entries`` are newest first; ``unreadable`` are their manifests."""
    entries = [one for one in entries if one.record.scope.whole]
    past = [one for one in entries if one.record.created <= now]
    newest = next((one for one in past if one.verified), None)
    allowed = timedelta(hours=policy.hours_allowed)
    problems = [*_newest(environment, entries, newest, now, allowed), *unreadable]
    if past and _damaged(past[0]):
        problems.append(f"The newest backup, {past[0].record.id}, is damaged: {_why(past[0])}.")
    if newest is not None and newest.drill is not None and not newest.drill.ok:
        said = (newest.drill.evidence or ("no reason is given",))[0]
        problems.append(f"The restore drill of {newest.record.id} failed: {said.rstrip('.')}.")
    notes = [
        f"The time of {one.record.id} lies in the future, so it does not count: look at the clocks."
        for one in entries
        if one.record.created > now
    ]
    if past and past[0].verification is None:
        notes.append(f"The newest backup, {past[0].record.id}, was not read back yet.")
    counts = (
        ("verified", sum(one.verified for one in entries)),
        ("not read back", sum(one.verification is None for one in entries)),
        ("damaged", sum(_damaged(one) for one in entries)),
    )
    return Standing(
        environment=environment,
        newest=newest,
        allowed=allowed,
        due=newest.record.created + allowed if newest else None,
        problems=tuple(problems),
        notes=tuple(notes),
        counts=tuple(pair for pair in counts if pair[1]),
        next_commands=_next(environment, past) if problems else (),
    )


def _newest(
    environment: str,
    entries: Sequence[BackupEntry],
    newest: BackupEntry | None,
    now: datetime,
    allowed: timedelta,
) -> list[str]:
    if not entries:
        return [f"There is no backup of {environment} at all."]
    if newest is None:
        return ["No backup counts: none of them is verified and of the past."]
    age = now - newest.record.created
    if age <= allowed:
        return []
    said = f"{newest.record.id}, is {words.age(age)} old; {words.age(allowed)} are allowed"
    return [f"The newest verified backup, {said}: at least one that was due is missing."]


def _damaged(one: BackupEntry) -> bool:
    return one.verification is not None and not one.verification.ok


def _why(one: BackupEntry) -> str:
    evidence = one.verification.evidence if one.verification else ()
    return (evidence or ("no reason is kept",))[0].rstrip(".")


def _next(environment: str, past: Sequence[BackupEntry]) -> tuple[str, ...]:
    look = f"deployguard backup list --env {environment}"
    if past and past[0].verification is None:
        return (look, f"deployguard backup verify {past[0].record.id} --env {environment}")
    return (look, f"deployguard backup create --class scheduled --env {environment}")
