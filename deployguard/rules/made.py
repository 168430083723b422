"""What the upgrade of one revision has made: its downgrade may drop that without losing older data."""

from dataclasses import dataclass, field

from deployguard.operations import (
    AddColumn,
    CreateObject,
    CreateTable,
    CreateType,
    DropColumn,
    DropObject,
    DropTable,
    Operation,
    RebuildTable,
    RenameColumn,
    RenameTable,
)
from deployguard.rules.context import Context


@dataclass(slots=True)
class Made:
    """What a revision's upgrade has made and not dropped again: the downgrade may drop it without losing old data.

    With ``doubtful`` also what IF NOT EXISTS may have found there.
    """

    doubtful: bool = False
    tables: set[str] = field(default_factory=set)
    columns: set[tuple[str, str]] = field(default_factory=set)
    objects: set[str] = field(default_factory=set)

    def note(self, operation: Operation, ctx: Context) -> None:
        match operation:
            case CreateTable(table) if self._surely(operation, ctx):
                self.tables.add(ctx.key(table))
            case AddColumn(table, column) if self.doubtful or not operation.if_not_exists:
                self.columns.add((ctx.key(table), column))
            case CreateType(name) | CreateObject(_, name):
                self.objects.add(ctx.key(name))
            case DropTable(table):
                self.tables.discard(ctx.key(table))
            case DropColumn(table, column):
                self.columns.discard((ctx.key(table), column))
            case DropObject(_, name):
                self.objects.discard(ctx.key(name))
            case RenameTable() | RenameColumn():
                self._rename(operation, ctx)
            case RebuildTable(_, changes):
                for change in changes or ():
                    self.note(change, ctx)
            case _:
                pass

    def _surely(self, operation: CreateTable, ctx: Context) -> bool:
        absent = ctx.facts.tables is not None and ctx.fact(operation.table) is None
        return self.doubtful or absent or not operation.if_not_exists

    def _rename(self, operation: RenameTable | RenameColumn, ctx: Context) -> None:
        table = ctx.key(operation.table)
        if isinstance(operation, RenameColumn):
            if (table, operation.column) in self.columns:
                self.columns.remove((table, operation.column))
                self.columns.add((table, operation.to))
            return
        schema, _, _ = table.rpartition(".")
        to = ctx.key(f"{schema}.{operation.to}" if schema else operation.to)
        if table in self.tables:
            self.tables.remove(table)
            self.tables.add(to)
        self.columns = {(to if owner == table else owner, name) for owner, name in self.columns}

    def concerns(self, operation: Operation, ctx: Context) -> bool:
        """Whether ``operation`` only touches what was made here."""
        if isinstance(operation, DropObject):
            return ctx.key(operation.name) in self.objects
        if isinstance(operation, DropColumn):
            return self.has_column(operation.table, operation.column, ctx)
        table = getattr(operation, "table", "")
        return isinstance(table, str) and self.has_table(table, ctx)

    def has_table(self, table: str, ctx: Context) -> bool:
        return ctx.key(table) in self.tables

    def has_column(self, table: str, column: str, ctx: Context) -> bool:
        return self.has_table(table, ctx) or (ctx.key(table), column) in self.columns
