"""PostgreSQL's CREATE, DROP, RENAME and SET SCHEMA of everything that is no table, from the server's grammar."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    AddEnumValue,
    AlterObject,
    ChangeAccess,
    ChangeTrigger,
    CreateObject,
    CreateType,
    DropIndex,
    DropObject,
    DropTable,
    Operation,
    Procedural,
    RenameColumn,
    RenameConstraint,
    RenameEnumValue,
    RenameIndex,
    RenameTable,
    SetSchema,
)
from deployguard.sql.pg_names import (
    Operations,
    cascades,
    kind,
    name,
    object_kind,
    object_name,
    relation,
    strings,
)
from deployguard.sql.source import dotted

_ON_TABLE = {pb.OBJECT_TRIGGER, pb.OBJECT_POLICY, pb.OBJECT_RULE}
_TABLE_KINDS = {pb.OBJECT_TABLE, pb.OBJECT_FOREIGN_TABLE}


def drop(node: pb.Node) -> Operations:
    return tuple(_drops(node.drop_stmt))


def _drops(statement: pb.DropStmt) -> Iterator[Operation]:
    cascade, if_exists = cascades(statement.behavior), statement.missing_ok
    what = object_kind(statement.remove_type)
    for item in statement.objects:
        target = object_name(item)
        if statement.remove_type == pb.OBJECT_TABLE:
            yield DropTable(target, cascade=cascade, if_exists=if_exists)
        elif statement.remove_type == pb.OBJECT_INDEX:
            yield DropIndex(
                target, concurrently=statement.concurrent, if_exists=if_exists, cascade=cascade
            )
        elif statement.remove_type in _ON_TABLE:
            table, _, own = target.rpartition(".")
            yield _drop_on_table(statement.remove_type, table, own)
        else:
            yield DropObject(what, target, cascade=cascade, if_exists=if_exists)


def _drop_on_table(what: pb.ObjectType, table: str, own: str) -> Operation:
    if what == pb.OBJECT_TRIGGER:
        return ChangeTrigger(table, "drop", own)
    if what == pb.OBJECT_POLICY:
        return ChangeAccess("policy", table)
    return DropObject("rule", dotted(table, own))


def rename(node: pb.Node) -> Operations:
    statement = node.rename_stmt
    table = relation(statement.relation)
    what = statement.rename_type
    if what == pb.OBJECT_COLUMN and statement.relation_type in _TABLE_KINDS:
        return (RenameColumn(table, statement.subname, statement.newname),)
    if what in _TABLE_KINDS:
        return (RenameTable(table, statement.newname),)
    if what == pb.OBJECT_INDEX:
        return (RenameIndex(table, statement.newname),)
    if what == pb.OBJECT_TABCONSTRAINT:
        return (RenameConstraint(table, statement.subname, statement.newname),)
    if what == pb.OBJECT_TRIGGER:
        return (ChangeTrigger(table, "rename", statement.subname),)
    if what in {pb.OBJECT_POLICY, pb.OBJECT_ROLE}:
        return (ChangeAccess(object_kind(what), table or statement.subname),)
    if what == pb.OBJECT_COLUMN:
        action = f"rename column {statement.subname} to {statement.newname}"
        return (AlterObject(object_kind(statement.relation_type), table, action),)
    if what == pb.OBJECT_ATTRIBUTE:
        action = f"rename attribute {statement.subname} to {statement.newname}"
        return (AlterObject("type", table, action),)
    target = table or object_name(statement.object) or statement.subname
    action = (
        "rename constraint" if what == pb.OBJECT_DOMCONSTRAINT else f"rename to {statement.newname}"
    )
    return (AlterObject(object_kind(what), target, action),)


def set_schema(node: pb.Node) -> Operations:
    statement = node.alter_object_schema_stmt
    if statement.object_type in _TABLE_KINDS:
        return (SetSchema(relation(statement.relation), statement.newschema),)
    target = relation(statement.relation) or object_name(statement.object)
    action = f"set schema {statement.newschema}"
    return (AlterObject(object_kind(statement.object_type), target, action),)


def alter_enum(node: pb.Node) -> Operations:
    statement = node.alter_enum_stmt
    type_name = name(statement.type_name)
    if statement.old_val:
        return (RenameEnumValue(type_name, statement.old_val, statement.new_val),)
    return (AddEnumValue(type_name, statement.new_val),)


def create_type(node: pb.Node) -> Operations:
    match kind(node):
        case "create_enum_stmt":
            enum = node.create_enum_stmt
            return (CreateType(name(enum.type_name), values=strings(enum.vals)),)
        case "composite_type_stmt":
            return (CreateType(relation(node.composite_type_stmt.typevar)),)
        case _:
            return (CreateType(name(node.create_range_stmt.type_name)),)


def define(node: pb.Node) -> Operations:
    """CREATE AGGREGATE, OPERATOR, TYPE (base), TEXT SEARCH …, COLLATION."""
    statement = node.define_stmt
    target = name(statement.defnames)
    if statement.kind == pb.OBJECT_TYPE:
        return (CreateType(target),)
    return (CreateObject(object_kind(statement.kind), target, replace=statement.replace),)


def create_trigger(node: pb.Node) -> Operations:
    statement = node.create_trig_stmt
    return (ChangeTrigger(relation(statement.relation), "create", statement.trigname),)


def create_function(node: pb.Node) -> Operations:
    statement = node.create_function_stmt
    verb = "replace" if statement.replace else "create"
    what = "procedure" if statement.is_procedure else "function"
    return (Procedural(f"{verb} {what}", name(statement.funcname)),)


def grant(node: pb.Node) -> Operations:
    statement = node.grant_stmt
    targets = ", ".join(object_name(item) for item in statement.objects)
    return (ChangeAccess("grant" if statement.is_grant else "revoke", targets),)


def owner(node: pb.Node) -> Operations:
    statement = node.alter_owner_stmt
    return (ChangeAccess("owner", relation(statement.relation) or object_name(statement.object)),)


def drop_database(node: pb.Node) -> Operations:
    statement = node.dropdb_stmt
    return (DropObject("database", statement.dbname, if_exists=statement.missing_ok),)
