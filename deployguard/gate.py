"""Plan + policy + approval → may it run?; and the digest that ties an approval to exactly one plan. Pure."""

import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from deployguard.config import Policy
from deployguard.model import (
    Allowed,
    Answers,
    Approval,
    ApprovalMode,
    BackupMode,
    Decision,
    Denied,
    Json,
    Plan,
    Script,
    Verdict,
)

DIGEST_FORMAT = 3  # a part of every digest: a change of what is covered voids old approvals
SHORTEST_DIGEST = (
    12  # hexadecimal digits; it is compared with one plan, so it only has to be hard to mistype
)
_BATCH = "_alembic_tmp_"  # how Alembic names the copy that a batch operation makes on SQLite
_HEX = re.compile(r"[0-9a-f]{12,64}")
_SKEW = timedelta(minutes=5)  # between the clock of who approved and ours


class Mode(StrEnum):
    """How ``deploy`` was asked to treat the migration."""

    AUTO = "auto"  # --auto-migrate: without asking where the policy allows it
    MANUAL = "manual"  # --manual-migrate: always ask
    SKIP = "skip"  # --skip-migrate: the application only


def make_plan(
    *,
    environment: str,
    target: str,
    identity: str,
    dialect: str,
    current: tuple[str, ...],
    heads: tuple[str, ...],
    verdicts: tuple[Verdict, ...],
    answers: Answers,
    policy: Policy,
    notes: tuple[str, ...] = (),
    elsewhere: str = "",
    commit: str = "",
) -> Plan:
    """Put the verdicts together with what the policy demands of the worst of them.

    ``target`` is the database for people, without password; ``identity`` is ``Database.identity()``, or "" when no
    database was asked, and only goes into the digest.
    """
    risk = max((verdict.risk for verdict in verdicts), default=None)
    plan = Plan(
        environment=environment,
        target=target,
        dialect=dialect,
        current=current,
        heads=heads,
        verdicts=verdicts,
        risk=risk,
        requirement=policy.requirement(risk),
        answers=answers,
        digest="",
        notes=notes,
        elsewhere=elsewhere,
        commit=commit,
    )
    return dataclasses.replace(plan, digest=_digest(plan, identity, policy))


def decide(
    plan: Plan, policy: Policy, approval: Approval | None, now: datetime, mode: Mode
) -> Decision:
    """Whether ``plan`` may run now. ``approval`` is the one that was found or given, if any."""
    if mode is Mode.SKIP:
        return Allowed("the migration is skipped; only the application is updated")
    if plan.risk is None:
        return Allowed("nothing is pending")
    demanded = plan.requirement.approval
    if mode is Mode.AUTO and demanded is ApprovalMode.AUTOMATIC:
        return Allowed(f"{plan.risk} risk goes through by itself")
    if mode is Mode.AUTO and demanded is ApprovalMode.REVIEW:
        return Allowed(
            f"{plan.risk} risk goes through without asking; it should have been reviewed in the pull request"
        )
    why = (
        f"{plan.risk} risk needs an approval of exactly this plan{_although(plan)}"
        if demanded is ApprovalMode.APPROVAL
        else "--manual-migrate asks before every migration"
    )
    wrong = f"{why}; none was given" if approval is None else _wrong(plan, policy, approval, now)
    if wrong or approval is None:
        return Denied((wrong,), needs_approval=True)
    return Allowed(
        f"approved by {approval.by}" + (f": {approval.reason}" if approval.reason else "")
    )


def is_approved_by(digest: str, plan: Plan) -> bool:
    """Whether a digest, perhaps abbreviated to twelve digits or more, is the plan's."""
    given = digest.strip().lower().removeprefix("sha256:")
    return _HEX.fullmatch(given) is not None and plan.digest.startswith(given)


def needs_backup(plan: Plan, *, asked: bool) -> bool:
    """Whether a verified backup must exist before this plan may change anything."""
    pending = plan.risk is not None
    return asked or (pending and plan.requirement.backup is BackupMode.REQUIRED)


def expiry(approval: Approval, policy: Policy) -> datetime:
    """Until when an approval counts."""
    return approval.expires or approval.at + timedelta(hours=policy.approval_hours)


def document(plan: Plan) -> dict[str, Json]:
    """The whole plan as a JSON document, for the journal."""
    value = jsonable(plan)
    return value if isinstance(value, dict) else {}


def jsonable(value: object) -> Json:
    """Any value made of our nouns as JSON: an operation also says its type, a level its name."""
    if isinstance(value, Enum):
        return str(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value)}
        named = type(value).__module__.endswith(".operations")
        return {"operation": type(value).__name__, **fields} if named else fields
    if isinstance(value, Iterable):
        return [jsonable(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _although(plan: Plan) -> str:
    return "" if plan.risk == plan.open_risk else ", whatever of it is accepted"


def _wrong(plan: Plan, policy: Policy, approval: Approval, now: datetime) -> str:
    """Why an approval does not count; "" when it does."""
    if not is_approved_by(approval.plan_digest, plan):
        return (
            f"the approval is for plan {approval.plan_digest[:SHORTEST_DIGEST]}, "
            f"but the plan is now {plan.digest[:SHORTEST_DIGEST]}"
        )
    if approval.at > now + _SKEW:
        return f"the approval is dated in the future ({approval.at.isoformat(timespec='minutes')})"
    end = expiry(approval, policy)
    if end <= now:
        return f"the approval expired at {end.isoformat(timespec='minutes')}"
    return ""


def _digest(plan: Plan, identity: str, policy: Policy) -> str:
    """sha256 over canonical JSON of what an approver approves.

    Sentences and row estimates are left out: they may differ from one minute to the next without any difference in
    what will run.
    """
    covered: dict[str, Json] = {
        "format": DIGEST_FORMAT,
        "environment": plan.environment,
        "target": plan.target,
        "identity": identity,
        "dialect": plan.dialect,
        "current": jsonable(plan.current),
        "heads": jsonable(plan.heads),
        "policy": {str(risk): jsonable(demand) for risk, demand in policy.ladder.items()},
        "verdicts": [_covered(verdict) for verdict in plan.verdicts],
    }
    if plan.commit:  # the application that is built from it is approved as well
        covered["commit"] = plan.commit
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _covered(verdict: Verdict) -> Json:
    revision = verdict.revision
    return {
        "revision": revision.id,
        "parents": jsonable(revision.parents),
        "file": revision.digest,
        "evidence": str(revision.evidence),
        "risk": str(verdict.risk),
        "findings": [[f.rule, str(f.risk), f.line, f.accepted] for f in verdict.findings],
        "undo": str(verdict.undo.way),
        "up": _script(revision.up),
        "down": _script(revision.down),
    }


def _script(script: Script) -> Json:
    # A revision that reads the clock, the environment or random numbers writes other SQL each time it is read;
    # its file's digest stands for it, or no approval could ever match.
    return {
        "body": str(script.body),
        "opaque": jsonable(sorted(f"{o.code}:{o.line}" for o in script.opacities)),
        "sql": [] if script.unsteady else list(_sql(script)),
    }


def _sql(script: Script) -> Iterator[str]:
    """The statements' texts. Those of one batch operation are sorted, and the clauses of its copy as well.

    Alembic's batch mode walks through sets of constraints and indexes, so the order differs from process to process.
    """
    for _, together in itertools.groupby(script.statements, key=lambda statement: statement.line):
        texts = [statement.sql for statement in together]
        if any(_BATCH in text for text in texts):
            clauses = (
                "\n".join(sorted(line.strip(" \t,") for line in t.splitlines())) for t in texts
            )
            texts = sorted(clauses)
        yield from texts
