"""`op.add_soft_delete(table)` and its reverse."""

import sqlalchemy as sa
from alembic.operations import MigrateOperation, Operations


@Operations.register_operation("add_soft_delete")
class AddSoftDelete(MigrateOperation):
    def __init__(self, table: str) -> None:
        self.table = table

    @classmethod
    def add_soft_delete(cls, operations: Operations, table: str) -> None:
        operations.invoke(cls(table))

    def reverse(self) -> "DropSoftDelete":
        return DropSoftDelete(self.table)


@Operations.register_operation("drop_soft_delete")
class DropSoftDelete(MigrateOperation):
    def __init__(self, table: str) -> None:
        self.table = table

    @classmethod
    def drop_soft_delete(cls, operations: Operations, table: str) -> None:
        operations.invoke(cls(table))


@Operations.implementation_for(AddSoftDelete)
def add(operations: Operations, operation: AddSoftDelete) -> None:
    operations.add_column(operation.table, sa.Column("deleted_at", sa.DateTime))


@Operations.implementation_for(DropSoftDelete)
def drop(operations: Operations, operation: DropSoftDelete) -> None:
    operations.drop_column(operation.table, "deleted_at")
