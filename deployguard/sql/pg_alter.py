"""PostgreSQL's ALTER TABLE and its like, one of our operations for each action, from the server's grammar."""

from collections.abc import Callable, Mapping

from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    AlterObject,
    AlterTable,
    AlterType,
    AttachIndex,
    AttachPartition,
    ChangeAccess,
    ChangeTrigger,
    DetachPartition,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropNotNull,
    Operation,
    RewriteTable,
    SetDefault,
    SetNotNull,
    Unrecognised,
    ValidateConstraint,
)
from deployguard.sql.passes import drops_first
from deployguard.sql.pg_names import (
    Operations,
    cascades,
    definition,
    kind,
    messages,
    object_kind,
    relation,
)
from deployguard.sql.pg_rare import enforced
from deployguard.sql.pg_table import column, constraint
from deployguard.sql.source import Source

_TABLES = {pb.OBJECT_TABLE, pb.OBJECT_FOREIGN_TABLE}

# Settings of a table or a column: no rewrite, nothing lost.
_SETTINGS: Mapping[int, str] = {
    pb.AT_SetStatistics: "set statistics",
    pb.AT_SetOptions: "set (column options)",
    pb.AT_ResetOptions: "reset (column options)",
    pb.AT_SetStorage: "set storage",
    pb.AT_SetCompression: "set compression",
    pb.AT_SetRelOptions: "set (options)",
    pb.AT_ResetRelOptions: "reset (options)",
    pb.AT_ReplicaIdentity: "replica identity",
    pb.AT_ClusterOn: "cluster on",
    pb.AT_DropCluster: "set without cluster",
    pb.AT_AddIdentity: "add identity",
    pb.AT_SetIdentity: "set identity",
    pb.AT_DropIdentity: "drop identity",
    pb.AT_DropExpression: "drop expression",
    pb.AT_AddInherit: "inherit",
    pb.AT_DropInherit: "no inherit",
    pb.AT_AddOf: "of type",
    pb.AT_DropOf: "not of type",
    pb.AT_DropOids: "set without oids",
    pb.AT_AlterConstraint: "alter constraint",
    pb.AT_EnableRule: "enable rule",
    pb.AT_EnableAlwaysRule: "enable rule",
    pb.AT_EnableReplicaRule: "enable rule",
    pb.AT_DisableRule: "disable rule",
    pb.AT_GenericOptions: "options",
    pb.AT_AlterColumnGenericOptions: "options",
    pb.AT_DetachPartitionFinalize: "detach partition finalize",
}
_REWRITES: Mapping[int, str] = {
    pb.AT_SetLogged: "set logged",
    pb.AT_SetUnLogged: "set unlogged",
    pb.AT_SetTableSpace: "set tablespace",
    pb.AT_SetAccessMethod: "set access method",
    pb.AT_SetExpression: "set expression",
}
_TRIGGERS: Mapping[int, str] = {
    pb.AT_EnableTrig: "enable",
    pb.AT_EnableAlwaysTrig: "enable",
    pb.AT_EnableReplicaTrig: "enable",
    pb.AT_EnableTrigAll: "enable",
    pb.AT_EnableTrigUser: "enable",
    pb.AT_DisableTrig: "disable",
    pb.AT_DisableTrigAll: "disable",
    pb.AT_DisableTrigUser: "disable",
}
_ROW_SECURITY = {
    pb.AT_EnableRowSecurity,
    pb.AT_DisableRowSecurity,
    pb.AT_ForceRowSecurity,
    pb.AT_NoForceRowSecurity,
}

_Action = Callable[[str, pb.AlterTableCmd, Source], Operation]


def alter_table(node: pb.Node, source: Source) -> Operations:
    """Every action of one ALTER TABLE (INDEX, SEQUENCE, VIEW, TYPE, …)."""
    statement = node.alter_table_stmt
    name = relation(statement.relation)
    commands = tuple(command.alter_table_cmd for command in statement.cmds)
    if statement.objtype in _TABLES:
        return drops_first(tuple(_table_action(name, command, source) for command in commands))
    return tuple(_object_action(statement.objtype, name, command) for command in commands)


def _object_action(objtype: pb.ObjectType, name: str, command: pb.AlterTableCmd) -> Operation:
    what = object_kind(objtype)
    if command.subtype == pb.AT_ChangeOwner:
        return ChangeAccess("owner", name)
    if objtype == pb.OBJECT_INDEX and command.subtype == pb.AT_AttachPartition:
        return AttachIndex(name, relation(definition(command).partition_cmd.name))
    if objtype in {pb.OBJECT_INDEX, pb.OBJECT_MATVIEW} and command.subtype in _REWRITES:
        return RewriteTable(name, _REWRITES[command.subtype])
    if objtype == pb.OBJECT_TYPE and command.subtype == pb.AT_DropColumn:
        return AlterObject(what, name, f"drop attribute {command.name}")
    if objtype == pb.OBJECT_TYPE and command.subtype == pb.AT_AlterColumnType:
        return AlterObject(what, name, f"alter attribute {command.name}")
    if objtype == pb.OBJECT_TYPE and command.subtype == pb.AT_AddColumn:
        return AlterObject(what, name, "add attribute")
    return AlterObject(what, name, _SETTINGS.get(command.subtype, _subtype(command)))


