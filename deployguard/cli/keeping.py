"""What the commands that keep backups ask of the rooms below."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployguard.cli.session import entries, entry, journal
from deployguard.cli.terminal import people
from deployguard.cli.who import operator
from deployguard.errors import UsageError
from deployguard.formats import BackupEntry, DiskUse, PruneReport, Standing
from deployguard.model import BackupRecord, Pin

if TYPE_CHECKING:
    from deployguard.cli.app import App
    from deployguard.formats import Fate


def pruned(
    context: click.Context, env: str | None, wanted: tuple[str, ...], by: str | None, *, yes: bool
) -> PruneReport:
    """What retention makes of the backups, or of the wanted ones; with ``yes`` what may go is gone."""
    from deployguard.backups import keeping

    app: App = context.obj
    config, environment = app.config(), app.environment(env)
    named = [entry(context, env, name).record.id for name in wanted]
    now = datetime.now(UTC)
    with journal(context, env) as kept:
        seen = keeping.look(config, environment, kept, now)
        going: tuple[Fate, ...] = keeping.chosen(seen, named) if named else ()
        if yes:
            who = operator(by, os.environ)
            going = keeping.prune(config, environment, kept, by=who, now=now, named=named)
    _tell(seen.problems)
    return _report(environment.name, seen.fates, going, named, done=yes)


def pruned_offsite(
    context: click.Context, env: str | None, wanted: tuple[str, ...], by: str | None, *, yes: bool
) -> PruneReport:
    """The same of the copies in the off-site place."""
    from deployguard.backups import keeping, offsite_keeping
    from deployguard.cli.offsite import place

    app: App = context.obj
    config, environment = app.config(), app.environment(env)
    now = datetime.now(UTC)
    with place(context, env) as there, journal(context, env) as kept:
        named = [there.choose(name).id for name in wanted]
        seen = offsite_keeping.look(there, environment, kept, now)
        going: tuple[Fate, ...] = keeping.chosen(seen, named) if named else ()
        stuck: tuple[str, ...] = ()
        if yes:
            who = operator(by, os.environ)
            going, stuck = offsite_keeping.prune(
                there, config, environment, kept, by=who, now=now, named=named
            )
    _tell((*seen.problems, *stuck))
    return _report(environment.name, seen.fates, going, named, done=yes, offsite=True)


def _report(
    environment: str,
    fates: "tuple[Fate, ...]",
    going: "tuple[Fate, ...]",
    named: list[str],
    *,
    done: bool,
    offsite: bool = False,
) -> PruneReport:
    """What was found, with what really went; of named ones only those."""
    gone = {fate.entry.record.id: fate for fate in going}
    shown = [fate for fate in fates if not named or fate.entry.record.id in named]
    # what was to go and did not is still there
    left = [replace(fate, keep=True) if done else fate for fate in shown]
    merged = tuple(gone.get(fate.entry.record.id, fate) for fate in left)
    flags = "--offsite " if offsite else ""
    again = " ".join(("deployguard backup prune", *named, f"{flags}--env {environment} --yes"))
    would = any(not fate.keep for fate in merged) and not done
    return PruneReport(environment, merged, done, (again,) if would else ())


def pin(
    context: click.Context, env: str | None, wanted: str, reason: str, by: str | None
) -> BackupEntry:
    """Pin a backup. Raises UsageError."""
    from deployguard.backups import beside

    if not reason.strip():
        raise UsageError("A pin needs a reason: who finds it in a year must know whether it holds.")
    record = entry(context, env, wanted).record
    pinned = Pin(reason.strip(), operator(by, os.environ), datetime.now(UTC))
    beside.pin(_folder(context, env), record, pinned)
    return entry(context, env, record.id)


def unpin(context: click.Context, env: str | None, wanted: str) -> BackupEntry:
    """Unpin a backup. Raises UsageError when it is not pinned."""
    from deployguard.backups import beside

    record = entry(context, env, wanted).record
    if not beside.unpin(_folder(context, env), record):
        raise UsageError(f"The backup {record.id} is not pinned.")
    return entry(context, env, record.id)


def to_restore(context: click.Context, env: str | None, wanted: str, at: str) -> BackupRecord:
    """The backup that a person names, or the newest one of a time or before. Raises UsageError."""
    from deployguard.backups import catalogue, keeping

    if bool(wanted) == bool(at):
        raise UsageError("Name a BACKUP, or a time with --at: one of both.")
    if wanted:
        return entry(context, env, wanted).record
    environment = context.obj.environment(env)
    return catalogue.at(
        _folder(context, env), _moment(at), keeping.ours(context.obj.config(), environment)
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"--at is {text!r}; write a time as 2026-02-18T10:30 (UTC), or with its zone: 2026-02-18T10:30+01:00."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def standing(context: click.Context, env: str | None) -> Standing:
    """Where the backups of an environment stand."""
    from deployguard.backups.standing import standing as judged

    found, problems = entries(context, env)
    environment = context.obj.environment(env)
    return judged(environment.name, found, environment.retention, datetime.now(UTC), problems)


def disk_use(context: click.Context, env: str | None) -> DiskUse:
    """What the backups of an environment take."""
    from deployguard.backups import keeping

    found, problems = entries(context, env)
    _tell(problems)
    return keeping.disk_use(_folder(context, env), context.obj.environment(env).name, found)


def _folder(context: click.Context, env: str | None) -> Path:
    from deployguard.backups import keeping

    return keeping.folder_of(context.obj.config(), context.obj.environment(env))


def _tell(problems: tuple[str, ...]) -> None:
    for problem in problems:
        people().write(problem)
