"""PostgreSQL's statements that few migrations have: servers, subscriptions, search, operators, tablespaces.

Source: https://www.postgresql.org/docs/18/sql-commands.html; what each of them endangers is on its own page there.
"""

from collections.abc import Callable, Mapping

from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    AddConstraint,
    AlterObject,
    ChangeAccess,
    Constraint,
    CreateObject,
    DropConstraint,
    DropObject,
    Operation,
    Procedural,
    RewriteTable,
)
from deployguard.sql.pg_names import (
    Operations,
    definition,
    name,
    object_kind,
    object_name,
    relation,
)


def _altered(what: str, target: str, action: str = "set") -> Operations:
    return (AlterObject(what, target, action),)


def _made(what: str, target: str, *, replace: bool = False, exists: bool = False) -> Operations:
    return (CreateObject(what, target, replace=replace, if_not_exists=exists),)


def _gone(what: str, target: str, *, cascade: bool = False, exists: bool = False) -> Operations:
    return (DropObject(what, target, cascade=cascade, if_exists=exists),)


def _access(what: str, target: str) -> Operations:
    return (ChangeAccess(what, target),)


def _runs(what: str, target: str) -> Operations:
    return (Procedural(what, target),)


def _depends(node: pb.Node) -> Operations:
    value = node.alter_object_depends_stmt
    target = relation(value.relation) or object_name(value.object)
    return _altered(object_kind(value.object_type), target, "depends on extension")


def _database(node: pb.Node) -> Operations:
    value = node.alter_database_stmt
    if any(item.def_elem.defname == "tablespace" for item in value.options):
        return (RewriteTable("*", "set tablespace"),)
    return _access("settings of the database", value.dbname)


def _search(node: pb.Node) -> Operations:
    value = node.alter_tsconfiguration_stmt
    return _altered("text search configuration", name(value.cfgname), "mapping")


def _system(node: pb.Node) -> Operations:
    return _runs("alter system", node.alter_system_stmt.setstmt.name)


def _labelled(node: pb.Node) -> Operations:
    return _access("security label", object_name(node.sec_label_stmt.object))


def _imported(node: pb.Node) -> Operations:
    value = node.import_foreign_schema_stmt
    return _made("foreign tables", value.local_schema)


def _mapping(server: str) -> Operations:
    return _access("user mapping", server)


def enforced(table: str, command: pb.AlterTableCmd) -> Operation | None:
    """ALTER CONSTRAINT … [NOT] ENFORCED (18): every row is checked, or none from now on; None for its other forms."""
    value: pb.Node = definition(command)
    change = value.atalter_constraint
    if not change.alter_enforceability:
        return None
    if change.is_enforced:
        return AddConstraint(table, Constraint.FOREIGN_KEY, change.conname)
    return DropConstraint(table, change.conname)


RARE: Mapping[str, Callable[[pb.Node], Operations]] = {
    "alter_table_move_all_stmt": lambda _: (RewriteTable("*", "set tablespace"),),
    "alter_object_depends_stmt": _depends,
    "alter_collation_stmt": lambda n: _altered(
        "collation", name(n.alter_collation_stmt.collname), "refresh version"
    ),
    "alter_database_stmt": _database,
    "alter_database_set_stmt": lambda n: _access(
        "settings of the database", n.alter_database_set_stmt.dbname
    ),
    "alter_database_refresh_coll_stmt": lambda n: _altered(
        "database", n.alter_database_refresh_coll_stmt.dbname, "refresh version"
    ),
    "alter_event_trig_stmt": lambda n: _runs(
        "alter event trigger", n.alter_event_trig_stmt.trigname
    ),
    "alter_extension_contents_stmt": lambda n: _altered(
        "extension", n.alter_extension_contents_stmt.extname, "members"
    ),
    "alter_fdw_stmt": lambda n: _access("foreign data wrapper", n.alter_fdw_stmt.fdwname),
    "alter_foreign_server_stmt": lambda n: _access(
        "server", n.alter_foreign_server_stmt.servername
    ),
    "create_user_mapping_stmt": lambda n: _mapping(n.create_user_mapping_stmt.servername),
    "alter_user_mapping_stmt": lambda n: _mapping(n.alter_user_mapping_stmt.servername),
    "drop_user_mapping_stmt": lambda n: _mapping(n.drop_user_mapping_stmt.servername),
    "alter_operator_stmt": lambda n: _altered(
        "operator", name(n.alter_operator_stmt.opername.objname)
    ),
    "alter_op_family_stmt": lambda n: _altered(
        "operator family", name(n.alter_op_family_stmt.opfamilyname)
    ),
    "create_op_family_stmt": lambda n: _made(
        "operator family", name(n.create_op_family_stmt.opfamilyname)
    ),
    "alter_stats_stmt": lambda n: _altered("statistics", name(n.alter_stats_stmt.defnames)),
    # It copies the tables of another server into those of this one.
    "create_subscription_stmt": lambda n: _runs(
        "create subscription", n.create_subscription_stmt.subname
    ),
    "alter_subscription_stmt": lambda n: _runs(
        "alter subscription", n.alter_subscription_stmt.subname
    ),
    "drop_subscription_stmt": lambda n: _gone(
        "subscription",
        n.drop_subscription_stmt.subname,
        exists=n.drop_subscription_stmt.missing_ok,
    ),
    "alter_system_stmt": _system,
    "create_table_space_stmt": lambda n: _made(
        "tablespace", n.create_table_space_stmt.tablespacename
    ),
    "drop_table_space_stmt": lambda n: _gone(
        "tablespace",
        n.drop_table_space_stmt.tablespacename,
        exists=n.drop_table_space_stmt.missing_ok,
    ),
    "alter_table_space_options_stmt": lambda n: _altered(
        "tablespace", n.alter_table_space_options_stmt.tablespacename
    ),
    "alter_tsconfiguration_stmt": _search,
    "alter_tsdictionary_stmt": lambda n: _altered(
        "text search dictionary", name(n.alter_tsdictionary_stmt.dictname)
    ),
    "create_am_stmt": lambda n: _made("access method", n.create_am_stmt.amname),
    "create_conversion_stmt": lambda n: _made(
        "conversion", name(n.create_conversion_stmt.conversion_name)
    ),
    "create_plang_stmt": lambda n: _made(
        "language", n.create_plang_stmt.plname, replace=n.create_plang_stmt.replace
    ),
    "create_transform_stmt": lambda n: _made(
        "transform",
        name(n.create_transform_stmt.type_name.names),
        replace=n.create_transform_stmt.replace,
    ),
    "import_foreign_schema_stmt": _imported,
    "sec_label_stmt": _labelled,
}