def _table_action(table: str, command: pb.AlterTableCmd, source: Source) -> Operation:
    reader = _ACTIONS.get(command.subtype)
    if reader is not None:
        return reader(table, command, source)
    if command.subtype == pb.AT_AlterConstraint and (found := enforced(table, command)):
        return found
    if command.subtype == pb.AT_SetIdentity and _restarts(command):
        return AlterObject("sequence", f"{table}.{command.name}", "set restart")
    if command.subtype in _SETTINGS:
        return AlterTable(table, _SETTINGS[command.subtype])
    if command.subtype in _REWRITES:
        return RewriteTable(table, _REWRITES[command.subtype])
    if command.subtype in _TRIGGERS:
        return ChangeTrigger(table, _TRIGGERS[command.subtype], command.name)
    if command.subtype in _ROW_SECURITY:
        return ChangeAccess("row security", table)
    if command.subtype == pb.AT_ChangeOwner:
        return ChangeAccess("owner", table)
    return Unrecognised(f"ALTER TABLE with {_subtype(command)}")


def _restarts(command: pb.AlterTableCmd) -> bool:
    """Whether an identity column's counter is set back: RESTART, or SET START behind it."""
    return any(item.def_elem.defname == "restart" for item in definition(command).list.items)


def _subtype(command: pb.AlterTableCmd) -> str:
    words: str = pb.AlterTableType.Name(command.subtype)
    return words.removeprefix("AT_")


def _add_column(table: str, command: pb.AlterTableCmd, source: Source) -> Operation:
    return column(table, definition(command).column_def, source, if_not_exists=command.missing_ok)


def _drop_column(table: str, command: pb.AlterTableCmd, _: Source) -> Operation:
    return DropColumn(
        table, command.name, cascade=cascades(command.behavior), if_exists=command.missing_ok
    )


def _alter_type(table: str, command: pb.AlterTableCmd, source: Source) -> Operation:
    value = definition(command).column_def
    at = source.index(source.character(value.type_name.location))
    return AlterType(
        table,
        command.name,
        source.type_at(at),
        using=bool(kind(value.raw_default)),
        using_sql=source.using_after(at),
        collation=value.HasField("coll_clause"),
    )


def _default(table: str, command: pb.AlterTableCmd, source: Source) -> Operation:
    if not kind(definition(command)):
        return DropDefault(table, command.name)
    return SetDefault(table, command.name, _set_default_text(command, source))


def _set_default_text(command: pb.AlterTableCmd, source: Source) -> str:
    """The expression as written: the tree holds no place for the action, but one for what is inside of it."""
    places = [
        place
        for message in messages(definition(command))
        if (place := getattr(message, "location", -1)) > 0
    ]
    inside = source.index(source.character(min(places))) if places else 0
    at = found = 0
    while 0 < (at := source.find("set", "default", start=at)) <= inside:
        found = at
    return source.expression_at(found) if found else ""


def _add_constraint(table: str, command: pb.AlterTableCmd, source: Source) -> Operation:
    return constraint(table, definition(command).constraint, source)


def _drop_constraint(table: str, command: pb.AlterTableCmd, _: Source) -> Operation:
    return DropConstraint(
        table, command.name, cascade=cascades(command.behavior), if_exists=command.missing_ok
    )


def _attach(table: str, command: pb.AlterTableCmd, _: Source) -> Operation:
    return AttachPartition(table, relation(definition(command).partition_cmd.name))


def _detach(table: str, command: pb.AlterTableCmd, _: Source) -> Operation:
    value = definition(command).partition_cmd
    return DetachPartition(table, relation(value.name), concurrently=value.concurrent)


_ACTIONS: Mapping[int, _Action] = {
    pb.AT_AddColumn: _add_column,
    pb.AT_DropColumn: _drop_column,
    pb.AT_AlterColumnType: _alter_type,
    pb.AT_ColumnDefault: _default,
    pb.AT_SetNotNull: lambda table, command, _: SetNotNull(table, command.name),
    pb.AT_DropNotNull: lambda table, command, _: DropNotNull(table, command.name),
    pb.AT_AddConstraint: _add_constraint,
    pb.AT_ValidateConstraint: lambda table, command, _: ValidateConstraint(table, command.name),
    pb.AT_DropConstraint: _drop_constraint,
    pb.AT_AttachPartition: _attach,
    pb.AT_DetachPartition: _detach,
}


def alter_domain(node: pb.Node) -> Operations:
    """ALTER DOMAIN: adding a constraint scans every table that uses the domain."""
    statement = node.alter_domain_stmt
    name = ".".join(part.string.sval for part in statement.type_name)
    value = definition(statement)
    match statement.subtype:
        case "C":
            action = "add constraint"
            if kind(value) == "constraint" and value.constraint.skip_validation:
                action += " not valid"
        case "T":
            action = "set default" if kind(value) else "drop default"
        case other:
            action = {
                "N": "drop not null",
                "O": "set not null",
                "X": "drop constraint",
                "V": "validate constraint",
            }.get(other, other)
    return (AlterObject("domain", name, action),)
