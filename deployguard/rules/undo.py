"""Whether and how one revision can be taken back: what its upgrade loses, and what its downgrade would."""

from collections.abc import Iterable, Iterator

from deployguard.model import Body, Opacity, Opaque, Revision, Script, Undo, Way
from deployguard.operations import (
    AddColumn,
    AlterType,
    CreateObject,
    CreateTable,
    CreateType,
    DropColumn,
    DropObject,
    DropTable,
    Maintain,
    Operation,
    Procedural,
    RebuildTable,
    RewriteTable,
    Truncate,
    Unrecognised,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.dropped import dropped_back, only_new_columns
from deployguard.rules.made import Made
from deployguard.rules.mysql_types import unchanged_rows
from deployguard.rules.returning import LEAVES_NOTHING, compared, fails_back, operations
from deployguard.rules.sqlite import children_lost
from deployguard.rules.types import catalogue_only, keeps_values, plain_cast

_MAKES = (CreateTable, CreateType, CreateObject, AddColumn)
_HIDES = {
    Opaque.FAILED,
    Opaque.UNPARSED,
    Opaque.PROCEDURAL,
    Opaque.APPLICATION_HELPER,
    Opaque.EMPTY,
}
# The other rewrites change how the table is kept.
_ONLY_COPIES = {"vacuum full", "vacuum", "cluster", "optimize"}
_RUNS_CODE = ("do", "call", "execute", "select function", "prepare", "load", "copy program")
_HOLDS = {
    "sequence",
    "extension",
    "schema",
    "database",
    "owned objects",
    "virtual table",
    "foreign table",
}


def judge_undo(revision: Revision, up: Script, down: Script, before: Context) -> Undo:
    """The way back of ``revision``; ``up`` and ``down`` have batch copies put together, ``before`` is the context."""
    upward = tuple(operations(up))
    lost = _lost_by(upward, before)
    if lost:
        return Undo(Way.RESTORE, f"{lost}; the downgrade can't bring that back.")
    copied = children_lost(up, before)
    if copied:
        return Undo(
            Way.RESTORE,
            f"The upgrade copies {copied}, and rows that point at it may go; the downgrade can't"
            " bring them back.",
        )
    written = next((one for one in up.opacities if _writes_unseen(one)), None)
    if written:
        return Undo(Way.RESTORE, "The upgrade changes rows in a way that can't be seen.")
    hidden = _hidden(up)
    if not hidden and _nothing_left(upward, before) and not up.opacities:
        return _nothing(revision, upward, down, before)
    if hidden and not _helper_alone(up, down):
        return Undo(Way.UNKNOWN, f"What the upgrade does is not known completely: {hidden}.")
    if down.body is not Body.PRESENT:
        what = {Body.MISSING: "missing", Body.EMPTY: "empty"}.get(down.body, "only raises")
        return Undo(
            Way.RESTORE,
            f"downgrade() is {what}." if what != "only raises" else "downgrade() only raises.",
        )
    if not upward and up.opacities:
        return Undo(
            Way.UNKNOWN, "What the upgrade does here was decided by something that was not asked."
        )
    return _downgrade(revision, upward, down, before)


def _nothing(
    revision: Revision, upward: tuple[Operation, ...], down: Script, before: Context
) -> Undo:
    """The way back of an upgrade that leaves nothing: its downgrade runs all the same, and may destroy older data."""
    if down.body is Body.PRESENT:
        back = _downgrade(revision, upward, down, before)
        if back.way in (Way.LOSSY, Way.UNKNOWN):
            return back
    return Undo(Way.NOTHING, "The upgrade leaves nothing behind.")


def _downgrade(
    revision: Revision, upward: tuple[Operation, ...], down: Script, before: Context
) -> Undo:
    hidden = _hidden(down) or next(
        (one.detail or one.code for one in down.opacities if one.code is not Opaque.NON_ATOMIC), ""
    )
    if hidden:
        return Undo(Way.UNKNOWN, f"What the downgrade does is not known completely: {hidden}.")
    downward = tuple(operations(down))
    if not downward:
        return Undo(Way.RESTORE, "downgrade() was seen to do nothing.")
    made = made_by(upward, before)
    lost = tuple(dict.fromkeys(_lost_back(upward, downward, made, before)))
    if lost:
        return Undo(Way.LOSSY, f"The downgrade {', and '.join(lost)}.")
    copied = children_lost(down, before)
    if copied and not made.has_table(copied, before):
        return Undo(
            Way.LOSSY, f"The downgrade copies {copied}, and rows that point at it may go with it."
        )
    fails = fails_back(upward, down, before)
    if fails:
        return Undo(Way.RESTORE, f"The downgrade fails: {fails[0][1]}.")
    left = compared(upward, down, before).left
    goes = tuple(
        dict.fromkeys(
            f"{table}.{column}" if column else table
            for table, column in dropped_back(upward, downward, before)
        )
    )
    only = f"The downgrade of {revision.id} only takes back what the upgrade made"
    return Undo(Way.LOSSLESS, f"{only}{f', but it {left[0]}' if left else ''}.", left, goes)


def destroyed_back(upward: tuple[Operation, ...], down: Script, before: Context) -> tuple[str, ...]:
    """What the downgrade drops or empties although the upgrade has certainly not made it."""
    made = Made(doubtful=True)
    for operation in upward:
        made.note(operation, before)
    lost = _lost_back(upward, tuple(operations(down)), made, before)
    return tuple(dict.fromkeys(one for one in lost if one.startswith(("drops", "empties"))))


def readable(script: Script) -> bool:
    """Whether all that a script does was seen."""
    opaque = any(one.code is not Opaque.NON_ATOMIC for one in script.opacities)
    return script.body is Body.PRESENT and not opaque and not _hidden(script)


def made_by(upward: Iterable[Operation], before: Context) -> Made:
    made = Made()
    for operation in upward:
        made.note(operation, before)
    return made


def _writes_unseen(opacity: Opacity) -> bool:
    return opacity.code is Opaque.UNSEEN_WRITES or (
        opacity.code is Opaque.DATA_DEPENDENT and opacity.writes
    )


def _hidden(script: Script) -> str:
    """Why a script is not known completely; "" when it is."""
    # Of procedural statements that were seen, the operation below says more than the opacity.
    seen = {
        statement.line
        for statement in script.statements
        if any(isinstance(operation, Procedural) for operation in statement.operations)
    }
    for opacity in script.opacities:
        known = opacity.code is Opaque.PROCEDURAL and opacity.line in seen
        if opacity.code in _HIDES and not known:
            return opacity.detail or str(opacity.code)
    for operation in operations(script):
        if isinstance(operation, Unrecognised):
            return operation.reason
        if isinstance(operation, RebuildTable):
            return f"what {operation.table} was before"
        if isinstance(operation, Procedural) and operation.what in _RUNS_CODE:
            return f"{operation.what} {operation.name}".strip()
    return ""


def _helper_alone(up: Script, down: Script) -> bool:
    """A helper that can't be read, and no downgrade at all: then it is certain that there is no other way."""
    helper = any(one.code is Opaque.APPLICATION_HELPER for one in up.opacities)
    return helper and down.body is not Body.PRESENT


def _nothing_left(upward: tuple[Operation, ...], before: Context) -> bool:
    """Whether the upgrade has no effect that stays: nothing at all, or what it made it dropped again."""
    made = Made(doubtful=True)
    for operation in upward:
        if isinstance(operation, Maintain) and operation.what.startswith("comment"):
            return False
        if isinstance(operation, RewriteTable) and operation.how not in _ONLY_COPIES:
            return False
        if isinstance(operation, LEAVES_NOTHING):
            continue
        if not (isinstance(operation, _MAKES) or made.concerns(operation, before)):
            return False
        made.note(operation, before)
    return not (made.tables or made.columns or made.objects)


def _lost_by(upward: tuple[Operation, ...], before: Context) -> str:
    """What of the old data the upgrade loses; "" for nothing."""
    ctx = before
    for operation in upward:
        lost = _loss(operation, ctx)
        if lost:
            return lost
        ctx = ctx.after(operation)
    return ""


def _loss(operation: Operation, ctx: Context) -> str:
    match operation:
        case DropTable(table) | Truncate(table) if not ctx.is_made_here(table):
            verb = "drops" if isinstance(operation, DropTable) else "empties"
            return f"The upgrade {verb} {table}"
        case DropColumn(table, column):
            known = ctx.is_made_here(table) or (ctx.key(table), column) in ctx.columns
            return "" if known else f"The upgrade drops {table}.{column}"
        case DropObject(kind, name) if kind in _HOLDS and not ctx.is_new_object(name):
            return f"The upgrade drops the {kind} {name}"
        case DropObject(kind, name, True) if kind in {"type", "domain"} and not ctx.is_new_object(
            name
        ):
            return f"The upgrade drops the columns of type {name}"
        case WriteRows(table, verb) if verb in {
            "update",
            "delete",
            "merge",
        } and not ctx.is_made_here(table):
            return f"The upgrade changes rows of {table}"
        case AlterType(table, column) if not ctx.is_made_here(table) and not _keeps(operation, ctx):
            return f"The upgrade may lose values of {table}.{column}"
        case _:
            return ""


def _keeps(operation: AlterType, ctx: Context) -> bool:
    if ctx.mysql and unchanged_rows(operation.old_type, operation.type, ctx.dialect):
        return True
    if operation.using_sql and not plain_cast(operation.using_sql, operation.column):
        return False
    return keeps_values(operation.old_type, operation.type)


def _lost_back(
    upward: tuple[Operation, ...], downward: tuple[Operation, ...], made: Made, before: Context
) -> Iterator[str]:
    """What each step of the downgrade may lose besides what the upgrade made."""
    # A serial column's sequence is named after its table, and goes with it.
    counters = tuple(f"{table}_" for table in made.tables)
    for operation in downward:
        match operation:
            case DropTable(table) if not made.has_table(table, before):
                yield f"drops {table}, which the upgrade did not make"
            case DropColumn(table, column) if not made.has_column(table, column, before):
                yield f"drops {table}.{column}, which the upgrade did not make"
            case Truncate(table) if not made.has_table(table, before):
                yield f"empties {table}"
            case DropObject(kind, name) if kind in _HOLDS and before.key(name) not in made.objects:
                if kind != "sequence" or not before.key(name).startswith(counters):
                    yield f"drops the {kind} {name}"
            case WriteRows(table, verb) if verb != "insert" and not made.has_table(table, before):
                if not only_new_columns(operation, made, before):
                    yield f"changes rows of {table}"
            case AlterType(table, column) if not made.has_column(table, column, before):
                if not _back_is_free(operation, upward):
                    yield f"turns {table}.{column} back into {operation.type}"
            case _:
                made.note(operation, before)


def _back_is_free(operation: AlterType, upward: tuple[Operation, ...]) -> bool:
    """Whether turning the type back touches no value; the type that the upgrade gave it is the surest."""
    place = (operation.table, operation.column)
    changed = [
        step.type
        for step in upward
        if isinstance(step, AlterType) and (step.table, step.column) == place
    ]
    old = changed[-1] if changed else operation.old_type
    return bool(catalogue_only(old, operation.type)) and not operation.using_sql
