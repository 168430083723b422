"""Runs a statement on a real PostgreSQL and sees what it does: locks, rewrites, scans, index builds, errors.

In a transaction the locks are those that its backend holds afterwards. What can't run in one is run twice more, in
copies of the database: once to its end, for the files and the scans, and once for each table that it may lock, which
another session holds, so that the statement stands still and its locks can be read without haste.
"""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import psycopg

from deployguard.model import Facts, Lock, Revision, TableFact
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    ChangeTrigger,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    Operation,
    RenameIndex,
    RenameTable,
    Truncate,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.examples import read
from deployguard.rules.held import held_with
from deployguard.rules.locks import MODES, locks
from deployguard.rules.types import parse, same
from tests.rules.measured_forms import GIVEN, SCHEMA
from tests.support import postgres

Connection: TypeAlias = "psycopg.Connection[tuple[object, ...]]"

RELATIONS = """
SELECT c.oid, CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, c.relkind::text,
       pg_relation_filenode(c.oid)::bigint, coalesce(i.indrelid, c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relkind <> 'c'
"""
SCANNED = """
SELECT relid, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM {view} WHERE schemaname !~ '^(pg_|information_schema)'
"""
LOCKED = """
SELECT relation, mode, granted FROM pg_locks WHERE locktype = 'relation' AND pid = %s
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
WAITS = "SELECT %s = ANY (pg_blocking_pids(%s))"
INDEXES = """
SELECT i.indexrelid, i.indrelid, array_agg(a.attname::text ORDER BY a.attnum) FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indexrelid GROUP BY 1, 2
"""
KEYS = """
SELECT k.conrelid, k.conname::text, k.confrelid, array_agg(a.attname::text) FROM pg_constraint k
JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey) WHERE k.contype = 'f' GROUP BY 1, 2, 3
"""
CHECKS = """
SELECT conrelid, conname::text, pg_get_expr(conbin, conrelid), convalidated FROM pg_constraint
WHERE contype = 'c' AND conrelid <> 0
"""
REQUIRED = "SELECT attrelid, attname::text FROM pg_attribute WHERE attnotnull AND attnum > 0"
PARTITIONS = """
SELECT i.inhrelid, i.inhparent FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relispartition
"""
STORED = frozenset("rm")  # kinds of relation that hold rows
PATIENCE = 60.0  # seconds that a statement may take to reach the lock that another session holds


@dataclass(frozen=True)
class Touched:
    """What a statement did to one relation that was there before its transaction."""

    mode: str  # the strongest lock; "" for none
    rewrite: bool = False
    scan: bool = False
    indexes: int = 0  # files of indexes that were made, or made anew

    def words(self) -> list[str]:
        many = f"{self.indexes} index build{'s' if self.indexes != 1 else ''}"
        work = (("rewrite", self.rewrite), ("scan", self.scan), (many, self.indexes > 0))
        return [self.mode or "none", *(word for word, found in work if found)]


@dataclass(frozen=True)
class Measured:
    """One statement; ``held`` is every lock of its transaction so far, ``below`` the partitions of each table."""

    sql: str
    error: str = ""  # the SQLSTATE
    relations: Mapping[str, Touched] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    below: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def with_modes(self, modes: Mapping[str, str]) -> Measured:
        names = sorted({*self.relations, *modes})
        found = {
            name: replace(self.relations.get(name, Touched("")), mode=modes.get(name, ""))
            for name in names
            if self.kinds.get(name, "i") not in "iI"
        }
        return replace(self, relations=found, held=modes)


@dataclass(frozen=True)
class Claimed:
    """What rules/locks.py says of one statement, alone and together with what its transaction holds."""

    alone: tuple[Lock, ...]
    held: Mapping[str, str]
    context: Context
    writes: bool


@dataclass(frozen=True)
class Seen:
    """The files of every relation and the scans of every table at one moment."""

    relations: Mapping[int, tuple[str, str, int | None, int]]  # oid → name, kind, file, its table
    scans: Mapping[int, int]

    @classmethod
    def of(cls, connection: Connection, view: str) -> Seen:
        rows = connection.execute(RELATIONS).fetchall()
        counts = connection.execute(SCANNED.format(view=view).encode()).fetchall()
        return cls({int(row[0]): tuple(row[1:]) for row in rows}, dict(counts))  # type: ignore[misc,arg-type,call-overload]  # a row is untyped

    def names(self) -> dict[int, str]:
        return {oid: name for oid, (name, _, _, _) in self.relations.items()}


def spelled(mode: str) -> str:
    """AccessExclusiveLock → ACCESS EXCLUSIVE."""
    return re.sub(r"(?<!^)([A-Z])", r" \1", mode.removesuffix("Lock")).upper()


def strongest(rows: list[tuple[int, str]], names: Mapping[int, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for oid, mode in rows:
        if oid in names:
            name = names[oid]
            found[name] = max(mode, found.get(name, MODES[0]), key=MODES.index)
    return found


def work(before: Seen, after: Seen, names: Mapping[int, str], modes: Mapping[str, str]) -> dict[str, Touched]:  # fmt: skip
    """What happened to the relations in ``names`` between the two moments."""
    old_files = {file for _, kind, file, _ in before.relations.values() if kind in "iI"}
    found: dict[str, Touched] = {}
    for oid, name in names.items():
        _, kind, file, _ = before.relations[oid]
        built = [
            one
            for _, what, one, table in after.relations.values()
            if table == oid and what == "i" and one not in old_files
        ]
        one = Touched(
            modes.get(name, ""),
            kind in STORED and oid in after.relations and after.relations[oid][2] != file,
            after.scans.get(oid, 0) > before.scans.get(oid, 0),
            len(built) if kind in STORED else 0,
        )
        if one.mode or one.rewrite or one.scan or one.indexes:
            found[name] = one
    return found


class Bench:
    """One server with the relations that statements need; copies are made of a database nobody connects to."""

    def __init__(self, server: postgres.Server) -> None:
        self.server = server
        self.names = (f"measured_{number}" for number in itertools.count())
        self.template = next(self.names)
        url = server.create_database(self.template)
        with psycopg.connect(url, autocommit=True) as connection:
            for role in ("bob",):
                exists = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                if exists.fetchone() is None:
                    connection.execute(f"CREATE ROLE {role}".encode())
            connection.execute(SCHEMA.encode())
        self.copies: list[str] = []
        self.main = psycopg.connect(server.url(), autocommit=True)
        self.shared = self.copy()
        self.eye = psycopg.connect(self.shared, autocommit=True)
        self.facts = facts_of(self.eye, server.version)

    def copy(self) -> str:
        name = next(self.names)
        command = f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY file_copy"
        self.main.execute(command.encode())
        self.copies.append(name)
        return self.server.url(name)

    def drop(self, url: str) -> None:
        name = url.rpartition("/")[2]
        self.copies.remove(name)
        self.main.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())

    def close(self) -> None:
        self.eye.close()
        for name in list(self.copies):
            self.drop(self.server.url(name))
        self.main.close()
        self.server.drop_database(self.template)

    def measure(self, example: str) -> tuple[tuple[Measured, ...], Facts]:
        """Each statement of ``example`` up to the first that fails, and what a snapshot says before it."""
        revisions, _ = read(example)
        steps = tuple(_steps(revisions))
        given = tuple(needed(self.eye, example, revisions))
        if not given and all(step.inside and not step.begins for step in steps):
            return tuple(self._run(self.shared, steps, given)), self.facts
        url = self.copy()
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for sql in given:
                    connection.execute(sql.encode())
                facts = facts_of(connection, self.server.version) if given else self.facts
            return tuple(self._run(url, steps, given)), facts
        finally:
            self.drop(url)

    def _run(self, url: str, steps: tuple[Step, ...], given: tuple[str, ...]) -> Iterator[Measured]:
        done: list[Step] = []
        # Not UTC, where a timestamp becomes a timestamptz without being touched.
        with psycopg.connect(url, options="-c timezone=America/New_York") as connection:
            begun = Seen.of(connection, "pg_stat_xact_all_tables")
            for step in steps:
                if step.begins or not step.inside:
                    connection.commit()
                    begun = Seen.of(connection, "pg_stat_xact_all_tables")
                if step.inside:
                    one = inside(connection, step.sql, begun)
                else:
                    connection.commit()
                    tables = candidates(url, step.sql)
                    one = to_its_end(url, step.sql)
                    if not one.error:
                        modes = self._locks_outside(tables, step.sql, tuple(done), given)
                        one = one.with_modes(modes)
                yield one
                if one.error:
                    break
                done.append(step)
            connection.rollback()

    def _locks_outside(
        self, tables: list[str], sql: str, done: tuple[Step, ...], given: tuple[str, ...]
    ) -> dict[str, str]:
        modes: dict[str, str] = {}
        for table in tables:
            for mode in ("ROW EXCLUSIVE", "ACCESS EXCLUSIVE"):
                copy = self._copy_after(done, given)
                found = standing_still(copy, sql, table, mode)
                self.drop(copy)
                for name, one in found.items():
                    modes[name] = max(one, modes.get(name, MODES[0]), key=MODES.index)
                if found:
                    break
        return modes

    def _copy_after(self, done: tuple[Step, ...], given: tuple[str, ...]) -> str:
        copy = self.copy()
        with psycopg.connect(copy, autocommit=True) as connection:
            for sql in (*given, *(step.sql for step in done)):
                execute(connection, sql)
        return copy


@dataclass(frozen=True)
class Step:
    sql: str
    inside: bool
    begins: bool  # a transaction of its own


def _steps(revisions: tuple[Revision, ...]) -> Iterator[Step]:
    for revision in revisions:
        begins = revision.up.own_transaction
        for statement in revision.up.statements:
            within = statement.in_transaction or statement.place > 0
            yield Step(statement.sql, within, begins or statement.place == 1)
            begins = not within


def execute(connection: Connection, sql: str) -> None:
    if re.match(r"copy\b.*\b(stdin|stdout)\b", sql, re.IGNORECASE):
        with connection.cursor() as cursor, cursor.copy(sql.encode()) as copy:
            if "stdout" in sql.lower():
                list(copy)
        return
    connection.execute(sql.encode())


def inside(connection: Connection, sql: str, begun: Seen) -> Measured:
    before = Seen.of(connection, "pg_stat_xact_all_tables")
    below = partitions(connection, before)
    names = {oid: name for oid, name in before.names().items() if oid in begun.relations}
    held = granted(connection)
    try:
        execute(connection, sql)
    except psycopg.Error as error:
        connection.rollback()
        return Measured(sql, error.sqlstate or "")
    rows = granted(connection)
    new = strongest([row for row in rows if row not in held], names)
    total = strongest(rows, names)
    after = Seen.of(connection, "pg_stat_xact_all_tables")
    touched = work(before, after, names, {name: total[name] for name in new})
    return finished(sql, touched, total, before, below)


def granted(connection: Connection) -> list[tuple[int, str]]:
    rows = connection.execute(LOCKED, [connection.info.backend_pid]).fetchall()
    return [(int(str(oid)), spelled(str(mode))) for oid, mode, _ in rows]


def finished(
    sql: str,
    touched: dict[str, Touched],
    held: dict[str, str],
    before: Seen,
    below: Mapping[str, tuple[str, ...]],
) -> Measured:
    """Locks of indexes are left out where their table is locked as well: they say nothing more."""
    kinds = {name: kind for name, kind, _, _ in before.relations.values()}
    tables = {name: table for name, _, _, table in before.relations.values()}
    names = before.names()
    shown = {
        name: one
        for name, one in touched.items()
        if kinds[name] not in "iI"
        or MODES.index(held.get(names[tables[name]], MODES[0])) < MODES.index(MODES[3])
    }
    return Measured(sql, "", dict(sorted(shown.items())), held, kinds, below)


def partitions(connection: Connection, seen: Seen) -> dict[str, tuple[str, ...]]:
    names = seen.names()
    children: dict[str, list[str]] = {}
    for child, parent in connection.execute(PARTITIONS).fetchall():
        if child in names and parent in names:
            children.setdefault(names[int(str(parent))], []).append(names[int(str(child))])
    return {name: tuple(_below(name, children)) for name in children}


def _below(name: str, children: Mapping[str, list[str]]) -> Iterator[str]:
    for child in sorted(children.get(name, ())):
        yield child
        yield from _below(child, children)


def candidates(url: str, sql: str) -> list[str]:
    """The tables that a statement may lock: those it names, those of the indexes it names, and their partitions."""
    with psycopg.connect(url) as connection:
        seen = Seen.of(connection, "pg_stat_xact_all_tables")
        named = {
            table
            for name, _, _, table in seen.relations.values()
            if re.search(rf"\b{re.escape(name)}\b", sql)
        }
        rows = connection.execute(PARTITIONS).fetchall()
        if not any(child in named for child, _ in rows):
            for _ in rows:
                named |= {int(str(child)) for child, parent in rows if parent in named}
    names = seen.names()
    return sorted(names[oid] for oid in named if seen.relations[oid][1] in "rp")


def standing_still(url: str, sql: str, table: str, mode: str) -> dict[str, str]:
    """The locks of ``sql`` while it waits for a session that holds ``table``; empty when it never has to."""
    with psycopg.connect(url) as holder, psycopg.connect(url, autocommit=True) as runner:
        holder.execute(f"LOCK TABLE ONLY {table} IN {mode} MODE".encode())
        names = Seen.of(holder, "pg_stat_xact_all_tables").names()
        thread = threading.Thread(target=_quietly, args=(runner, sql))
        thread.start()
        found: dict[str, str] | None = None
        with psycopg.connect(url, autocommit=True) as watcher:
            deadline = time.monotonic() + PATIENCE
            pids = [holder.info.backend_pid, runner.info.backend_pid]
            while thread.is_alive() and time.monotonic() < deadline:
                first = _waiting(watcher, pids, names)
                time.sleep(0.02)
                # Twice the same, and waiting for our own session both times: it stands still.
                if first is not None and first == _waiting(watcher, pids, names):
                    found = first
                    break
            watcher.execute("SELECT pg_cancel_backend(%s)", [runner.info.backend_pid])
        thread.join()
        holder.rollback()
    return found or {}


def _waiting(watcher: Connection, pids: list[int], names: Mapping[int, str]) -> dict[str, str] | None:  # fmt: skip
    rows = watcher.execute(LOCKED, [pids[1]]).fetchall()
    answer = watcher.execute(WAITS, pids).fetchone()
    if answer is None or not answer[0]:
        return None
    return strongest([(int(str(oid)), spelled(str(mode))) for oid, mode, _ in rows], names)


def _quietly(connection: Connection, sql: str) -> None:
    try:
        connection.execute(sql.encode())
    except psycopg.Error:
        return  # cancelled, or refused: to_its_end says which


def to_its_end(url: str, sql: str) -> Measured:
    with psycopg.connect(url, autocommit=True) as runner, psycopg.connect(url, autocommit=True) as eye:  # fmt: skip
        _flush(runner)
        before = Seen.of(eye, "pg_stat_all_tables")
        below = partitions(eye, before)
        try:
            execute(runner, sql)
        except psycopg.Error as error:
            return Measured(sql, error.sqlstate or "")
        _flush(runner)
        after = Seen.of(eye, "pg_stat_all_tables")
        return finished(sql, work(before, after, before.names(), {}), {}, before, below)


def _flush(connection: Connection) -> None:
    """Others see the counts of this session only once they are written; this asks for it now."""
    connection.execute("SELECT pg_stat_force_next_flush()")
    connection.execute("SELECT 1")


def needed(connection: Connection, example: str, revisions: tuple[Revision, ...]) -> Iterator[str]:
    """What must be different in the database for the example to make sense, for instance that what it makes is not there yet."""
    for table, column, type_text in re.findall(
        r"^-- was: (\w+)\.(\w+) (.+)$", example, re.MULTILINE
    ):
        row = connection.execute(FORMAT, [table, column]).fetchone()
        present, wanted = parse(str(row[0])) if row else None, parse(type_text)
        if present and wanted and same(present, wanted):
            continue
        if row is None:
            yield f"ALTER TABLE {table} ADD COLUMN {column} {type_text}"
            continue
        yield f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT, ALTER COLUMN {column} DROP NOT NULL"
        yield f"ALTER TABLE {table} ALTER COLUMN {column} TYPE {type_text} USING NULL"
    if example in GIVEN:
        yield GIVEN[example]
    if "-- exists:" in example:
        return
    made: set[str] = set()
    dropped: set[str] = set()
    for revision in revisions:
        for operation in (one for text in revision.up.statements for one in text.operations):
            named = isinstance(operation, CreateIndex | RenameTable)
            if str(getattr(operation, "table", "")) not in made or named:
                wanted_gone = set(_without(connection, operation)) - dropped
                dropped |= wanted_gone
                yield from wanted_gone
            if isinstance(operation, CreateTable):
                made.add(operation.table)


FORMAT = """
SELECT format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""
COLUMN = """
SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped
"""
CONSTRAINT = "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"
TRIGGER = "SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = %s"
CLASS, TYPE = "SELECT to_regclass(%s)::oid", "SELECT to_regtype(%s)::oid"


