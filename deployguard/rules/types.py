"""Column types compared: which changes only touch PostgreSQL's catalogue, and which can lose values."""

import re
from dataclasses import dataclass

_ALIASES = {
    "int": "integer", "int4": "integer", "int8": "bigint", "int2": "smallint", "bool": "boolean",
    "character varying": "varchar", "nvarchar": "varchar", "character": "char", "nchar": "char", "bpchar": "char",
    "decimal": "numeric", "dec": "numeric", "float8": "double precision", "double": "double precision",
    "float4": "real", "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time", "time with time zone": "timetz", "bit varying": "varbit",
    "datetime": "timestamp", "tinyint": "smallint", "mediumint": "integer",
    "mediumtext": "text", "longtext": "text", "clob": "text",
    "serial": "integer", "bigserial": "bigint", "smallserial": "smallint", "blob": "bytea",
}  # fmt: skip
_WIDTH = {"smallint": 1, "integer": 2, "bigint": 3}
_INTEGERS = frozenset(_WIDTH)
_STRINGS = frozenset({"varchar", "text", "char", "citext"})
_FLOATS = frozenset({"real", "double precision"})
_TIMES = frozenset({"timestamp", "timestamptz", "date"})
_TYPE = re.compile(
    r'^(?P<name>(?:"[^"]+"|[\w]+)(?:\.(?:"[^"]+"|\w+))?(?:\s+[a-z]\w*)*?)\s*(?:\((?P<args>[^)]*)\))?'
    r"\s*(?P<tail>(?:with|without)\s+time\s+zone)?\s*(?P<array>(?:\[\d*\])*)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Type:
    """A type as PostgreSQL knows it: ``varchar(20)`` is ("varchar", (20,))."""

    name: str
    arguments: tuple[int, ...] = ()
    array: bool = False


def parse(text: str) -> Type | None:
    """A type out of its text; None for a text that is no simple type."""
    match = _TYPE.match(" ".join(text.split()))
    if match is None:
        return None
    name = match["name"]
    name = name if '"' in name else name.lower()
    if match["tail"]:
        name = f"{name} {' '.join(match['tail'].lower().split())}"
    numbers = [part.strip() for part in (match["args"] or "").split(",") if part.strip()]
    if not all(re.fullmatch(r"-?\d+", part) for part in numbers):
        return None
    arguments = tuple(map(int, numbers))
    if name == "float":  # its argument is a number of bits, and chooses between two types
        name, arguments = "real" if arguments and arguments[0] <= 24 else "double precision", ()
    return Type(_ALIASES.get(name, name), arguments, bool(match["array"]))


def same(old: Type, new: Type) -> bool:
    return _full(old) == _full(new)


def _full(value: Type) -> Type:
    """numeric(10) is numeric(10,0), char is char(1)."""
    if value.name == "numeric" and len(value.arguments) == 1:
        return Type("numeric", (*value.arguments, 0), value.array)
    if value.name in {"char", "bit"} and not value.arguments:
        return Type(value.name, (1,), value.array)
    return value


def catalogue_only(old_text: str | None, new_text: str) -> bool | None:
    """Whether PostgreSQL changes the type without touching a row; None when the old type isn't known.

    Measured, not believed: tests/rules/test_locks_measured.py runs each pair. ``timestamp`` → ``timestamptz``
    is free in a session whose time zone is UTC only, so it counts as a rewrite.
    """
    new = parse(new_text)
    old = parse(old_text) if old_text else None
    if old is None or new is None:
        return None if old_text is None else False
    if same(old, new):
        return True
    if old.array or new.array:
        return False  # measured: even a wider limit on the elements
    return _wider_without_rewrite(_full(old), _full(new))


def _wider_without_rewrite(old: Type, new: Type) -> bool:
    match old.name, new.name:
        case ("varchar", "varchar"):
            return not new.arguments or (bool(old.arguments) and new.arguments >= old.arguments)
        case ("varchar", "text"):
            return True
        case ("text", "varchar"):
            return not new.arguments
        case ("numeric", "numeric"):
            return not new.arguments or (
                bool(old.arguments)
                and new.arguments[0] >= old.arguments[0]
                and new.arguments[1] == old.arguments[1]
            )
        case ("varbit", "varbit"):
            return not new.arguments or (bool(old.arguments) and new.arguments >= old.arguments)
        case ("cidr", "inet"):
            return True
        case (
            ("timestamp", "timestamp")
            | ("timestamptz", "timestamptz")
            | ("time", "time")
            | ("timetz", "timetz")
            | ("interval", "interval")
        ):
            finest = (
                not new.arguments or new.arguments[0] >= 6
            )  # no more digits than these are kept
            return finest or (bool(old.arguments) and new.arguments >= old.arguments)
        case _:
            return False


def leaves_rows(
    old_text: str | None, new_text: str, column: str, using: str = "", time_zone: str | None = None
) -> bool | None:
    """As :func:`catalogue_only`, with what the statement's USING and the session's time zone change about it.

    A USING that does anything but cast the column to the very new type computes each value anew. Without the time
    zone set to UTC, ``timestamp`` → ``timestamptz`` moves each value.
    """
    if using and not _to_the_same(using, column, new_text):
        return False
    free = catalogue_only(old_text, new_text)
    old, new = parse(old_text or ""), parse(new_text)
    if free or old is None or new is None or (time_zone or "").upper() not in _UTC:
        return free
    names = {old.name, new.name}
    return free if names != {"timestamp", "timestamptz"} else old.arguments == new.arguments


_UTC = frozenset({"UTC", "ETC/UTC", "ZULU", "UCT", "GMT", "0"})


def _to_the_same(using: str, column: str, new_text: str) -> bool:
    match = _SAME_CAST.fullmatch(marked(using.strip(), column))
    if match is None:
        return False
    cast, new = parse((match["type"] or new_text).replace(HERE, column)), parse(new_text)
    return cast is not None and new is not None and same(cast, new)


def keeps_values(old_text: str | None, new_text: str) -> bool:
    """Whether each old value can be told from the new one (or the change fails); an unknown old type can't."""
    new = parse(new_text)
    old = parse(old_text) if old_text else None
    if old is None or new is None:
        return False
    old, new = _full(old), _full(new)
    if same(old, new):
        return True
    if new.name in _STRINGS:
        return _into_string(old, new)
    if old.name in _INTEGERS:
        return _WIDTH.get(new.name, 0) > _WIDTH[old.name] or new.name == "numeric"
    if old.name == "numeric":
        return new.name == "numeric" and _wider_without_rewrite(old, new)
    if old.name in _FLOATS:
        return (old.name, new.name) == ("real", "double precision")
    if old.name in _TIMES:
        return (old.name, new.name) in {
            ("timestamp", "timestamptz"),
            ("date", "timestamp"),
            ("date", "timestamptz"),
        }
    # Text becomes an enum, a uuid, JSON, … by a cast that keeps it or fails.
    return old.name in _STRINGS or (old.name, new.name) in {("json", "jsonb"), ("cidr", "inet")}


def same_to_clients(old_text: str | None, new_text: str) -> bool:
    """Whether a client sees the same values under the same kind of type: the change is a wider one of its kind."""
    new = parse(new_text)
    old = parse(old_text) if old_text else None
    if old is None or new is None or not keeps_values(old_text, new_text):
        return False
    kinds = (_INTEGERS, _FLOATS, {new.name})
    return any({old.name, new.name} <= kind for kind in kinds) and old.array == new.array


def _into_string(old: Type, new: Type) -> bool:
    if not new.arguments:
        return True
    return (
        old.name in {"varchar", "char"} and bool(old.arguments) and new.arguments >= old.arguments
    )


HERE = "\0"  # what stands in a text for the name that is looked for; no SQL has it
_WORD = re.compile(r'"(?:[^"]|"")*"|[\w$]+')
_CAST = rf"(?:\s*::\s*[\w., \"\[\]{HERE}()]+?)*"
_PLAIN_CAST = re.compile(
    rf"\(*\s*(?:{HERE}\)*{_CAST}|cast\s*\(\s*{HERE}\s+as\s+[\w., \"\[\]{HERE}()]+\))\s*\)*",
    re.IGNORECASE,
)

_SAME_CAST = re.compile(
    rf"\(*\s*{HERE}\s*\)*(?:\s*::\s*(?P<type>[^:()]+(?:\([\d, ]*\))?(?:[ a-z]*)))?\s*\)*",
    re.IGNORECASE,
)


def marked(text: str, name: str) -> str:
    """``text`` with a mark for each mention of ``name``, quoted or not, in any case.

    One compiled pattern then serves every name.
    """
    wanted = name.casefold()

    def mark(word: re.Match[str]) -> str:
        return HERE if word[0].strip('"').casefold() == wanted else word[0]

    return _WORD.sub(mark, text)


def plain_cast(expression: str, column: str) -> bool:
    """Whether a USING does nothing but cast the column itself."""
    return _PLAIN_CAST.fullmatch(marked(expression.strip(), column)) is not None
