"""Type changes by what they do to the values: which are lost without a word, which make the statement fail."""

import re
from enum import Enum

from deployguard.rules.types import Type, parse, plain_cast, same


class Narrowing(Enum):
    """What happens to values that the new type can't hold."""

    NONE = "none"  # each old value has its place in the new type, or too little is known
    FAILS = "fails"  # PostgreSQL refuses the statement
    LOSES = "loses"  # they are rounded, cut or replaced


_RANGE = {"smallint": (-32768, 32767), "integer": (-2147483648, 2147483647)}
_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_INTEGERS = frozenset(_DIGITS)
_STRINGS = frozenset({"varchar", "text", "char", "citext"})
_FLOATS = frozenset({"real", "double precision"})
_STAMPS = frozenset({"timestamp", "timestamptz", "time", "timetz", "interval"})
_LENGTH = {"varchar": None, "char": 1}
# What these lose is a part of each value: the time of day, the zone, the fraction, the order of keys does not count.
_LOSING = {
    ("timestamp", "date"), ("timestamptz", "date"), ("timestamptz", "timestamp"),
    ("timestamp", "time"), ("timestamptz", "time"), ("timestamptz", "timetz"), ("timetz", "time"),
    ("double precision", "real"), ("bigint", "real"), ("bigint", "double precision"), ("integer", "real"),
    ("numeric", "real"), ("numeric", "double precision"),
    ("smallint", "boolean"), ("integer", "boolean"), ("bigint", "boolean"), ("inet", "cidr"),
}  # fmt: skip
_KEEPING = {
    ("boolean", "smallint"), ("boolean", "integer"), ("boolean", "bigint"), ("cidr", "inet"),
    ("json", "jsonb"), ("jsonb", "json"), ("date", "timestamp"), ("date", "timestamptz"),
    ("timestamp", "timestamptz"), ("time", "timetz"), ("time", "interval"), ("uuid", "bytea"),
}  # fmt: skip


def narrowing(old_text: str | None, new_text: str, using: str = "", column: str = "") -> Narrowing:
    """What ``ALTER COLUMN column TYPE new_text [USING using]`` does to values that do not fit.

    PostgreSQL's assignment casts round and cut off what has a cast for it, and refuse the rest; an explicit cast to
    ``varchar(n)`` cuts (manual, "Character Types"). An expression that is more than a cast is nobody's to judge.
    """
    if using and column and not plain_cast(using, column):
        mentioned = re.search(rf'(?<!\w)"?{re.escape(column)}"?(?!\w)', using, re.IGNORECASE)
        return Narrowing.NONE if mentioned else Narrowing.LOSES
    old, new = parse(old_text) if old_text else None, parse(new_text)
    if old is None or new is None or same(old, new):
        return Narrowing.NONE
    if old.array != new.array:
        return Narrowing.NONE if new.name in _STRINGS and not new.arguments else Narrowing.FAILS
    return _between(old, new, cut=bool(using))


def _between(old: Type, new: Type, *, cut: bool) -> Narrowing:
    if new.name in _STRINGS:
        return _into_string(old, new, cut=cut)
    if old.name == new.name:
        return _fewer_digits(old, new)
    pair = (old.name, new.name)
    if pair in _LOSING:
        return Narrowing.LOSES
    if pair in _KEEPING:
        return Narrowing.NONE
    if old.name in _INTEGERS:
        return _from_integer(old, new)
    if old.name in _FLOATS | {"numeric"}:
        return (
            Narrowing.LOSES if new.name in _INTEGERS | {"numeric"} and _rounds(new) else _other(new)
        )
    # Text, an enum or anything else into a type of another kind: each value has to be one of it.
    return Narrowing.FAILS


def _rounds(new: Type) -> bool:
    return new.name in _INTEGERS or bool(new.arguments)


def _other(new: Type) -> Narrowing:
    return Narrowing.NONE if new.name in _FLOATS | {"numeric"} else Narrowing.FAILS


def _into_string(old: Type, new: Type, *, cut: bool) -> Narrowing:
    limit = new.arguments[0] if new.arguments else _LENGTH.get(new.name)
    if limit is None:
        return Narrowing.NONE
    length = old.arguments[0] if old.arguments else _LENGTH.get(old.name)
    if old.name in _STRINGS and length is not None and length <= limit:
        return Narrowing.NONE
    if old.name == "uuid" and limit >= 36:
        return Narrowing.NONE
    if old.name in _DIGITS and limit > _DIGITS[old.name]:
        return Narrowing.NONE
    return Narrowing.LOSES if cut and old.name in _STRINGS else Narrowing.FAILS


def _fewer_digits(old: Type, new: Type) -> Narrowing:
    if not new.arguments:
        return Narrowing.NONE
    if old.name in _STAMPS:
        fewer = not old.arguments or new.arguments[0] < old.arguments[0]
        return Narrowing.LOSES if fewer and new.arguments[0] < 6 else Narrowing.NONE
    if old.name == "numeric":
        size, scale = (*new.arguments, 0)[:2]
        if not old.arguments:
            return Narrowing.LOSES
        before, fraction = (*old.arguments, 0)[:2]
        if scale < fraction:
            return Narrowing.LOSES
        return Narrowing.FAILS if size - scale < before - fraction else Narrowing.NONE
    if old.name in {"bit", "varbit"}:
        wider = bool(old.arguments) and new.arguments >= old.arguments
        return Narrowing.NONE if wider and old.name == "varbit" else Narrowing.FAILS
    return Narrowing.NONE


def _from_integer(old: Type, new: Type) -> Narrowing:
    if new.name in _INTEGERS:
        return Narrowing.FAILS if _DIGITS[new.name] < _DIGITS[old.name] else Narrowing.NONE
    if new.name == "numeric":
        room = new.arguments[0] - (*new.arguments, 0)[1] if new.arguments else _DIGITS["bigint"]
        return Narrowing.NONE if room >= _DIGITS[old.name] else Narrowing.FAILS
    return Narrowing.NONE if new.name in _FLOATS else Narrowing.FAILS


def misfits(column: str, table: str, new_text: str) -> str:
    """A query for people: which values the new type can't hold; "" where no simple one tells. Names are SQL."""
    new = parse(new_text)
    if new is None or new.array:
        return ""
    if new.name in {"varchar", "char"} and new.arguments:
        return f"SELECT count(*) FROM {table} WHERE length({column}::text) > {new.arguments[0]}"  # noqa: S608 - shown, never run
    if new.name in _RANGE:
        low, high = _RANGE[new.name]
        return f"SELECT count(*) FROM {table} WHERE {column} NOT BETWEEN {low} AND {high}"  # noqa: S608 - shown, never run
    return f"SELECT {column}, count(*) FROM {table} GROUP BY 1 ORDER BY 2"  # noqa: S608 - shown, never run
