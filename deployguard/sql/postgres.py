"""The second reader on PostgreSQL: libpg_query's tree of one statement, lowered to our operations."""

from collections.abc import Callable, Iterable, Mapping

import postgast
from google.protobuf.message import DecodeError
from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    AlterObject,
    AlterTable,
    ChangeAccess,
    ControlTransaction,
    CreateObject,
    DropObject,
    LockTable,
    Maintain,
    Procedural,
    ReadRows,
    RefreshView,
    Reindex,
    RewriteTable,
    SetSetting,
    Truncate,
    Unrecognised,
)
from deployguard.sql import pg_alter, pg_block, pg_objects, pg_query, pg_table
from deployguard.sql.pg_names import (
    Operations,
    cascades,
    kind,
    literal,
    name,
    object_kind,
    object_name,
    option,
    relation,
)
from deployguard.sql.pg_rare import RARE
from deployguard.sql.source import Source


def lower(source: Source) -> Operations:
    """The operations of exactly one statement; a single Unrecognised for what is not PostgreSQL."""
    try:
        tree = postgast.parse(source.masked)
    except postgast.PgQueryError as error:
        return (Unrecognised(f"not PostgreSQL: {error}"),)
    except DecodeError:
        return (Unrecognised("nested too deeply to be read"),)
    if len(tree.stmts) != 1:
        return (Unrecognised(f"{len(tree.stmts)} statements where one was expected"),)
    try:
        return statement(tree.stmts[0].stmt, source)
    except (IndexError, KeyError, ValueError, RecursionError) as error:
        # A tree of a shape that this reader has never met: said as a finding, never a crash.
        return (Unrecognised(f"an unexpected tree ({type(error).__name__})"),)


def statement(node: pb.Node, source: Source) -> Operations:
    what = kind(node)
    if what in _WITH_TEXT:
        return _WITH_TEXT[what](node, source)
    reader = _PLAIN.get(what) or RARE.get(what)
    if reader is not None:
        return reader(node)
    return (Unrecognised(f"no rule for {what.removesuffix('_stmt').replace('_', ' ')}"),)


def _transaction(node: pb.Node) -> Operations:
    words = pb.TransactionStmtKind.Name(node.transaction_stmt.kind).removeprefix("TRANS_STMT_")
    action = {"start": "begin", "rollback_to": "rollback to"}.get(words.lower(), words.lower())
    return (ControlTransaction(action.replace("_", " ")),)


def _setting(node: pb.Node) -> Operations:
    value = node.variable_set_stmt
    if value.kind == pb.VAR_RESET_ALL:
        return (SetSetting("all", "default"),)
    text = ", ".join(literal(argument) or "" for argument in value.args)
    reset = value.kind in {pb.VAR_RESET, pb.VAR_SET_DEFAULT}
    return (SetSetting(value.name, "default" if reset else text, local=value.is_local),)


def _truncate(node: pb.Node) -> Operations:
    cascade = cascades(node.truncate_stmt.behavior)
    return tuple(Truncate(object_name(t), cascade=cascade) for t in node.truncate_stmt.relations)


_LOCK_MODES = (
    "", "ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE",
    "SHARE ROW EXCLUSIVE", "EXCLUSIVE", "ACCESS EXCLUSIVE",
)  # fmt: skip


def _lock(node: pb.Node) -> Operations:
    mode = _LOCK_MODES[node.lock_stmt.mode]
    return tuple(LockTable(object_name(target), mode) for target in node.lock_stmt.relations)


def _vacuum(node: pb.Node) -> Operations:
    value = node.vacuum_stmt
    if value.is_vacuumcmd and option(value.options, "full"):
        tables = [relation(item.vacuum_relation.relation) for item in value.rels] or ["*"]
        return tuple(RewriteTable(table, "vacuum full") for table in tables)
    return (Maintain("vacuum" if value.is_vacuumcmd else "analyze"),)


def _reindex(node: pb.Node) -> Operations:
    value = node.reindex_stmt
    what = pb.ReindexObjectType.Name(value.kind).removeprefix("REINDEX_OBJECT_").lower()
    target = relation(value.relation) or value.name
    return (Reindex(what, target, concurrently=option(value.params, "concurrently")),)


