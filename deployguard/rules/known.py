"""Details of the schema that a few rules ask for (partitions, indexed columns, conditions, settings), as a fold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeAlias

from deployguard.model import Facts
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterObject,
    AttachPartition,
    Constraint,
    CreateIndex,
    CreateObject,
    CreateTable,
    DetachPartition,
    DropIndex,
    DropObject,
    DropTable,
    Operation,
    SetSetting,
    ValidateConstraint,
)

Pair: TypeAlias = tuple[str, str]


class Key(Protocol):
    """One spelling for a name, as ``Context.key`` gives it."""

    def __call__(self, name: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Condition:
    """A CHECK of a table, and whether each row is known to comply."""

    expression: str
    valid: bool


@dataclass(frozen=True, slots=True)
class Known:
    """Every name is as ``Context.key`` spells it."""

    parents: Mapping[str, str] = field(default_factory=dict)  # partition → partitioned table
    partitioned: frozenset[str] = frozenset()
    indexed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # index → its columns
    dropped_indexes: frozenset[str] = frozenset()  # dropped, if they were there, and not made since
    conditions: Mapping[Pair, Condition] = field(default_factory=dict)  # (table, name) → CHECK
    points_at: Mapping[Pair, frozenset[str]] = field(default_factory=dict)  # (table, column) → …
    domains: frozenset[str] = frozenset()  # with a constraint
    temporary: frozenset[str] = frozenset()  # tables that no other session sees
    until_commit: frozenset[str] = frozenset()  # those of them that go with the transaction
    settings: Mapping[str, tuple[str, bool]] = field(default_factory=dict)  # → (value, local?)

    @classmethod
    def start(cls, facts: Facts, key: Key) -> "Known":
        parents = {
            key(fact.table): key(fact.partition_of)
            for fact in facts.tables or ()
            if fact.partition_of is not None
        }
        for fact in facts.tables or ():
            parents |= {key(child): key(fact.table) for child in fact.partitions}
        parents |= {key(child): key(parent) for child, parent in facts.parents.items()}
        return cls(
            parents,
            frozenset(parents.values()) | {key(table) for table in facts.partitioned},
            dict(facts.index_columns),
            domains=facts.domains,
            conditions={place: Condition(*told) for place, told in facts.conditions.items()},
            points_at=dict(facts.points_at),
            settings={name: (value, False) for name, value in facts.settings.items()},
        )

    def below(self, table: str) -> tuple[str, ...]:
        """Every known partition of ``table`` at any depth, in order of name."""
        found: list[str] = []
        todo = [table]
        while todo:
            above = todo.pop()
            direct = sorted(child for child, parent in self.parents.items() if parent == above)
            # SQL that no server takes may go round in circles.
            new = [child for child in direct if child not in {table, *found}]
            found += new
            todo += new
        return tuple(sorted(found))

    def around(self, table: str) -> tuple[str, ...]:
        """What ``table`` shares its rows with: the tables that it is a part of, and its own partitions."""
        above: list[str] = []
        parent = self.parents.get(table)
        while parent is not None and parent not in above:
            above.append(parent)
            parent = self.parents.get(parent)
        return (*above, *self.below(table))

    def setting(self, name: str) -> str | None:
        """The value that this run, or env.py before it, gave a setting; None where it has none."""
        value = self.settings.get(name.lower())
        return value[0] if value and value[0] != "default" else None

    def committed(self) -> "Known":
        """After the transaction: SET LOCAL is forgotten."""
        if not any(local for _, local in self.settings.values()):
            return self
        kept = {name: value for name, value in self.settings.items() if not value[1]}
        return replace(self, settings=kept)

    def after(
        self, operation: Operation, key: Key, sql: str = "", *, in_transaction: bool = True
    ) -> "Known":
        match operation:
            case CreateTable(table) if _PARTITIONED.search(sql):
                made = self._after_table(operation, key, sql)
                return replace(made, partitioned=made.partitioned | {key(table)})
            case CreateTable() | AttachPartition() | DetachPartition():
                return self._after_table(operation, key, sql)
            case DropTable(table) if key(table) in self.temporary:
                return replace(self, temporary=self.temporary - {key(table)})
            case CreateIndex() | DropIndex():
                return self._after_index(operation, key)
            case AddConstraint() | ValidateConstraint() | AddColumn():
                return self._after_constraint(operation, key)
            case CreateObject("domain", name) if _CONSTRAINED.search(sql):
                return replace(self, domains=self.domains | {key(name)})
            case AlterObject("domain", name, action) if action.startswith(_CONSTRAINS):
                return replace(self, domains=self.domains | {key(name)})
            case DropObject("domain", name):
                return replace(self, domains=self.domains - {key(name)})
            case SetSetting(name, value, local) if in_transaction or not local:
                settings = {**self.settings, name.lower(): (value.strip().strip("'\""), local)}
                return replace(self, settings=settings)
            case _:
                return self

    def _after_table(
        self, operation: CreateTable | AttachPartition | DetachPartition, key: Key, sql: str = ""
    ) -> "Known":
        parents = dict(self.parents)
        here = self
        match operation:
            case CreateTable(table, partition_of=parent):
                if operation.temporary:
                    here = replace(here, temporary=here.temporary | {key(table)})
                    brief = {key(table)} if _UNTIL_COMMIT.search(sql) else set()
                    here = replace(here, until_commit=here.until_commit | brief)
                if operation.references:
                    others = frozenset(key(other) for other in operation.references)
                    here = replace(here, points_at={**here.points_at, (key(table), ""): others})
                if parent is None:
                    return here
                parents[key(table)] = key(parent)
            case AttachPartition(parent, table):
                parents[key(table)] = key(parent)
            case DetachPartition(_, table):
                parents.pop(key(table), None)
                return replace(here, parents=parents)
        return replace(here, parents=parents, partitioned=here.partitioned | {key(parent)})

    def _after_index(self, operation: CreateIndex | DropIndex, key: Key) -> "Known":
        if isinstance(operation, DropIndex):
            return replace(self, dropped_indexes=self.dropped_indexes | {key(operation.name)})
        name = index_key(operation, key)
        indexed = {**self.indexed, name: operation.columns}
        partitioned = self.partitioned | ({key(operation.table)} if operation.only else set())
        dropped = self.dropped_indexes - {name}
        return replace(self, indexed=indexed, dropped_indexes=dropped, partitioned=partitioned)

    def _after_constraint(
        self, operation: AddConstraint | ValidateConstraint | AddColumn, key: Key
    ) -> "Known":
        table = key(operation.table)
        if isinstance(operation, ValidateConstraint):
            known = self.conditions.get((table, operation.name))
            if known is None:
                return self
            valid = Condition(known.expression, valid=True)
            return replace(self, conditions={**self.conditions, (table, operation.name): valid})
        columns = operation.columns if isinstance(operation, AddConstraint) else (operation.column,)
        points_at = dict(self.points_at)
        for column in columns if operation.references else ():
            other = key(operation.references or "")
            points_at[table, column] = points_at.get((table, column), frozenset()) | {other}
        here = replace(self, points_at=points_at)
        if isinstance(operation, AddConstraint) and operation.kind is Constraint.CHECK:
            known = Condition(operation.expression, valid=not operation.not_valid)
            return replace(here, conditions={**here.conditions, (table, operation.name): known})
        return here


def index_key(operation: CreateIndex, key: Key) -> str:
    """An index lives in its table's schema, however that is written."""
    schema, _, _ = key(operation.table).rpartition(".")
    return f"{schema}.{operation.name}" if schema else operation.name


