"""A backup of a part of a database: which tables that is, and how pg_dump is told."""

import difflib
from collections.abc import Sequence
from dataclasses import replace

from deployguard.database import tables
from deployguard.database.base import Table
from deployguard.database.snapshot import Instant
from deployguard.errors import UsageError
from deployguard.model import Scope


def narrowed(instant: Instant, scope: Scope) -> Instant:
    """The snapshot with only the tables whose rows such a backup holds. Raises UsageError for an unknown name.

    What is compared after a restore of the whole is left out: a part is never put in the place of a database.
    """
    if scope.whole:
        return instant
    chosen = _chosen(instant, scope)
    kept = () if scope.content == "schema" else tuple(t for t in instant.tables if t in chosen)
    return replace(instant, tables=kept, sequences={}, cycling=frozenset(), large_objects=0)


def scope_argv(instant: Instant, scope: Scope) -> list[str]:
    """What pg_dump is told of the scope; names are quoted, so that none of them is a pattern."""
    argv = [] if scope.content == "all" else [f"--{scope.content}-only"]
    if scope.tables or scope.schemas:
        argv.append("--strict-names")
    argv += [f"--schema={_quoted(name)}" for name in scope.schemas]
    if scope.tables:
        wanted = set(scope.tables)
        named = [t for t in _everything(instant) if _is(t, wanted)]
        argv += [
            f"--table={_quoted(t.schema)}.{_quoted(t.name)}" for t in _with_parts(instant, named)
        ]
    return argv


def _chosen(instant: Instant, scope: Scope) -> set[Table]:
    there = _everything(instant)
    _all_there("table", scope.tables, [t.label for t in there] + [_full(t) for t in there])
    _all_there("schema", scope.schemas, [t.schema for t in there])
    if not scope.tables and not scope.schemas:
        return set(there)
    named = [t for t in there if _is(t, set(scope.tables))]
    return {
        *_with_parts(instant, named),
        *(table for table in there if table.schema in scope.schemas),
    }


def _all_there(what: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise UsageError(f"There is no {what} {name} in the database.{hint}")


def _everything(instant: Instant) -> tuple[Table, ...]:
    """Partitioned tables as well."""
    with instant.session.cursor() as cursor:
        return tables.listed(cursor)


def _with_parts(instant: Instant, named: Sequence[Table]) -> list[Table]:
    """The tables, and what is below those of them that are partitioned."""
    if not any(table.partitioned for table in named):
        return list(named)
    with instant.session.cursor() as cursor:
        below = {
            pair for table in named if table.partitioned for pair in tables.below(cursor, table)
        }
    return [t for t in _everything(instant) if t in named or (t.schema, t.name) in below]


def _is(table: Table, wanted: set[str]) -> bool:
    return table.label in wanted or _full(table) in wanted


def _full(table: Table) -> str:
    return f"{table.schema}.{table.name}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
