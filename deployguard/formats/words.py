"""The sentences and numbers that every format words alike."""

from datetime import datetime

from deployguard.formats.report import CheckReport
from deployguard.model import ApprovalMode, BackupMode, Evidence, Lock, Plan, Undo, Way

QUESTIONS = (
    ("Does it drop anything?", "drops"),
    ("Does it touch data in bulk?", "bulk_data"),
    ("How long will it block?", "blocks"),
    ("Is there a way back?", "way_back"),
)

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
    if not count:
        return f"Nothing is pending; the database is at {revisions(plan.current)}."
    noun = "revision" if count == 1 else "revisions"
    return f"{count} {noun} pending, {revisions(plan.current)} → {revisions(plan.heads)}"


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
    return f"{str(plan.risk).capitalize()} {_APPROVAL[need.approval]}; {_BACKUP[need.backup]}."


def next_commands(plan: Plan, *, live: bool) -> tuple[str, ...]:
    """What makes sense after a check. ``live`` is whether the database was asked: only then the digest counts."""
    worst = max((f for v in plan.verdicts for f in v.findings), key=lambda f: f.risk, default=None)
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
    return f"{item.mode} on {item.relation}: blocks {item.blocks}{work}"


def undo(item: Undo) -> str:
    """Whether and how a revision can be undone, and why."""
    return f"{_WAY[item.way]}: {item.reason}" if item.reason else _WAY[item.way]


def size(count: int) -> str:
    """Bytes as people read them: 1536 is "1.5 KB"."""
    amount = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1024 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError  # the loop returns at its last unit


def seconds(duration: float) -> str:
    """A duration as people read it: 75 is "1 min 15 s"."""
    if duration < 10:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def moment(at: datetime) -> str:
    """A time in UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S")
