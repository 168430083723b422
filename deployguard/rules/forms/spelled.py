"""Names, types and SQL as Alembic code spells them: quoted where they must be, and never cut off by the server."""

import json
import re

from deployguard.rules.types import parse


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that PostgreSQL takes for a name of a table or column only in quotes (manual, appendix C).
_RESERVED = _words(
    """all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect
    into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null
    offset on only or order outer overlaps placing primary references returning right select session_user
    similar some symmetric system_user table tablesample then to trailing true union unique user using
    variadic verbose when where window with between bigint bit boolean char character coalesce dec decimal
    exists extract float greatest grouping inout int integer interval json json_array json_exists json_object
    json_query json_scalar json_serialize json_table json_value least merge_action national nchar none
    normalize nullif numeric out overlay position precision real row setof smallint substring time timestamp
    treat trim values varchar xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse
    xmlpi xmlroot xmlserialize xmltable"""
)
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_LONGEST = 63  # bytes of a name; the server cuts the rest off (manual, 4.1.1)


def identifier(name: str) -> str:
    """A name as SQL writes it."""
    if _PLAIN.fullmatch(name) and name not in _RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def split(name: str) -> tuple[str, str]:
    """(schema, own name) of what an operation names; the schema is "" where none was said."""
    schema, _, own = name.rpartition(".")
    return schema, own


def dotted(name: str) -> str:
    """``schema.name`` as SQL writes it."""
    schema, own = split(name)
    return f"{identifier(schema)}.{identifier(own)}" if schema else identifier(own)


def beside(table: str, name: str) -> str:
    """An object's name in the schema of ``table``, as SQL writes it."""
    schema, _ = split(table)
    return f"{identifier(schema)}.{identifier(name)}" if schema else identifier(name)


def bounded(*parts: str) -> str:
    """A made-up name that the server does not cut: the parts joined, the first ones shortened where need be."""
    head, tail = "_".join(parts[:-1]), parts[-1]
    room = _LONGEST - len(tail.encode()) - 1
    while len(head.encode()) > room:
        head = head[:-1]
    return f"{head}_{tail}"


def quoted(text: str) -> str:
    """A Python string literal."""
    return json.dumps(text, ensure_ascii=False)


def listed(names: tuple[str, ...]) -> str:
    """A Python list of strings."""
    return f"[{', '.join(map(quoted, names))}]"


# What SQLAlchemy's text() takes for a bound parameter.
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)(?!\w+:)")


def text(sql: str) -> str:
    """SQL as the argument of op.execute() or sa.text(): a Python literal, its colons kept from being parameters."""
    return quoted(_COLON.sub(r"\\:", " ".join(sql.split()) if "'" not in sql else sql.strip()))


def execute(sql: str) -> str:
    return f"op.execute({text(sql)})"


def schema(table: str, keyword: str = "schema") -> str:
    """``, schema="app"`` for a table that names its schema."""
    found, _ = split(table)
    return f", {keyword}={quoted(found)}" if found else ""


def own(table: str) -> str:
    """The table's own name as a Python literal."""
    return quoted(split(table)[1])


def literal(value: str) -> str:
    """A string as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


_TYPES = {
    "smallint": "sa.SmallInteger()", "integer": "sa.Integer()", "bigint": "sa.BigInteger()", "text": "sa.Text()",
    "boolean": "sa.Boolean()", "date": "sa.Date()", "timestamp": "sa.DateTime()",
    "timestamptz": "sa.DateTime(timezone=True)", "time": "sa.Time()", "timetz": "sa.Time(timezone=True)",
    "real": "sa.REAL()", "double precision": "sa.Float(53)", "bytea": "sa.LargeBinary()", "json": "sa.JSON()",
    "interval": "sa.Interval()",
}  # fmt: skip
_SIZED = {"varchar": "sa.String", "char": "sa.CHAR", "numeric": "sa.Numeric"}


def sa_type(type_text: str) -> str:
    """A type as SQLAlchemy spells it; "" for one that is no simple type (an enum, an array, an extension's)."""
    found = parse(type_text)
    if found is None or found.array:
        return ""
    if found.name in _SIZED:
        return f"{_SIZED[found.name]}({', '.join(map(str, found.arguments))})"
    return "" if found.arguments else _TYPES.get(found.name, "")