def _refresh(node: pb.Node) -> Operations:
    value = node.refresh_mat_view_stmt
    return (RefreshView(relation(value.relation), concurrently=value.concurrent),)


def _explain(node: pb.Node, source: Source) -> Operations:
    # EXPLAIN ANALYZE runs the statement for real.
    if option(node.explain_stmt.options, "analyze"):
        return statement(node.explain_stmt.query, source)
    return (ReadRows(()),)


def _schema(node: pb.Node, source: Source) -> Operations:
    value = node.create_schema_stmt
    own = value.schemaname or value.authrole.rolename
    made = CreateObject("schema", own, if_not_exists=value.if_not_exists)
    inner = [operation for item in value.schema_elts for operation in statement(item, source)]
    return (made, *inner)


def _access(what: str, target: str) -> Operations:
    return (ChangeAccess(what, target),)


def _options(given: Iterable[pb.Node]) -> str:
    """The word "set" and the names of the options, as in ``set restart, increment``."""
    return f"set {', '.join(item.def_elem.defname for item in given)}"


def _made(what: str, target: str, *, replace: bool = False, exists: bool = False) -> Operations:
    return (CreateObject(what, target, replace=replace, if_not_exists=exists),)


_WITH_TEXT: Mapping[str, Callable[[pb.Node, Source], Operations]] = {
    "alter_table_stmt": pg_alter.alter_table,
    "create_stmt": pg_table.create_table,
    "create_schema_stmt": _schema,
    "explain_stmt": _explain,
    "do_stmt": lambda n, source: pg_block.do_block(n, source, lower),
    # It runs with EXECUTE, and is judged where it can be read.
    "prepare_stmt": lambda n, source: statement(n.prepare_stmt.query, source),
}
_PLAIN: Mapping[str, Callable[[pb.Node], Operations]] = {
    "select_stmt": pg_query.query,
    "insert_stmt": pg_query.query,
    "update_stmt": pg_query.query,
    "delete_stmt": pg_query.query,
    "merge_stmt": pg_query.query,
    "copy_stmt": pg_query.copy,
    "create_table_as_stmt": pg_table.create_table_as,
    "index_stmt": pg_table.create_index,
    "drop_stmt": pg_objects.drop,
    "rename_stmt": pg_objects.rename,
    "alter_object_schema_stmt": pg_objects.set_schema,
    "alter_enum_stmt": pg_objects.alter_enum,
    "alter_domain_stmt": pg_alter.alter_domain,
    "create_enum_stmt": pg_objects.create_type,
    "composite_type_stmt": pg_objects.create_type,
    "create_range_stmt": pg_objects.create_type,
    "define_stmt": pg_objects.define,
    "create_trig_stmt": pg_objects.create_trigger,
    "create_function_stmt": pg_objects.create_function,
    "grant_stmt": pg_objects.grant,
    "alter_owner_stmt": pg_objects.owner,
    "dropdb_stmt": pg_objects.drop_database,
    "transaction_stmt": _transaction,
    "variable_set_stmt": _setting,
    "truncate_stmt": _truncate,
    "lock_stmt": _lock,
    "vacuum_stmt": _vacuum,
    "reindex_stmt": _reindex,
    "refresh_mat_view_stmt": _refresh,
    "cluster_stmt": lambda n: (RewriteTable(relation(n.cluster_stmt.relation) or "*", "cluster"),),
    "comment_stmt": lambda n: (
        Maintain(
            f"comment on {object_kind(n.comment_stmt.objtype)} {object_name(n.comment_stmt.object)}"
        ),
    ),
    "call_stmt": lambda n: (Procedural("call", name(n.call_stmt.funccall.funcname)),),
    "execute_stmt": lambda n: (Procedural("execute", n.execute_stmt.name),),
    "load_stmt": lambda n: (Procedural("load", n.load_stmt.filename),),
    "alter_function_stmt": lambda n: (
        AlterObject(
            "function",
            name(n.alter_function_stmt.func.objname),
            _options(n.alter_function_stmt.actions),
        ),
    ),
    "create_event_trig_stmt": lambda n: (
        Procedural("create event trigger", n.create_event_trig_stmt.trigname),
    ),
    "view_stmt": lambda n: _made("view", relation(n.view_stmt.view), replace=n.view_stmt.replace),
    "create_seq_stmt": lambda n: _made(
        "sequence",
        relation(n.create_seq_stmt.sequence),
        exists=n.create_seq_stmt.if_not_exists,
    ),
    "alter_seq_stmt": lambda n: (
        AlterObject(
            "sequence", relation(n.alter_seq_stmt.sequence), _options(n.alter_seq_stmt.options)
        ),
    ),
    "create_domain_stmt": lambda n: _made("domain", name(n.create_domain_stmt.domainname)),
    "create_extension_stmt": lambda n: _made(
        "extension",
        n.create_extension_stmt.extname,
        exists=n.create_extension_stmt.if_not_exists,
    ),
    "alter_extension_stmt": lambda n: (
        AlterObject("extension", n.alter_extension_stmt.extname, "update"),
    ),
    "alter_type_stmt": lambda n: (AlterObject("type", name(n.alter_type_stmt.type_name), "set"),),
    "createdb_stmt": lambda n: _made("database", n.createdb_stmt.dbname),
    "create_stats_stmt": lambda n: _made("statistics", name(n.create_stats_stmt.defnames)),
    "create_publication_stmt": lambda n: _made("publication", n.create_publication_stmt.pubname),
    "alter_publication_stmt": lambda n: (
        AlterObject("publication", n.alter_publication_stmt.pubname, "set"),
    ),
    "create_foreign_table_stmt": lambda n: _made(
        "foreign table", relation(n.create_foreign_table_stmt.base_stmt.relation)
    ),
    "create_foreign_server_stmt": lambda n: _made(
        "server", n.create_foreign_server_stmt.servername
    ),
    "create_fdw_stmt": lambda n: _made("foreign data wrapper", n.create_fdw_stmt.fdwname),
    "create_cast_stmt": lambda n: _made("cast", name(n.create_cast_stmt.sourcetype.names)),
    "create_op_class_stmt": lambda n: _made(
        "operator class", name(n.create_op_class_stmt.opclassname)
    ),
    "rule_stmt": lambda n: (AlterTable(relation(n.rule_stmt.relation), "create rule"),),
    "create_policy_stmt": lambda n: _access("policy", relation(n.create_policy_stmt.table)),
    "alter_policy_stmt": lambda n: _access("policy", relation(n.alter_policy_stmt.table)),
    "create_role_stmt": lambda n: _access("role", n.create_role_stmt.role),
    "alter_role_stmt": lambda n: _access("role", n.alter_role_stmt.role.rolename),
    "alter_role_set_stmt": lambda n: _access("role", n.alter_role_set_stmt.role.rolename),
    "drop_role_stmt": lambda n: _access(
        "role", ", ".join(item.role_spec.rolename for item in n.drop_role_stmt.roles)
    ),
    "grant_role_stmt": lambda n: _access(
        "grant" if n.grant_role_stmt.is_grant else "revoke", "role membership"
    ),
    "alter_default_privileges_stmt": lambda _: _access("grant", "default privileges"),
    "drop_owned_stmt": lambda n: tuple(
        DropObject("owned objects", item.role_spec.rolename) for item in n.drop_owned_stmt.roles
    ),
    "reassign_owned_stmt": lambda _: _access("owner", "reassigned"),
    "variable_show_stmt": lambda _: (Maintain("show"),),
    "constraints_set_stmt": lambda n: (
        SetSetting("constraints", "deferred" if n.constraints_set_stmt.deferred else "immediate"),
    ),
    "notify_stmt": lambda _: (Maintain("notify"),),
    "listen_stmt": lambda _: (Maintain("listen"),),
    "unlisten_stmt": lambda _: (Maintain("unlisten"),),
    "check_point_stmt": lambda _: (Maintain("checkpoint"),),
    "discard_stmt": lambda _: (Maintain("discard"),),
    "deallocate_stmt": lambda _: (Maintain("deallocate"),),
    "close_portal_stmt": lambda _: (Maintain("close cursor"),),
    "fetch_stmt": lambda _: (Maintain("fetch"),),
    "declare_cursor_stmt": lambda n: pg_query.query(n.declare_cursor_stmt.query),
}
