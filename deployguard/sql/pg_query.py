"""PostgreSQL's SELECT, INSERT, UPDATE, DELETE, MERGE and COPY, lowered from the server's own grammar."""

from collections.abc import Iterator

from postgast import pg_query_pb2 as pb

from deployguard.operations import (
    CreateTable,
    Operation,
    Procedural,
    ReadRows,
    WriteRows,
)
from deployguard.sql.functions import called
from deployguard.sql.pg_names import Operations, kind, literal, messages, relation, strings

_WRITES = (pb.InsertStmt, pb.UpdateStmt, pb.DeleteStmt, pb.MergeStmt)


def query(node: pb.Node) -> Operations:
    """What one data statement reads and writes, its writing CTEs and the functions it calls included."""
    tree = tuple(messages(node))
    writes = tuple(_write(message) for message in tree if isinstance(message, _WRITES))
    effects = tuple(_effects(tree, writing=bool(writes)))
    into = _into(node)
    if into:
        return (CreateTable(into, from_query=True), *writes, *effects)
    if writes:
        return (*reversed(writes), *effects)
    tables = _tables(tree)
    if effects and not tables:
        return effects
    return (ReadRows(tables), *effects)


def _into(node: pb.Node) -> str:
    if kind(node) == "select_stmt" and node.select_stmt.HasField("into_clause"):
        return relation(node.select_stmt.into_clause.rel)
    return ""


def _tables(tree: tuple[object, ...]) -> tuple[str, ...]:
    inner = {message.ctename for message in tree if isinstance(message, pb.CommonTableExpr)}
    names = {relation(message) for message in tree if isinstance(message, pb.RangeVar)}
    return tuple(sorted(names - inner))


def _effects(tree: tuple[object, ...], *, writing: bool) -> Iterator[Operation]:
    for message in tree:
        if not isinstance(message, pb.FuncCall):
            continue
        arguments = tuple(literal(argument) or "" for argument in message.args)
        operation = called(".".join(strings(message.funcname)), arguments)
        if operation is None:
            continue
        # A row that takes its key from a sequence is an ordinary row.
        if not writing or isinstance(operation, Procedural):
            yield operation


def _write(message: object) -> WriteRows:
    match message:
        case pb.InsertStmt():
            return _insert(message)
        case pb.UpdateStmt():
            columns = tuple(node.res_target.name for node in message.target_list)
            return WriteRows(
                relation(message.relation),
                "update",
                where=_restricts(message.where_clause),
                columns=columns,
            )
        case pb.DeleteStmt():
            return WriteRows(
                relation(message.relation), "delete", where=_restricts(message.where_clause)
            )
        case pb.MergeStmt():
            return WriteRows(relation(message.relation), "merge")
        case _:
            raise TypeError(type(message).__name__)


def _insert(message: pb.InsertStmt) -> WriteRows:
    columns = tuple(node.res_target.name for node in message.cols)
    source = message.select_stmt.select_stmt
    has_source = kind(message.select_stmt) == "select_stmt"
    upsert = message.on_conflict_clause.action == pb.ONCONFLICT_UPDATE
    return WriteRows(
        relation(message.relation),
        "merge" if upsert else "insert",
        from_query=has_source and not source.values_lists,
        columns=columns,
    )


def _restricts(where: pb.Node) -> bool:
    """Whether a WHERE is there and is not one that is always true."""
    if not kind(where):
        return False
    if kind(where) == "a_const":
        return literal(where) != "true"
    if kind(where) == "a_expr":
        expression = where.a_expr
        left, right = literal(expression.lexpr), literal(expression.rexpr)
        return not (strings(expression.name) == ("=",) and left is not None and left == right)
    return True


def copy(node: pb.Node) -> Operations:
    """COPY: from a file or the client it writes rows, to them it reads."""
    statement = node.copy_stmt
    program = (Procedural("copy program"),) if statement.is_program else ()
    if kind(statement.query):
        return (*query(statement.query), *program)
    table = relation(statement.relation)
    if statement.is_from:
        return (WriteRows(table, "copy", columns=strings(statement.attlist)), *program)
    return program or (ReadRows((table,)),)
