"""The downgrade replayed behind its upgrade: whether it runs, and whether it leads back to the same schema."""

from collections.abc import Iterator
from dataclasses import replace

from deployguard.model import Script
from deployguard.operations import (
    ControlTransaction,
    LockTable,
    Maintain,
    Operation,
    ReadRows,
    RebuildTable,
    RefreshView,
    Reindex,
    RewriteTable,
    SetSetting,
    ValidateConstraint,
)
from deployguard.rules.context import Context
from deployguard.rules.inverse import Comparison, compare
from deployguard.rules.transactions import not_in_a_transaction

# Nothing of these is there to be taken back.
LEAVES_NOTHING = (
    ControlTransaction, LockTable, Maintain, ReadRows, RefreshView, Reindex, RewriteTable, SetSetting,
    ValidateConstraint,
)  # fmt: skip


def operations(script: Script) -> Iterator[Operation]:
    """Every operation of a script in order, a rebuilt table's changes in place of it."""
    for statement in script.statements:
        for operation in statement.operations:
            if isinstance(operation, RebuildTable) and operation.changes is not None:
                yield from operation.changes
            else:
                yield operation


def compared(upward: tuple[Operation, ...], down: Script, before: Context) -> Comparison:
    """The schema after upgrade and downgrade, against the one before."""
    downward = tuple(operations(down))
    if all(isinstance(one, LEAVES_NOTHING) for one in downward):
        return Comparison(unknown=True)  # it takes nothing back, and that is said elsewhere
    found = compare(upward, downward, before.key)
    # Elsewhere an index's name is its table's alone, so that two of them may bear the same.
    return found if before.postgresql or before.sqlite else replace(found, fails=())


def fails_back(
    upward: tuple[Operation, ...], down: Script, before: Context
) -> tuple[tuple[int, str], ...]:
    """(line, why) of what the downgrade can't do: refused in a transaction, or done to what is not there."""
    found = [
        (statement.line, refusal[:1].lower() + refusal[1:].rstrip("."))
        for statement in down.statements
        for operation in statement.operations
        for refusal in refused(
            operation, before, in_transaction=statement.in_transaction or statement.place > 0
        )
    ]
    found += [(down.line, f"it {why}") for why in compared(upward, down, before).fails]
    return tuple(found)


def refused(operation: Operation, ctx: Context, *, in_transaction: bool) -> Iterator[str]:
    """What PostgreSQL does not do in a transaction, where it is in one."""
    answer = not_in_a_transaction.check(operation, ctx.at("", in_transaction=in_transaction))
    if answer is not None:
        yield answer if isinstance(answer, str) else answer.message
