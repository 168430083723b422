"""The sentences and numbers that every format words alike."""

import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from deployguard.formats.report import CheckReport
from deployguard.model import (
    Answers,
    ApprovalMode,
    BackupMode,
    Evidence,
    Finding,
    Lock,
    Plan,
    Risk,
    Undo,
    Verdict,
    Way,
)

QUESTIONS = (
    ("Does it drop anything?", "drops"),
    ("Does it touch data in bulk?", "bulk_data"),
    ("Will it block, and how long?", "blocks"),
    ("Is there a way back?", "way_back"),
)

_TWO_STOPS = re.compile(r"(?<!\.)\.\.(?!\.)")
_OPENING = re.compile(r"^(?:The|What|It|Its|An?|Nothing|No|This|There|Only) ")
_APPROVAL = {
    ApprovalMode.AUTOMATIC: "runs by itself",
    ApprovalMode.REVIEW: "needs a review (deploy --manual-migrate shows the plan and asks)",
    ApprovalMode.APPROVAL: "needs an approval of this plan's digest",
}
_BACKUP = {
    BackupMode.OPTIONAL: "a backup is optional",
    BackupMode.RECOMMENDED: "a backup is recommended",
    BackupMode.REQUIRED: "a verified backup is required",
}
_WAY = {
    Way.LOSSLESS: "downgrade, nothing is lost",
    Way.LOSSY: "downgrade, but it loses data",
    Way.RESTORE: "only by restoring a backup",
    Way.NOTHING: "nothing to undo",
    Way.UNKNOWN: "unknown",
}
_EVIDENCE = {
    Evidence.SOURCE: "read from the source text only",
    Evidence.RECORDED_WITHOUT_ENV: "recorded, but without the project's own env.py",
    Evidence.RECORDED: "recorded through the project's own env.py",
    Evidence.REHEARSED: "rehearsed on a scratch database",
}


def headline(plan: Plan) -> str:
    """How much is pending, and from where to where."""
    count = len(plan.verdicts)
    if not count and plan.nothing:
        return plan.nothing
    if not count:
        return f"Nothing is pending; the database is at {revisions(plan.current)}."
    noun = "revision" if count == 1 else "revisions"
    return f"{count} {noun} pending, {revisions(plan.current)} → {revisions(plan.heads)}"


def judged(plan: Plan) -> str:
    """The database, and the dialect that was judged where its URL does not begin with it."""
    if plan.target.startswith(plan.dialect):
        return plan.target
    if plan.target.endswith(")"):
        return f"{plan.target[:-1]}, {plan.dialect})"
    return f"{plan.target} ({plan.dialect})"


def level(plan: Plan) -> str:
    """The level that ``check`` goes by, and the other one where something is accepted."""
    if plan.risk is None or plan.open_risk is None:
        return "nothing pending"
    accepted = f" ({plan.risk} with what is accepted)" if plan.risk != plan.open_risk else ""
    return f"{plan.open_risk}{accepted}"


def verdict_level(verdict: Verdict) -> str:
    """The same of one revision, short."""
    accepted = f" ({verdict.risk} accepted)" if verdict.risk != verdict.open_risk else ""
    return f"{verdict.open_risk}{accepted}"


def counts(verdicts: Sequence[Verdict]) -> str:
    """How many revisions are at which level, worst first, and how many findings are accepted."""
    levels = Counter(verdict.open_risk for verdict in verdicts)
    parts = [f"{levels[risk]} {risk}" for risk in sorted(Risk, reverse=True) if levels[risk]]
    accepted = sum(1 for verdict in verdicts for one in verdict.findings if one.accepted)
    if accepted:
        parts.append(f"{accepted} {'finding' if accepted == 1 else 'findings'} accepted")
    return ", ".join(parts)


def accepted(finding: Finding) -> str:
    """Why a finding does not count any more, and where that was said."""
    if not finding.accepted_at:
        return (
            "known from before (baseline)" if finding.accepted == "baseline" else finding.accepted
        )
    return f"{finding.accepted} ({finding.accepted_at})"


