"""PostgreSQL's CREATE TABLE, CREATE INDEX and the columns and constraints in them, from the server's grammar."""

from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    ColumnShape,
    Constraint,
    CreateIndex,
    CreateObject,
    CreateTable,
    Procedural,
    Unrecognised,
    Volatility,
)
from deployguard.sql.functions import volatility
from deployguard.sql.pg_names import Operations, kind, relation, strings
from deployguard.sql.pg_query import query
from deployguard.sql.source import Source, serial

_KINDS = {
    pb.CONSTR_CHECK: Constraint.CHECK,
    pb.CONSTR_FOREIGN: Constraint.FOREIGN_KEY,
    pb.CONSTR_UNIQUE: Constraint.UNIQUE,
    pb.CONSTR_PRIMARY: Constraint.PRIMARY_KEY,
    pb.CONSTR_EXCLUSION: Constraint.EXCLUDE,
}


def create_table(node: pb.Node, source: Source) -> Operations:
    statement = node.create_stmt
    columns, shapes, references = [], [], []
    for element in statement.table_elts:
        match kind(element):
            case "column_def":
                added = column("", element.column_def, source)
                columns.append(added.column)
                shapes.append(ColumnShape(added.column, added.type, added.nullable))
                references.append(added.references)
            case "constraint":
                constraint = element.constraint
                references.append(relation(constraint.pktable) or None)
                if constraint.contype == pb.CONSTR_PRIMARY:
                    shapes = _keyed(shapes, strings(constraint.keys))
            case "table_like_clause":
                pass
            case other:
                return (Unrecognised(f"CREATE TABLE with {other}"),)
    parents = [relation(parent.range_var) for parent in statement.inh_relations]
    return (
        CreateTable(
            relation(statement.relation),
            columns=tuple(columns),
            references=tuple(dict.fromkeys(table for table in references if table)),
            partition_of=parents[0] if parents and statement.HasField("partbound") else None,
            temporary=statement.relation.relpersistence == "t",
            if_not_exists=statement.if_not_exists,
            shapes=tuple(shapes),
        ),
    )


def _keyed(shapes: list[ColumnShape], key: tuple[str, ...]) -> list[ColumnShape]:
    """A column of the primary key is never null, wherever the key is written."""
    return [
        ColumnShape(shape.name, shape.type, nullable=False) if shape.name in key else shape
        for shape in shapes
    ]


def create_table_as(node: pb.Node) -> Operations:
    statement = node.create_table_as_stmt
    name = relation(statement.into.rel)
    effects: Operations = tuple(
        operation
        for operation in query(statement.query)
        if type(operation).__name__ not in {"ReadRows", "CreateTable"}
    )
    if kind(statement.query) == "execute_stmt":
        effects = (Procedural("execute", statement.query.execute_stmt.name),)
    if statement.objtype == pb.OBJECT_MATVIEW:
        exists = statement.if_not_exists
        return (CreateObject("materialized view", name, if_not_exists=exists), *effects)
    return (
        CreateTable(
            name,
            from_query=True,
            temporary=statement.into.rel.relpersistence == "t",
            if_not_exists=statement.if_not_exists,
        ),
        *effects,
    )


def column(
    table: str, definition: pb.ColumnDef, source: Source, *, if_not_exists: bool = False
) -> AddColumn:
    """A column definition, of CREATE TABLE or of ADD COLUMN."""
    at = source.index(source.character(definition.type_name.location))
    type_text = source.type_at(at)
    default_sql = source.default_after(at)
    nullable, generated, references = True, "serial" if serial(type_text) else "", None
    constraints: list[Constraint] = []
    for node in definition.constraints:
        constraint = node.constraint
        match constraint.contype:
            case pb.CONSTR_NOTNULL:
                nullable = False
            case pb.CONSTR_IDENTITY:
                generated, nullable = "identity", False
            case pb.CONSTR_GENERATED:
                generated = "virtual" if constraint.generated_kind == "v" else "stored"
            case _ if constraint.contype in _KINDS:
                constraints.append(_KINDS[constraint.contype])
                references = relation(constraint.pktable) or references
                nullable = nullable and constraint.contype != pb.CONSTR_PRIMARY
            case _:
                pass  # DEFAULT is read from the text; DEFERRABLE and NULL change nothing here
    return AddColumn(
        table,
        definition.colname,
        type_text,
        nullable=nullable,
        default=volatility(default_sql, source.dialect) if default_sql else Volatility.NONE,
        default_sql=default_sql,
        generated=generated,
        constraints=tuple(constraints),
        references=references,
        if_not_exists=if_not_exists,
    )


def constraint(table: str, value: pb.Constraint, source: Source) -> AddConstraint | Unrecognised:
    """ADD CONSTRAINT of ALTER TABLE."""
    expression = ""
    found = Constraint.NOT_NULL if value.contype == pb.CONSTR_NOTNULL else _KINDS.get(value.contype)
    if found is None:
        return Unrecognised(f"constraint {pb.ConstrType.Name(value.contype)}")
    columns = strings(value.keys)
    if found is Constraint.FOREIGN_KEY:
        columns = strings(value.fk_attrs)
    elif found is Constraint.EXCLUDE:
        columns = tuple(
            element.list.items[0].index_elem.name
            for element in value.exclusions
            if kind(element) == "list"
        )
    elif found is Constraint.CHECK:
        at = source.index(source.character(value.location))
        expression = source.parenthesis_after(at)
    return AddConstraint(
        table,
        found,
        name=value.conname,
        columns=tuple(name for name in columns if name),
        references=relation(value.pktable) or None,
        expression=expression,
        not_valid=value.skip_validation,
        using_index=value.indexname or None,
    )


def create_index(node: pb.Node) -> Operations:
    statement = node.index_stmt
    return (
        CreateIndex(
            relation(statement.relation),
            name=statement.idxname,
            columns=tuple(
                element.index_elem.name
                for element in statement.index_params
                if element.index_elem.name
            ),
            unique=statement.unique,
            concurrently=statement.concurrent,
            only=not statement.relation.inh,
            if_not_exists=statement.if_not_exists,
        ),
    )