def _without(connection: Connection, operation: Operation) -> Iterator[str]:
    def exists(sql: str, *names: str) -> bool:
        row = connection.execute(sql.encode(), names).fetchone()
        return row is not None and row[0] is not None

    match operation:
        case CreateTable(table) if not operation.temporary and not operation.if_not_exists:
            if exists(CLASS, table):
                yield f"DROP TABLE IF EXISTS {table} CASCADE"
        case CreateType(name) if exists(TYPE, name):
            yield f"DROP TYPE {name} CASCADE"
        case CreateObject("view" | "sequence" as kind, name, False) if exists(CLASS, name):
            yield f"DROP {kind} {name} CASCADE"
        case CreateIndex(_, name, if_not_exists=False) if name and exists(CLASS, name):
            yield f"DROP INDEX IF EXISTS {name} CASCADE"
        case RenameTable(_, name) if exists(CLASS, name):
            yield f"DROP TABLE IF EXISTS {name} CASCADE"
        case RenameIndex(_, name) if exists(CLASS, name):
            yield f"DROP INDEX IF EXISTS {name} CASCADE"
        case ChangeTrigger(table, "create", name) if exists(TRIGGER, table, name):
            yield f"DROP TRIGGER {name} ON {table}"
        case AddColumn(table, column, if_not_exists=False) if exists(COLUMN, table, column):
            yield f"ALTER TABLE {table} DROP COLUMN {column} CASCADE"
        case AddConstraint(table, name=name) if name and exists(CONSTRAINT, table, name):
            yield f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE"
        case _:
            pass


