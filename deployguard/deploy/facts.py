"""What the later steps must know of the plan, as evidence that outlives this process."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployguard import gate
from deployguard.deploy import atomic, limits
from deployguard.deploy.run import strings, text
from deployguard.deploy.step import Evidence
from deployguard.model import BackupMode, Json, Plan, Verdict, Way
from deployguard.operations import AddColumn

_NOT_TOLD = "the plan does not say whether it is one transaction"


@dataclass(frozen=True, slots=True)
class Added:
    """A column that an upgrade added and its downgrade drops. ``default`` is its SQL; "" is none."""

    table: str
    column: str
    default: str


@dataclass(frozen=True, slots=True)
class PlannedRevision:
    """What a way back must know of one revision of the plan."""

    id: str
    parents: tuple[str, ...]  # dependencies included
    expand_only: bool
    way: Way
    reason: str
    created: tuple[str, ...]  # tables of the upgrade that the downgrade drops
    added: tuple[Added, ...]  # columns likewise
    non_atomic: str = ""  # why a part of the upgrade may stay when it fails; "" when it can't
    unseen: bool = False  # that part may be rows, which no look at the schema shows
    down_non_atomic: str = ""  # the same of the downgrade


def plan_evidence(plan: Plan, *, needs_backup: bool) -> Evidence:
    """The plan step's evidence."""
    return {
        "digest": plan.digest,
        "risk": str(plan.risk) if plan.risk else "none",
        "current": list(plan.current),
        "heads": list(plan.heads),
        "needs_backup": needs_backup,
        "backup": str(plan.requirement.backup if plan.risk else BackupMode.OPTIONAL),
        "unlimited_up": _may_wait(plan),
        "mixed_up": limits.builds_concurrently(plan) and not _may_wait(plan),
        "unlimited_down": _may_wait_down(plan),
        "concurrent_up": limits.builds_concurrently(plan),
        "unhurried": limits.unhurried(plan),
        "longest": round(limits.longest(plan), 1),
        "revisions": [_revision(verdict, plan.dialect) for verdict in plan.verdicts],
    }


def planned(evidence: Mapping[str, Json]) -> tuple[PlannedRevision, ...]:
    """The plan's revisions in order, read back from the plan step's evidence."""
    listed = evidence.get("revisions")
    return (
        tuple(_read(item) for item in listed or () if isinstance(item, dict))
        if isinstance(listed, list)
        else ()
    )


def applied(
    revisions: Sequence[PlannedRevision], before: Sequence[str], now: Sequence[str]
) -> tuple[PlannedRevision, ...] | None:
    """Which planned revisions the database has, given what its version table holds; None when it is elsewhere."""
    by_id = {revision.id: revision for revision in revisions}
    reached: set[str] = set()
    waiting = list(now)
    while waiting:
        name = waiting.pop()
        if name in by_id and name not in reached:
            reached.add(name)
            waiting.extend(by_id[name].parents)
        elif name not in by_id and name in now and name not in before:
            return None
    stepped_over = {parent for name in reached for parent in by_id[name].parents}
    # A former revision may only be gone because one that followed it took its row.
    if any(name not in now and name not in stepped_over for name in before):
        return None
    return tuple(revision for revision in revisions if revision.id in reached)


def straight(before: Sequence[str], done: Sequence[PlannedRevision]) -> bool:
    """Whether a downgrade to where the database was leads exactly there: it goes to one revision, along one line."""
    if len(before) > 1:
        return False
    reached = set(before)
    for revision in done:
        if before and not reached.intersection(revision.parents):
            return False  # another branch, which a downgrade to `before` leaves where it is
        reached.add(revision.id)
    return True


def may_stay(
    revisions: Sequence[PlannedRevision], done: Sequence[PlannedRevision]
) -> tuple[str, bool]:
    """Why a part of a revision that is not in may have stayed ("" when it can't), and whether that may be rows.

    One that waits for another which is not in either cannot have begun; but what a transaction does not hold
    together may be of any of them, for some projects run all revisions in one.
    """
    there = {revision.id for revision in done}
    rest = [revision for revision in revisions if revision.id not in there]
    waiting = {revision.id for revision in rest}
    for revision in rest:
        began = not waiting.intersection(revision.parents)
        if revision.non_atomic and (revision.unseen or began):
            reason = f"{revision.id}: {revision.non_atomic}"
            return reason, any(one.unseen for one in rest)
    return "", False


def _may_wait(plan: Plan) -> bool:
    """Whether lock_timeout is lifted: it would cut a concurrent build off, and leave an invalid index behind.

    It holds for the whole run. So it is only lifted when nothing else in there can queue before an existing table
    with a lock that keeps everybody out: that would be a standstill, and an invalid index is only found and told.
    """
    return limits.builds_concurrently(plan) and all(
        atomic.only_builds_concurrently(v.revision.up)
        or not (v.locks or v.revision.up.opacities)  # it touches nothing that was there before
        for v in plan.verdicts
    )


def _may_wait_down(plan: Plan) -> bool:
    downs = [verdict.revision.down for verdict in plan.verdicts]
    builds = any(map(atomic.builds_concurrently, downs))
    return builds and all(map(atomic.only_builds_concurrently, downs))


def _revision(verdict: Verdict, dialect: str) -> Json:
    from deployguard import rules

    revision = verdict.revision
    dropped = rules.dropped_by_downgrade(verdict, dialect)
    return {
        "id": revision.id,
        "file": revision.digest,
        "parents": [*revision.parents, *revision.depends_on],
        "expand_only": verdict.expand_only,
        "way": str(verdict.undo.way),
        "reason": verdict.undo.reason,
        "created": gate.jsonable([table for table, column in dropped if column is None]),
        "added": gate.jsonable([[a.table, a.column, a.default] for a in _added(verdict, dropped)]),
        "non_atomic": atomic.non_atomic(revision.up, dialect),
        "unseen": atomic.unseen(revision.up, dialect),
        "down_non_atomic": atomic.non_atomic(revision.down, dialect),
    }


def _added(verdict: Verdict, dropped: Sequence[tuple[str, str | None]]) -> Iterator[Added]:
    """The new columns that the downgrade drops; without the default where the column got another name since."""
    defaults = {
        (operation.table.removeprefix("public."), operation.column): operation.default_sql
        for statement in verdict.revision.up.statements
        for operation in statement.operations
        if isinstance(operation, AddColumn)
    }
    for table, column in dropped:
        if column is not None:
            yield Added(table, column, defaults.get((table.removeprefix("public."), column), ""))


def _read(item: Mapping[str, Json]) -> PlannedRevision:
    added = item.get("added")
    return PlannedRevision(
        id=text(item, "id"),
        parents=strings(item, "parents"),
        expand_only=item.get("expand_only") is True,
        way=Way(text(item, "way") or Way.UNKNOWN),
        reason=text(item, "reason"),
        created=strings(item, "created"),
        added=tuple(
            Added(str(cell[0]), str(cell[1]), str(cell[2]))
            for cell in (added if isinstance(added, list) else ())
            if isinstance(cell, list) and len(cell) == 3
        ),
        # A plan of an earlier version does not say, and is not taken for harmless.
        non_atomic=text(item, "non_atomic") if "non_atomic" in item else _NOT_TOLD,
        unseen=item.get("unseen") is not False,
        down_non_atomic=text(item, "down_non_atomic") if "down_non_atomic" in item else _NOT_TOLD,
    )
