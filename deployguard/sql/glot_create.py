"""CREATE and DROP, lowered from sqlglot's trees."""

from sqlglot import exp

from deployguard.operations import (
    AddColumn,
    ColumnShape,
    Constraint,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    DropIndex,
    DropObject,
    DropTable,
    Operation,
    ReadRows,
)
from deployguard.sql.glot_column import column, constraint
from deployguard.sql.glot_names import (
    Operations,
    Unknown,
    child,
    children,
    identifier,
    need,
    only,
    table,
)
from deployguard.sql.glot_query import query
from deployguard.sql.source import Source, dotted

# Properties that change nothing for a rule.
_HARMLESS = (
    exp.EngineProperty, exp.CharacterSetProperty, exp.CollateProperty, exp.SchemaCommentProperty,
    exp.AutoIncrementProperty, exp.RowFormatProperty,
)  # fmt: skip


def create(node: exp.Create, source: Source) -> Operations:
    match str(node.args.get("kind")).upper():
        case "TABLE":
            return _table(node, source)
        case "INDEX":
            only(node, "this", "kind", "unique", "exists", "concurrently")
            return (_index(node, source),)
        case "VIEW":
            only(node, "this", "kind", "expression", "replace", "exists")
            this = child(node, "this")
            name = table(this.this if isinstance(this, exp.Schema) else this, source)
            replaces, exists = bool(node.args.get("replace")), bool(node.args.get("exists"))
            return (CreateObject("view", name, replace=replaces, if_not_exists=exists),)
        case "SCHEMA":
            only(node, "this", "kind", "exists")
            name = identifier(child(node, "this").args.get("db"), source)
            exists = bool(node.args.get("exists"))
            return (CreateObject("schema", name, if_not_exists=exists),)
        case "SEQUENCE":
            only(node, "this", "kind", "exists", "properties")
            name = table(child(node, "this"), source)
            exists = bool(node.args.get("exists"))
            return (CreateObject("sequence", name, if_not_exists=exists),)
        case "TYPE":
            only(node, "this", "kind", "expression")
            return (_enum(node, source),)
        case other:
            raise Unknown(f"CREATE {other}")


def _enum(node: exp.Create, source: Source) -> CreateType:
    values = child(node, "expression")
    need(isinstance(values, exp.DataType) and values.this == exp.DType.ENUM)
    texts = tuple(str(item.this) for item in values.expressions if isinstance(item, exp.Literal))
    need(len(texts) == len(values.expressions))
    return CreateType(table(child(node, "this"), source), values=texts)


def _table(node: exp.Create, source: Source) -> Operations:
    only(node, "this", "kind", "exists", "expression", "properties")
    temporary = _temporary(node)
    exists = bool(node.args.get("exists"))
    this = child(node, "this")
    if node.args.get("expression"):
        need(isinstance(this, exp.Table))
        body = tuple(
            operation
            for operation in query(child(node, "expression"), source)
            if not isinstance(operation, ReadRows)
        )
        made = CreateTable(
            table(this, source), from_query=True, temporary=temporary, if_not_exists=exists
        )
        return (made, *body)
    need(isinstance(this, exp.Schema))
    only(this, "this", "expressions")
    columns: list[AddColumn] = []
    references: list[str] = []
    key: tuple[str, ...] = ()
    for item in children(this, "expressions"):
        if isinstance(item, exp.ColumnDef):
            columns.append(column("", item, source))
            references += [columns[-1].references or ""]
        elif isinstance(item, exp.Identifier):  # SQLite: a column without a type
            columns.append(AddColumn("", identifier(item, source), ""))
        elif not isinstance(item, exp.IndexColumnConstraint):
            added = constraint("", item, source)
            references += [added.references or ""]
            key = (*key, *added.columns) if added.kind is Constraint.PRIMARY_KEY else key
    return (
        CreateTable(
            table(this.this, source),
            columns=tuple(item.column for item in columns),
            references=tuple(dict.fromkeys(name for name in references if name)),
            temporary=temporary,
            if_not_exists=exists,
            shapes=tuple(
                ColumnShape(item.column, item.type, item.nullable and item.column not in key)
                for item in columns
            ),
        ),
    )


def _temporary(node: exp.Create) -> bool:
    properties = node.args.get("properties")
    found = False
    for item in properties.expressions if isinstance(properties, exp.Properties) else []:
        if isinstance(item, exp.TemporaryProperty):
            found = True
        elif not isinstance(item, _HARMLESS):
            raise Unknown(f"CREATE TABLE with {type(item).__name__}")
    return found


def _index(node: exp.Create, source: Source) -> CreateIndex:
    this = child(node, "this")
    need(isinstance(this, exp.Index))
    only(this, "this", "table", "params")
    params = child(this, "params")
    only(params, "columns", "where", "using", "include", "with_storage")
    name = this.args.get("this")
    return CreateIndex(
        table(child(this, "table"), source),
        name=identifier(name, source) if name else "",
        columns=tuple(
            name for item in children(params, "columns") if (name := _indexed(item, source))
        ),
        unique=bool(node.args.get("unique")),
        concurrently=bool(node.args.get("concurrently")),
        if_not_exists=bool(node.args.get("exists")),
    )


def _indexed(node: exp.Expression, source: Source) -> str:
    """The column that an index entry is about; "" for an expression."""
    while isinstance(node, exp.Ordered | exp.Opclass | exp.Collate):
        node = child(node, "this")
    return identifier(node, source) if isinstance(node, exp.Column) else ""


_DROPPED = {"VIEW", "SEQUENCE", "TYPE", "SCHEMA"}


def drop(node: exp.Drop, source: Source) -> Operations:
    only(
        node, "tables", "kind", "exists", "cascade", "restrict", "concurrently", "materialized", "cluster"
    )  # fmt: skip
    kind = str(node.args.get("kind")).upper()
    targets = children(node, "tables")
    need(targets)
    return tuple(_dropped(kind, node, target, source) for target in targets)


def _dropped(kind: str, node: exp.Drop, target: exp.Expression, source: Source) -> Operation:
    cascade, exists = bool(node.args.get("cascade")), bool(node.args.get("exists"))
    if kind == "SCHEMA":
        name = identifier(target.args.get("db"), source)
        return DropObject("schema", name, cascade=cascade, if_exists=exists)
    name = table(target, source)
    if kind == "TABLE":
        return DropTable(name, cascade=cascade, if_exists=exists)
    if kind == "INDEX":
        on = node.args.get("cluster")  # MySQL: DROP INDEX i ON t
        if isinstance(on, exp.OnProperty):
            name = dotted(table(on.this, source), name)
        concurrently = bool(node.args.get("concurrently"))
        return DropIndex(name, concurrently=concurrently, if_exists=exists, cascade=cascade)
    need(kind in _DROPPED)
    what = "materialized view" if node.args.get("materialized") else kind.lower()
    return DropObject(what, name, cascade=cascade, if_exists=exists)
