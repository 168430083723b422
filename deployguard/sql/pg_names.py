"""Names, literals and sub-trees out of PostgreSQL's own parse tree (postgast's messages)."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from postgast import pg_query_pb2 as pb
from postgast import walk

from deployguard.operations import Operation
from deployguard.sql.source import dotted

Operations: TypeAlias = tuple[Operation, ...]


def kind(node: pb.Node) -> str:
    """Which of the messages a Node wraps, for example "select_stmt"; "" for none."""
    found: str | None = node.WhichOneof("node")
    return found or ""


def relation(value: pb.RangeVar) -> str:
    """A table as ``schema.name``."""
    return dotted(value.catalogname, value.schemaname, value.relname)


def strings(nodes: Iterable[pb.Node]) -> tuple[str, ...]:
    """The texts of the String nodes among ``nodes``."""
    return tuple(node.string.sval for node in nodes if kind(node) == "string")


def name(nodes: Iterable[pb.Node]) -> str:
    """A qualified name from a list of String nodes."""
    return dotted(*strings(nodes))


def object_name(node: pb.Node) -> str:
    """The name in any of the forms that DROP, COMMENT, RENAME and GRANT use."""
    match kind(node):
        case "string":
            return str(node.string.sval)
        case "list":
            items = node.list.items
            return dotted(*(object_name(item) for item in items))
        case "type_name":
            return name(node.type_name.names)
        case "object_with_args":
            return name(node.object_with_args.objname)
        case "range_var":
            return relation(node.range_var)
        case _:
            return ""


def definition(command: pb.AlterTableCmd | pb.AlterDomainStmt) -> pb.Node:
    """The field that is called ``def``, which Python cannot spell as an attribute."""
    node: pb.Node = getattr(command, "def")
    return node


def literal(node: pb.Node) -> str | None:
    """The value of a constant as text, also below a cast; None for anything else."""
    if kind(node) == "type_cast":
        return literal(node.type_cast.arg)
    if kind(node) != "a_const":
        return None
    constant = node.a_const
    match constant.WhichOneof("val"):
        case "ival":
            return str(constant.ival.ival)
        case "fval":
            return str(constant.fval.fval)
        case "boolval":
            return "true" if constant.boolval.boolval else "false"
        case "sval":
            return str(constant.sval.sval)
        case _:
            return ""


def cascades(behavior: pb.DropBehavior) -> bool:
    return bool(behavior == pb.DROP_CASCADE)


def object_kind(value: pb.ObjectType) -> str:
    """PostgreSQL's kind of object in our words: OBJECT_MATVIEW → "materialized view"."""
    words: str = pb.ObjectType.Name(value).removeprefix("OBJECT_").lower()
    return {
        "matview": "materialized view",
        "foreign_table": "foreign table",
        "foreign_server": "server",
        "fdw": "foreign data wrapper",
        "statistic_ext": "statistics",
        "domconstraint": "domain",
        "attribute": "type",
        "tsconfiguration": "text search configuration",
        "tsdictionary": "text search dictionary",
        "tsparser": "text search parser",
        "tstemplate": "text search template",
    }.get(words, words.replace("_", " "))


def option(nodes: Iterable[pb.Node], wanted: str) -> bool:
    """Whether a parenthesised option list turns ``wanted`` on."""
    for node in nodes:
        element = node.def_elem
        if kind(node) == "def_elem" and element.defname.lower() == wanted:
            argument = getattr(element, "arg")  # noqa: B009  # written like definition(), see there
            value = object_name(argument) or literal(argument) or ""
            return value.lower() not in {"false", "off", "0", "no"}
    return False


def messages(node: object) -> Iterator[object]:
    """Every message of a tree, the root first."""
    for _, message in walk(node):
        yield message
