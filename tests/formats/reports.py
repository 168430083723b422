"""Reports that the format tests share; their texts hold what a format could trip over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from deployguard.formats import (
    BackupEntry,
    CheckReport,
    DeployView,
    DiskUse,
    Fate,
    PruneReport,
    Standing,
    StatusReport,
    StepView,
)
from deployguard.model import (
    Answers,
    ApprovalMode,
    BackupMode,
    BackupRecord,
    Body,
    Drilled,
    Evidence,
    Finding,
    Lock,
    Pin,
    Plan,
    Requirement,
    Revision,
    Risk,
    Script,
    Statement,
    Undo,
    Verdict,
    Verification,
    Way,
)

PATH = "migrations/versions/b018_drop_guest_fax.py"
AT = datetime(2026, 2, 18, 12, 30, 5, tzinfo=UTC)
DIGEST = "3f" * 32


def finding(risk: Risk = Risk.CRITICAL, rule: str = "DG102", **changes: object) -> Finding:
    made = Finding(
        rule,
        risk,
        "b018",
        PATH,
        16,
        "Drops the column guests.fax.",
        "Its values are gone when the migration commits, and the old application may still read it.",
        "Stop using the column and deploy that; then:\n    ALTER TABLE guests DROP COLUMN fax",
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests pass fields of Finding


def verdict(risk: Risk = Risk.CRITICAL, *findings: Finding, message: str = "Drop fax") -> Verdict:
    revision = Revision(
        "b018",
        ("b017",),
        PATH,
        message,
        "ab" * 32,
        Script(Body.PRESENT, 14, (Statement("ALTER TABLE guests DROP COLUMN fax", 16, ()),)),
        Script(Body.PRESENT, 20),
        Evidence.RECORDED,
    )
    return Verdict(
        revision,
        risk,
        findings,
        (Lock("guests", "ACCESS EXCLUSIVE", "reads and writes"),),
        Undo(Way.LOSSY, "the downgrade adds an empty column"),
        expand_only=False,
    )


def report(*verdicts: Verdict, fail_on: Risk = Risk.HIGH, show_sql: bool = False) -> CheckReport:
    risk = max((v.risk for v in verdicts), default=None)
    required = Requirement(ApprovalMode.APPROVAL, BackupMode.REQUIRED)
    plan = Plan(
        environment="production",
        target="postgresql://app:***@db:5432/bookings",
        dialect="postgresql",
        current=("b017",) if verdicts else ("b018",),
        heads=("b018",),
        verdicts=verdicts,
        risk=risk,
        requirement=required
        if risk and risk >= Risk.HIGH
        else Requirement(ApprovalMode.AUTOMATIC, BackupMode.OPTIONAL),
        answers=Answers(
            "Yes: guests.fax.",
            "No.",
            "Briefly.",
            "Not without loss: the downgrade loses guests.fax.",
        ),
        digest=DIGEST,
        notes=("Table sizes are unknown: no database was asked.",),
    )
    return CheckReport(plan, fail_on, ("deployguard deploy --env production",), show_sql)


CRITICAL = report(verdict(Risk.CRITICAL, finding()))
NOTHING = report()

BACKUP = BackupEntry(
    BackupRecord(
        id="bookings-production-20260218-123005",
        store="postgresql",
        environment="production",
        database="bookings",
        created=AT,
        folder="bookings-production-20260218-123005",
        files={"bookings.dump": (1536, "cd" * 32)},
        revision=("b017",),
        counts={"guests": 1200, "bookings": 53},
        seconds=2.25,
        reason="pre-deploy",
        deploy="20260218-123001-ab12",
        tools={"pg_dump": "15.6"},
    ),
    Verification(ok=True, evidence=("sha256 of 1 file", "read to the end"), at=AT),
    age=timedelta(hours=3),
)
DRILLED = replace(
    BACKUP,
    drill=Drilled(ok=True, at=AT, seconds=75.0, evidence=("2 tables",)),
    pin=Pin("audit", "ada", AT),
)
PRUNE = PruneReport(
    "production",
    (
        Fate(DRILLED, keep=True, reasons=("the newest verified backup", "pinned: audit")),
        Fate(BACKUP, keep=False, reasons=("outside of what is kept of scheduled: daily 7",)),
    ),
    next_commands=("deployguard backup prune --env production --yes",),
)
DISK = DiskUse("production", "/srv/backups", (("scheduled", 2, 3072),), (BACKUP,), 512, 5000, 9000)
STANDING = Standing(
    "production",
    DRILLED,
    timedelta(hours=26),
    AT + timedelta(hours=26),
    problems=("The newest backup is damaged: it is cut off.",),
    notes=("The newest backup was not read back yet.",),
    counts=(("verified", 2), ("damaged", 1)),
    next_commands=("deployguard backup create",),
)
DEPLOY = DeployView(
    id="20260218-123001-ab12",
    kind="deploy",
    environment="production",
    state="done",
    started=AT,
    ended=AT,
    risk="critical",
    digest=DIGEST,
    from_revisions=("b017",),
    to_revisions=("b018",),
    by="ci",
    backup=BACKUP.record.id,
    approved_by="ada",
    steps=(
        StepView("backup", "done", AT, "1.5 kB"),
        StepView("migrate", "failed", AT, "exit code 1 | see the log"),
    ),
)
STATUS = StatusReport(
    environment="production",
    target="postgresql://app:***@db:5432/bookings",
    current=("b017",),
    heads=("b018",),
    pending=("b018",),
    last=DEPLOY,
    unfinished=replace(DEPLOY, state="running", ended=None),
    lock="ada, pid 4711, since 12:30",
    backup=BACKUP,
    release=(("web", "sha256:1234"),),
    notes=("A note.",),
    next_commands=("deployguard resume --env production",),
)


def renamed(one: Verdict, name: str) -> Verdict:
    """The same verdict on another revision, with findings of its own."""
    path = f"migrations/versions/{name}.py"
    return replace(
        one,
        revision=replace(one.revision, id=name, path=path),
        findings=tuple(replace(f, revision=name, path=path) for f in one.findings),
    )


QUIET = replace(verdict(Risk.LOW, message="Add a table"), undo=Undo(Way.LOSSLESS, ""), locks=())


def many(count: int) -> CheckReport:
    """A long history: every tenth revision drops a column, every seventh builds an index, the others are quiet."""
    verdicts = []
    for number in range(count):
        if number % 10 == 9:
            one = verdict(Risk.CRITICAL, finding(message=f"Drops the column guests.c{number}."))
        elif number % 7 == 6:
            one = verdict(Risk.MEDIUM, finding(Risk.MEDIUM, "DG201", message="Builds an index."))
        else:
            one = QUIET
        verdicts.append(renamed(one, f"b{number:03}"))
    return report(*verdicts)


ACCEPTED = report(
    verdict(
        Risk.CRITICAL,
        finding(accepted="nobody has a fax", accepted_at=f"{PATH}:15"),
        finding(Risk.HIGH, "DG301", line=17, accepted="baseline"),
        finding(Risk.MEDIUM, "DG201", line=18),
    )
)