_UNTIL_COMMIT = re.compile(r"\bon\s+commit\s+drop\b", re.IGNORECASE)
_CONSTRAINS = ("add constraint", "set not null")
_CONSTRAINED = re.compile(r"\bcheck\b|\bnot\s+null\b", re.IGNORECASE)
_PARTITIONED = re.compile(r"\)\s*partition\s+by\b", re.IGNORECASE)
_TIME = re.compile(r"^(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>us|ms|s|min|h|d)?$")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(value: str) -> float | None:
    """A timeout of PostgreSQL in seconds (a bare number is milliseconds); None for what is no time."""
    match = _TIME.match(value.strip().strip("'\"").strip())
    if match is None:
        return None
    return float(match["number"]) * _SECONDS[match["unit"] or "ms"]


_QUOTED = re.compile(r"""(?P<name>"(?:[^"]|"")*")|'(?:[^']|'')*'""")
_OR, _AND = re.compile(r"\bor\b", re.IGNORECASE), re.compile(r"\band\b", re.IGNORECASE)
_NOT_NULL = re.compile(
    r'^\(*\s*(?:"(?P<quoted>\d+)"|(?P<column>[\w$]+))\s+is\s+not\s+null\s*\)*$',
    re.IGNORECASE,
)


def not_null_column(operation: AddConstraint) -> str | None:
    """The column that ``CHECK (c IS NOT NULL)`` or ``NOT NULL c`` keeps from NULL; None for other constraints."""
    if operation.kind is Constraint.NOT_NULL and operation.columns:
        return operation.columns[0]
    # Quoted names may hold anything, also what looks like a text or a condition.
    names: list[str] = []

    def hidden(match: re.Match[str]) -> str:
        if match["name"] is None:
            return "''"
        names.append(match["name"][1:-1].replace('""', '"'))
        return f'"{len(names) - 1}"'

    expression = _QUOTED.sub(hidden, operation.expression)
    if operation.kind is not Constraint.CHECK or _OR.search(expression):
        return None
    # One condition of several is enough: all of them must hold.
    for part in _AND.split(expression):
        if match := _NOT_NULL.match(part.strip()):
            quoted = match["quoted"]
            return names[int(quoted)] if quoted else match["column"].lower()
    return None
