"""The order in which PostgreSQL carries out the actions of one ALTER TABLE."""

from deployguard.operations import DropColumn, DropConstraint, Operation


def drops_first(operations: tuple[Operation, ...]) -> tuple[Operation, ...]:
    """What is dropped goes first, wherever it is written: ``ADD COLUMN a, DROP COLUMN a`` drops the old one.

    Source: AlterTablePass in PostgreSQL's src/backend/commands/tablecmds.c; held by tests/sql/test_passes.py.
    """
    return tuple(
        sorted(operations, key=lambda one: not isinstance(one, DropColumn | DropConstraint))
    )
