"""ALTER TABLE, one of our operations for each action, lowered from sqlglot's trees."""

from collections.abc import Iterator

from sqlglot import exp

from deployguard.operations import (
    AddConstraint,
    AlterTable,
    AlterType,
    Constraint,
    CreateIndex,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    SetDefault,
    SetNotNull,
)
from deployguard.sql.glot_column import column, constraint
from deployguard.sql.glot_names import (
    Operations,
    Unknown,
    child,
    children,
    identifier,
    identifiers,
    need,
    only,
    table,
    token_at,
)
from deployguard.sql.passes import drops_first
from deployguard.sql.source import Source, dotted


def alter(node: exp.Alter, source: Source) -> Operations:
    only(node, "this", "kind", "exists", "actions", "only", "not_valid")
    name = table(child(node, "this"), source)
    actions = children(node, "actions")
    need(actions)
    kind = str(node.args.get("kind")).upper()
    if kind == "INDEX":
        need(len(actions) == 1 and isinstance(actions[0], exp.AlterRename))
        return (RenameIndex(name, identifier(actions[0].this, source)),)
    need(kind == "TABLE")
    if node.args.get("not_valid"):
        # sqlglot keeps it for the statement; only with one action is it clear what it belongs to.
        need(len(actions) == 1 and isinstance(actions[0], exp.AddConstraint))
    found = tuple(
        operation for action in actions for operation in _action(name, node, action, source)
    )
    need(found)
    return drops_first(found) if source.dialect == "postgresql" else found


def _action(
    name: str, node: exp.Alter, action: exp.Expression, source: Source
) -> Iterator[Operation]:
    match action:
        case exp.ColumnDef():
            yield column(name, action, source)
        case exp.AlterColumn():
            yield _alter_column(name, action, source)
        case exp.Drop():
            yield from _drop(name, action, source)
        case exp.RenameColumn():
            need(not action.args.get("exists"))
            yield RenameColumn(
                name, identifier(action.this, source), identifier(child(action, "to"), source)
            )
        case exp.AlterRename():
            yield RenameTable(name, identifier(action.this, source))
        case exp.AddConstraint():
            yield _add_constraint(name, node, action, source)
        case exp.ModifyColumn():
            yield from _modify(name, action, source)
        case exp.DropPrimaryKey():
            yield DropConstraint(name, "PRIMARY")
        case _:
            raise Unknown(f"ALTER TABLE with {type(action).__name__}")


def _alter_column(name: str, action: exp.AlterColumn, source: Source) -> Operation:
    only(action, "this", "dtype", "collate", "using", "default", "drop", "allow_null")
    own = identifier(action.this, source)
    at = token_at(child(action, "this"), source)
    if action.args.get("dtype"):
        start = source.find("type", start=at + 1)
        need(0 < start <= at + 4)  # TYPE, or SET DATA TYPE
        return AlterType(
            name,
            own,
            source.type_at(start),
            using=bool(action.args.get("using")),
            using_sql=source.using_after(start),
            collation=bool(action.args.get("collate")),
        )
    if action.args.get("default"):
        need(source.find("set", "default", start=at + 1) == at + 3)
        return SetDefault(name, own, source.expression_at(at + 3))
    if action.args.get("drop"):
        return DropNotNull(name, own) if action.args.get("allow_null") else DropDefault(name, own)
    need(action.args.get("allow_null") is False)
    return SetNotNull(name, own)


def _drop(name: str, action: exp.Drop, source: Source) -> Iterator[Operation]:
    only(action, "tables", "kind", "exists", "cascade", "restrict")
    cascade, exists = bool(action.args.get("cascade")), bool(action.args.get("exists"))
    kind = str(action.args.get("kind")).upper()
    for target in children(action, "tables"):
        own = identifier(target, source)
        if kind == "COLUMN":
            yield DropColumn(name, own, cascade=cascade, if_exists=exists)
        elif kind in {"CONSTRAINT", "FOREIGN KEY", "CHECK"}:
            yield DropConstraint(name, own, cascade=cascade, if_exists=exists)
        elif kind in {"INDEX", "KEY"}:
            yield DropIndex(dotted(name, own), if_exists=exists)
        else:
            raise Unknown(f"DROP {kind}")


def _add_constraint(
    name: str, node: exp.Alter, action: exp.AddConstraint, source: Source
) -> AddConstraint | CreateIndex:
    only(action, "expressions")
    need(len(action.expressions) == 1)
    item = action.expressions[0]
    if isinstance(item, exp.IndexColumnConstraint):
        only(item, "this", "expressions", "index_type")
        return CreateIndex(
            name, identifier(item.this, source), identifiers(item.expressions, source)
        )
    # An unnamed CHECK is only found in the text when it is the statement's only action.
    found = constraint(name, item, source)
    need(found.name or found.kind is not Constraint.CHECK or len(node.args["actions"]) == 1)
    if not node.args.get("not_valid"):
        return found
    return AddConstraint(
        found.table,
        found.kind,
        found.name,
        found.columns,
        found.references,
        found.expression,
        not_valid=True,
    )


def _modify(name: str, action: exp.ModifyColumn, source: Source) -> Iterator[Operation]:
    """MySQL's MODIFY and CHANGE restate the whole column: the type may be new, NOT NULL and the default are."""
    only(action, "this", "rename_from")
    definition = child(action, "this")
    if not isinstance(definition, exp.ColumnDef):
        raise Unknown("MODIFY without a column")
    stated = column(name, definition, source)
    own = stated.column
    if action.args.get("rename_from"):
        own = identifier(action.args["rename_from"], source)
        if own != stated.column:
            yield RenameColumn(name, own, stated.column)
    yield AlterType(name, stated.column, stated.type)
    yield DropNotNull(name, stated.column) if stated.nullable else SetNotNull(name, stated.column)
    if stated.generated:
        yield AlterTable(name, f"generated {stated.generated}")
