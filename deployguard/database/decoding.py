"""The lines of PostgreSQL's test_decoding, as what they say of a row; pure.

This plugin is part of PostgreSQL's contrib and of the hosted ones, and needs nothing in the database. pgoutput would
need a publication: a change of the user's schema, under which UPDATE and DELETE fail on tables without a replica
identity.

    BEGIN 727
    table public.rooms: UPDATE: old-key: id[integer]:2 new-tuple: id[integer]:7 name[text]:'it''s'
    table public.rooms, public.notes: TRUNCATE: (no-flags)
    COMMIT 727 (at 2026-02-18 10:30:00.000000+00)

Inside of quotes only a quote is doubled, so a value may hold anything else, new lines included. What is not of this
shape raises Undecoded: a line that is not understood is never taken for nothing.
Source: contrib/test_decoding/test_decoding.c, whose output is described in the manual's "Logical Decoding Examples".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Values: TypeAlias = Mapping[
    str, str | None
]  # column → PostgreSQL's text of its value; None is NULL

_EDGE = re.compile(r"(BEGIN|COMMIT)(?: (\d+))?(?: \(at (.+)\))?")
_NAME = re.compile(r'(?:[a-z_][a-z0-9_]*|"(?:[^"]|"")+")')
_TABLE = re.compile(rf"({_NAME.pattern})\.({_NAME.pattern})")
_KIND = re.compile(r": (INSERT|UPDATE|DELETE|TRUNCATE):")
_QUOTED = re.compile(r"B?'((?:[^']|'')*)'")
_BARE = re.compile(r"[^ ']+")  # a number, true, false, null, unchanged-toast-datum
_UNCHANGED: Final = "unchanged-toast-datum"
_NO_TUPLE: Final = " (no-tuple-data)"
_OLD: Final = " old-key:"
_NEW: Final = " new-tuple:"


class Undecoded(ValueError):
    """A line that is not of the plugin's shape."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The begin or the commit of a transaction; ``at`` is when it was committed, as the server writes it."""

    begins: bool
    at: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One row, or the tables that were emptied together.

    ``tables`` are (schema, name). ``key`` is the replica identity of before, where it says more than ``new``;
    ``unchanged`` are long values that stayed and are not told. Of a row without a primary key nothing may be told.
    """

    kind: str  # "insert", "update", "delete" or "truncate"
    tables: tuple[tuple[str, str], ...]
    new: Values = field(default_factory=dict)
    key: Values = field(default_factory=dict)
    unchanged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """What somebody wrote into the log with pg_logical_emit_message: no change of a row."""


def decode(line: str) -> Edge | Change | Message:
    """What one line says. Raises Undecoded."""
    if edge := _EDGE.fullmatch(line):
        return Edge(edge[1] == "BEGIN", edge[3] or "")
    if line.startswith("message: "):
        return Message()
    if not line.startswith("table "):
        raise Undecoded(line[:80])
    tables, at = _tables(line, len("table "))
    kind = _KIND.match(line, at)
    if kind is None:
        raise Undecoded(line[:80])
    what, rest = kind[1].lower(), line[kind.end() :]
    if what == "truncate":
        return Change(what, tables)
    return _row(what, tables, rest)


def _tables(line: str, at: int) -> tuple[tuple[tuple[str, str], ...], int]:
    found = []
    while table := _TABLE.match(line, at):
        found.append((_plain(table[1]), _plain(table[2])))
        at = table.end()
        if not line.startswith(", ", at):
            break
        at += 2
    return tuple(found), at


def _row(kind: str, tables: tuple[tuple[str, str], ...], text: str) -> Change:
    if len(tables) != 1:
        raise Undecoded(text[:80])
    if text == _NO_TUPLE:
        return Change(kind, tables)
    old: dict[str, str | None] = {}
    at = 0
    if text.startswith(_OLD):
        old, _, at = _values(text, len(_OLD))
        if not text.startswith(_NEW, at):
            raise Undecoded(text[:80])
        at += len(_NEW)
    values, unchanged, at = _values(text, at)
    if at != len(text) or not (values or unchanged):
        raise Undecoded(text[:80])
    if kind == "delete":
        return Change(kind, tables, key=values)
    return Change(kind, tables, values, old, tuple(unchanged))


def _values(text: str, at: int) -> tuple[dict[str, str | None], list[str], int]:
    """(values, names of those that are not told, where they end), for `` name[type]:value`` again and again."""
    found: dict[str, str | None] = {}
    unchanged: list[str] = []
    while at < len(text) and not text.startswith(_NEW, at):
        name = _NAME.match(text, at + 1)
        if text[at] != " " or name is None:
            raise Undecoded(text[:80])
        at = _after_type(text, name.end())
        quoted = _QUOTED.match(text, at)
        value = quoted or _BARE.match(text, at)
        if value is None:
            raise Undecoded(text[:80])
        at = value.end()
        if quoted is not None:
            found[_plain(name[0])] = quoted[1].replace("''", "'")
        elif value[0] == _UNCHANGED:
            unchanged.append(_plain(name[0]))
        else:
            found[_plain(name[0])] = None if value[0] == "null" else value[0]
    return found, unchanged, at


def _after_type(text: str, at: int) -> int:
    """Where the value begins, after ``[type]:``; a type may be an array's, and anything may stand in quotes."""
    depth = 0
    while at < len(text):
        if text[at] == '"':
            quoted = _NAME.match(text, at)
            if quoted is None:
                break
            at = quoted.end()
            continue
        depth += {"[": 1, "]": -1}.get(text[at], 0)
        at += 1
        if depth == 0:
            break
    if depth or not text.startswith(":", at):
        raise Undecoded(text[:80])
    return at + 1


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
