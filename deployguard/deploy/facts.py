"""What the later steps must know of the plan and of the schema, as evidence that outlives this process."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployguard import gate
from deployguard.database import Database
from deployguard.deploy.run import strings, text
from deployguard.deploy.step import Evidence
from deployguard.model import BackupMode, Json, Plan, Script, Verdict, Way
from deployguard.operations import (
    AddColumn,
    CreateIndex,
    CreateTable,
    DetachPartition,
    DropIndex,
    Reindex,
)


@dataclass(frozen=True, slots=True)
class Added:
    """A column that an upgrade added. ``default`` is its SQL; "" is none."""

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
    created: tuple[str, ...]  # tables
    added: tuple[Added, ...]


def plan_evidence(plan: Plan, *, needs_backup: bool) -> Evidence:
    """The plan step's evidence."""
    return {
        "digest": plan.digest,
        "risk": str(plan.risk) if plan.risk else "none",
        "current": list(plan.current),
        "heads": list(plan.heads),
        "needs_backup": needs_backup,
        "backup": str(plan.requirement.backup if plan.risk else BackupMode.OPTIONAL),
        "concurrent_up": any(_concurrent(verdict.revision.up) for verdict in plan.verdicts),
        "concurrent_down": any(_concurrent(verdict.revision.down) for verdict in plan.verdicts),
        "revisions": [_revision(verdict) for verdict in plan.verdicts],
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


def schema_mark(database: Database, version_table: str) -> Evidence:
    """Where the schema and the writing stand: the catalogue's digest, the invalid indexes, the writes' mark."""
    return {
        "catalogue": catalogue_digest(database.catalogue(), version_table),
        "invalid": list(database.invalid_indexes()),
        "mark": database.writes_mark(),
    }


def catalogue_digest(catalogue: Json, version_table: str) -> str:
    """A text that is the same as long as the schema is; Alembic's own table does not count."""
    canonical = json.dumps(_without(catalogue, version_table), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _without(catalogue: Json, version_table: str) -> Json:
    """The catalogue without the version table, which the first migration makes even when it fails."""
    if not isinstance(catalogue, dict):
        return catalogue
    made = re.compile(rf"""CREATE TABLE ["`\[]?{re.escape(version_table)}\b""", re.IGNORECASE)
    statements, tables = catalogue.get("sql"), catalogue.get("tables")
    kept: dict[str, Json] = dict(catalogue)
    if isinstance(statements, list):
        kept["sql"] = [text for text in statements if not made.match(str(text))]
    if isinstance(tables, list):
        kept["tables"] = [
            table
            for table in tables
            if not (isinstance(table, dict) and table.get("name") == version_table)
        ]
    return kept


def _revision(verdict: Verdict) -> Json:
    revision = verdict.revision
    return {
        "id": revision.id,
        "file": revision.digest,
        "parents": [*revision.parents, *revision.depends_on],
        "expand_only": verdict.expand_only,
        "way": str(verdict.undo.way),
        "reason": verdict.undo.reason,
        "created": gate.jsonable(list(_created(verdict))),
        "added": gate.jsonable([[a.table, a.column, a.default] for a in _added(verdict)]),
    }


def _concurrent(script: Script) -> bool:
    return any(
        isinstance(operation, CreateIndex | DropIndex | Reindex | DetachPartition)
        and operation.concurrently
        for statement in script.statements
        for operation in statement.operations
    )


def _created(verdict: Verdict) -> Iterator[str]:
    for statement in verdict.revision.up.statements:
        for operation in statement.operations:
            if isinstance(operation, CreateTable) and not operation.temporary:
                yield operation.table


def _added(verdict: Verdict) -> Iterator[Added]:
    for statement in verdict.revision.up.statements:
        for operation in statement.operations:
            if isinstance(operation, AddColumn):
                yield Added(operation.table, operation.column, operation.default_sql)


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
    )