def facts_of(connection: Connection, version: int) -> Facts:
    """What a snapshot of the catalogue tells the rules."""
    names = Seen.of(connection, "pg_stat_xact_all_tables").names()

    def rows(sql: str) -> list[tuple[object, ...]]:
        return [row for row in connection.execute(sql.encode()).fetchall() if row[0] in names]

    def name(oid: object) -> str:
        return names[int(str(oid))]

    parents = {name(child): name(parent) for child, parent in rows(PARTITIONS)}
    seen = Seen.of(connection, "pg_stat_xact_all_tables").relations.values()
    points_at: dict[tuple[str, str], frozenset[str]] = {}
    for table, _, other, columns in rows(KEYS):
        for column in columns if isinstance(columns, list) else ():
            place = (name(table), str(column))
            points_at[place] = points_at.get(place, frozenset()) | {name(other)}
    return Facts(
        "postgresql",
        (version, 0),
        tuple(
            TableFact(own, 1000, 8192, partition_of=parents.get(own))
            for own, kind, _, _ in seen
            if kind in "rp"
        ),
        frozenset((name(table), str(column)) for table, column in rows(REQUIRED)),
        {name(index): name(table) for index, table, _ in rows(INDEXES)},
        {(name(table), str(key)): name(other) for table, key, other, _ in rows(KEYS)},
        index_columns={
            name(index): tuple(str(item) for item in columns)
            for index, _, columns in rows(INDEXES)
            if isinstance(columns, list)
        },
        points_at=points_at,
        conditions={
            (name(table), str(key)): (str(text), bool(valid))
            for table, key, text, valid in rows(CHECKS)
        },
    )


def claim(example: str, facts: Facts) -> tuple[Claimed, ...]:
    """What is claimed of each statement of ``example``, folded as a judged run is."""
    revisions, own = read(example)
    context = Context.start(replace(facts, dialect=own.dialect))
    claims: list[Claimed] = []
    for revision in revisions:
        context = context.begin(own_transaction=revision.up.own_transaction)
        for statement in revision.up.statements:
            context = context.at(
                statement.sql, in_transaction=statement.in_transaction, place=statement.place
            )
            here = context
            alone: list[Lock] = []
            writes = False
            for operation in statement.operations:
                taken = locks(operation, context)
                alone += taken
                writes = writes or isinstance(operation, WriteRows | Truncate)
                held = dict(context.held)
                for one in taken:
                    held[context.key(one.relation)] = held_with(
                        one, held.get(context.key(one.relation))
                    )
                context = replace(context, held=held).after(operation)
            modes = {name: one.mode for name, one in context.held.items()}
            claims.append(Claimed(tuple(alone), modes, here, writes))
            if not context.in_transaction:
                context = replace(context, held={})
    return tuple(claims)
