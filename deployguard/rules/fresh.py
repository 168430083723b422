"""What this run did to columns and types that decides whether a later step breaks anybody, as a fold."""

import re
from dataclasses import dataclass, replace
from typing import TypeAlias

from deployguard.operations import (
    AddColumn,
    AlterObject,
    DropColumn,
    DropDefault,
    Operation,
    RenameColumn,
    SetDefault,
    Volatility,
    WriteRows,
)
from deployguard.rules.known import Key
from deployguard.rules.types import HERE, marked

Pair: TypeAlias = tuple[str, str]
_WHERE_NULL = re.compile(
    rf'\bwhere\s+\(*\s*(?:[\w"]+\.)*{HERE}\s+is\s+null\s*\)*\s*;?\s*$', re.IGNORECASE
)
_TO_NULL = re.compile(r"=\s*null\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Fresh:
    """Every name is as ``Context.key`` spells it."""

    renamed: frozenset[str] = frozenset()  # types, by the names that this run gave them
    bare: frozenset[Pair] = frozenset()  # columns of this run that have no default
    needed: frozenset[Pair] = frozenset()  # columns of this run that must have a value
    alike: frozenset[Pair] = frozenset()  # columns of this run whose default is one value for all
    filled: frozenset[Pair] = frozenset()  # columns whose missing values this run filled in

    def after(self, operation: Operation, key: Key, sql: str) -> "Fresh":
        match operation:
            case AddColumn() | SetDefault() | DropDefault() | DropColumn() | RenameColumn():
                return self._after_column(operation, (key(operation.table), operation.column))
            case WriteRows(table, "update"):
                done = {(key(table), name) for name in _filled_by(operation, sql)}
                return replace(self, filled=self.filled | done)
            case AlterObject("type", name, action) if action.startswith("rename to "):
                schema, _, _ = key(name).rpartition(".")
                to = action.removeprefix("rename to ")
                new = key(f"{schema}.{to}" if schema else to)
                return replace(self, renamed=(self.renamed - {key(name)}) | {new})
            case _:
                return self

    def _after_column(
        self,
        operation: AddColumn | SetDefault | DropDefault | DropColumn | RenameColumn,
        place: Pair,
    ) -> "Fresh":
        match operation:
            case AddColumn() if operation.if_not_exists:
                return self
            case AddColumn(nullable=nullable):
                needed = self.needed if nullable else self.needed | {place}
                if operation.default is Volatility.NONE and not operation.generated:
                    return replace(self, bare=self.bare | {place}, needed=needed)
                same = operation.default in {Volatility.CONSTANT, Volatility.STABLE}
                alike = self.alike | {place} if same and not operation.generated else self.alike
                return replace(self, filled=self.filled | {place}, needed=needed, alike=alike)
            case SetDefault():
                return replace(self, bare=self.bare - {place})
            case DropColumn():
                gone = {place}
                return replace(
                    self,
                    bare=self.bare - gone,
                    needed=self.needed - gone,
                    alike=self.alike - gone,
                    filled=self.filled - gone,
                )
            case RenameColumn(_, _, to):
                new = (place[0], to)
                return replace(
                    self,
                    bare=_moved(self.bare, place, new),
                    needed=_moved(self.needed, place, new),
                    filled=_moved(self.filled, place, new),
                )
            case DropDefault():
                return self


def _moved(pairs: frozenset[Pair], old: Pair, new: Pair) -> frozenset[Pair]:
    return (pairs - {old}) | {new} if old in pairs else pairs


def _filled_by(operation: WriteRows, sql: str) -> list[str]:
    """The columns that have no NULL left: set in every row, or in just those where the value is missing."""
    if _TO_NULL.search(sql):
        return []
    return [name for name in operation.columns if not operation.where or _where_null(sql, name)]


def _where_null(sql: str, column: str) -> bool:
    """Whether an UPDATE's whole condition is that ``column`` IS NULL."""
    return _WHERE_NULL.search(marked(sql, column)) is not None