def quiet(verdict: Verdict) -> bool:
    """Whether nothing was found in a revision, and undoing it loses nothing."""
    return not verdict.findings and verdict.undo.way in (Way.LOSSLESS, Way.NOTHING)


def sentence(text: str) -> str:
    """``text`` with one full stop at its end, whatever stands there already: often an error's own words."""
    trimmed = once(text.rstrip())
    return trimmed if not trimmed or trimmed.endswith((".", "!", "?", "…", ":")) else f"{trimmed}."


def once(text: str) -> str:
    """``text`` with one full stop where two meet; three are meant."""
    return _TWO_STOPS.sub(".", text)


def question(answers: Answers, key: str) -> str:
    """The answer to one of ``QUESTIONS``."""
    return once(str(getattr(answers, key)))


def revisions(ids: tuple[str, ...] | None) -> str:
    """Revision ids as people write them; an empty database has none."""
    if ids is None:
        return "unknown"
    return ", ".join(ids) or "base"


def demand(report: CheckReport) -> str:
    """What the policy demands of this plan."""
    plan = report.plan
    if plan.risk is None:
        return "Nothing is demanded: there is nothing to migrate."
    need = plan.requirement
    level = str(plan.risk).capitalize()
    if plan.risk != plan.open_risk:
        level += " (what is accepted counts for deploy)"
    return f"{level} {_APPROVAL[need.approval]}; {_BACKUP[need.backup]}."


def next_commands(plan: Plan, *, live: bool) -> tuple[str, ...]:
    """What makes sense after a check. ``live`` is whether the database was asked: only then the digest counts."""
    worst = max(
        (f for v in plan.verdicts for f in v.findings),
        key=lambda f: (not f.accepted, f.risk),
        default=None,
    )
    learn = (f"deployguard explain {worst.rule}",) if worst else ()
    if not live:
        return learn
    deploy = f"deployguard deploy --env {plan.environment}"
    if plan.risk is None:
        return (deploy,)
    if plan.requirement.approval is ApprovalMode.AUTOMATIC:
        return (*learn, f"{deploy} --auto-migrate")
    if plan.requirement.approval is ApprovalMode.REVIEW:
        return (*learn, f"{deploy} --manual-migrate")
    return (
        *learn,
        f"{deploy} --manual-migrate",
        f"{deploy} --auto-migrate --approve {plan.digest}",
    )


def evidence(report: CheckReport) -> str:
    """What the weakest verdict rests on."""
    return _EVIDENCE[report.evidence] if report.evidence else "nothing had to be read"


def lock(item: Lock) -> str:
    """One lock, its effect and how much work is done under it."""
    work = f", {item.work}" if item.work else ", brief"
    basis = f" ({item.basis})" if item.basis else ""
    return f"{item.mode} on {item.relation}: blocks {item.blocks}{work}{basis}"


def undo(item: Undo) -> str:
    """Whether and how a revision can be undone, and why."""
    reason = sentence(item.reason) if item.reason.strip() else ""
    reason = _OPENING.sub(lambda match: match[0].lower(), reason)  # it goes on behind a colon
    return f"{_WAY[item.way]}: {reason}" if reason else _WAY[item.way]


def size(count: int) -> str:
    """Bytes as people read them: 1536 is "1.5 kB", as disks and progress count them."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def seconds(duration: float) -> str:
    """A duration as people read it: 75 is "1 min 15 s"."""
    if duration < 10:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def age(passed: timedelta | None) -> str:
    """How old something is, in two units at most: "40 min", "5 h", "12 d", "2 y 3 mo"."""
    if passed is None:
        return "-"
    if passed < timedelta(0):
        return "in the future"
    minutes = int(passed.total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    if passed.days < 100:
        return f"{passed.days} d"
    years, rest = divmod(passed.days, 365)
    months = rest * 12 // 365
    parts = (f"{years} y" if years else "", f"{months} mo" if months else "")
    return " ".join(part for part in parts if part)


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")
