"""Rows for statements that return some, with no database behind them: none, a zero, or one sample."""

from __future__ import annotations

import datetime as dt
import decimal
import re
import uuid
from typing import TYPE_CHECKING, Any

from .names import split, top_level

if TYPE_CHECKING:
    from .catalogue import Catalogue

_LEADING = re.compile(r"^(?:\s+|--[^\n]*(?:\n|$)|/\*.*?\*/|\()+", re.DOTALL)
_AGGREGATE = re.compile(
    r"\b(count|sum|max|min|avg|every|bool_and|bool_or|array_agg|string_agg|group_concat|jsonb?_agg|exists)\s*\(",
    re.IGNORECASE,
)
_WINDOW = re.compile(r"\bover\s*\(", re.IGNORECASE)
_SYSTEM = re.compile(
    r"\b((?:from|join)\s+(?:information_schema\.|pg_catalog\.|pg_|sqlite_(?:schema|master))|to_reg\w+\s*\()",
    re.IGNORECASE,
)
# PostgreSQL's type code of numeric; some drivers' result processors look at it.
_NUMERIC = 1700
_SHOWN = {
    "server_version": "16.0",
    "server_version_num": "160000",
    "standard_conforming_strings": "on",
}
_LOCKS = (
    "pg_try_advisory_",
    "pg_catalog.pg_try_advisory_",
    "pg_advisory_unlock(",
    "get_lock(",
    "release_lock(",
)
_MOMENT = dt.datetime(2000, 1, 1, tzinfo=dt.timezone.utc)
_SAMPLES: dict[type, Any] = {
    bool: False,
    float: 0.0,
    str: "",
    bytes: b"",
    decimal.Decimal: decimal.Decimal(0),
    dt.datetime: _MOMENT,
    dt.date: _MOMENT.date(),
    dt.time: _MOMENT.time(),
    dt.timedelta: dt.timedelta(0),
    uuid.UUID: uuid.UUID(int=1),
    dict: {},
    list: [],
}


class Answer:
    """Makes up rows. Integers of RETURNING count up, so that identities differ."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.next = 0

    def rows(self, text: str, context: Any, many: int) -> tuple[Any, list[tuple[Any, ...]]]:
        """(description as in PEP 249 or None, rows)."""
        bare = _LEADING.sub("", text)
        verb = bare[:8].lower()
        types = _result_types(context)
        if verb.startswith("show"):
            if getattr(getattr(context, "dialect", None), "name", "postgresql") != "postgresql":
                return described(["Variable_name", "Value"]), []
            name = bare[4:].strip(" ;\n").lower()
            return described([name]), [
                (_SHOWN.get(name, "read committed" if "isolation" in name else ""),)
            ]
        items = (
            select_list(bare) if verb.startswith(("select", "with", "values", "table")) else None
        )
        if items is None:
            returning = re.search(r"\breturning\b(.*)", bare, re.IGNORECASE | re.DOTALL)
            if returning is None:
                return None, []
            names = [name for name, _ in types] or [
                _label(item) for item in top_level(returning.group(1))
            ]
            kinds = [kind for _, kind in types] or [None] * len(names)
            return described(names, kinds), [
                tuple(self._sample(kind, context) for kind in kinds) for _ in range(many)
            ]
        names = [name for name, _ in types] or self._labels(items, bare)
        row = tuple(self._value(item) for item in items)
        description = described(names, [kind for _, kind in types])
        return description, [row] if _one_row(items, bare) and len(row) == len(names) else []

    def _labels(self, items: list[str], text: str) -> list[str]:
        names: list[str] = []
        for item in items:
            if item.strip().endswith("*"):
                source = re.search(
                    r'\bfrom\s+((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)', text, re.IGNORECASE
                )
                schema, table_name = split(source.group(1)) if source else (None, "")
                table = self.catalogue.find(table_name, schema)
                names += list(table.columns) if table and table.columns else ["?column?"]
            else:
                names.append(_label(item))
        return names

    def _sample(self, kind: Any, context: Any) -> Any:
        """A value that the type's own processor accepts."""
        self.next += 1
        if kind is None:
            return self.next
        try:
            python = kind.python_type
        except NotImplementedError:
            python = None
        value = self.next if python is int else _SAMPLES.get(python) if python else None
        if python is uuid.UUID:
            value = uuid.UUID(int=self.next)
        processor = (
            kind._cached_result_processor(context.dialect, _code(kind))
            if context is not None
            else None
        )
        return next((item for item in (value, str(value)) if _fits(item, processor)), None)

    def _value(self, item: str) -> Any:
        text = re.sub(r"\s+as\s+\S+\s*$", "", item.strip(), flags=re.IGNORECASE)
        text = re.sub(r"::\w+(\s*\([^)]*\))?$", "", text).strip("() ")
        lower = text.lower()
        if lower.startswith("not exists"):
            return True
        if lower.startswith("exists"):
            return False
        if lower.startswith(("count", "coalesce(count", "nextval", "coalesce(sum", "coalesce(max")):
            return 1 if lower.startswith("nextval") else 0
        if re.match(r"(cast|case)\b.*\bcount\s*\(", lower, re.DOTALL):
            return 0
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        if re.fullmatch(r"'[^']*'", text):
            return text[1:-1]
        if lower in ("true", "false"):
            return lower == "true"
        if lower.startswith(_LOCKS):
            return True  # nobody else is here
        if lower.startswith("current_schema"):
            return self.catalogue.default_schema
        if lower.startswith("version"):
            return "PostgreSQL 16.0"
        if lower.startswith("current_setting"):
            return next((value for name, value in _SHOWN.items() if f"'{name}'" in lower), "")
        if lower.startswith(("now", "current_timestamp", "clock_timestamp", "statement_timestamp")):
            return _MOMENT
        if lower.startswith(("gen_random_uuid", "uuid_generate")):
            return uuid.UUID(int=1)
        return self._registered(text)

    def _registered(self, text: str) -> Any:
        match = re.match(r"to_regclass\s*\(\s*'([^']+)'", text, re.IGNORECASE)
        if match:
            schema, name = split(match.group(1))
            return match.group(1) if self.catalogue.find(name, schema) else None
        return None


def _fits(value: Any, processor: Any) -> bool:
    try:
        if processor is not None:
            processor(value)
    except Exception:  # a type of the project's may want anything
        return False
    return True


def asks_the_system(text: str) -> bool:
    """Whether a query looks at the server's own catalogue, not at the user's tables."""
    bare = _LEADING.sub("", text)
    return bool(re.match(r"(select|with)\b", bare, re.IGNORECASE)) and bool(_SYSTEM.search(bare))


def version_rows(text: str, table: str, at: tuple[str, ...]) -> list[tuple[Any, ...]] | None:
    """The rows of Alembic's version table, where a query asks for all of them; None where it asks otherwise."""
    asked = re.fullmatch(
        r"""select\s+(?:distinct\s+)?(?:\*|(?:[\w"`.]+\.)?["`]?version_num["`]?(?:\s+as\s+version_num)?)
        \s+from\s+(?:["`]?\w+["`]?\.)?["`]?(\w+)["`]?(?:\s+limit\s+1)?\s*;?\s*""",
        _LEADING.sub("", text),
        re.IGNORECASE | re.VERBOSE,
    )
    return [(one,) for one in at] if asked and asked[1] == table else None


def _result_types(context: Any) -> list[tuple[str, Any]]:
    compiled = getattr(context, "compiled", None)
    columns = getattr(compiled, "_result_columns", None) or ()
    return [(str(column[0]), column[3]) for column in columns]


def described(names: list[str], kinds: list[Any] | None = None) -> list[tuple[Any, ...]]:
    """A cursor's description, as in PEP 249."""
    kinds = kinds or [None] * len(names)
    return [(name, _code(kind), None, None, None, None, None) for name, kind in zip(names, kinds)]  # noqa: B905 - Python 3.9


def _code(kind: Any) -> int | None:
    return _NUMERIC if any(base.__name__ == "Numeric" for base in type(kind).__mro__) else None


def select_list(text: str) -> list[str] | None:
    """The expressions of the outermost SELECT, or None when there is none."""
    depth, start, quote = 0, -1, ""
    for match in re.finditer(
        r"'|\"|[(\[]|[)\]]|\b(select|from|insert|update|delete|union|where|group|order|limit)\b|;",
        text,
        re.IGNORECASE,
    ):
        found = match.group(0).lower()
        if quote:
            quote = "" if found == quote else quote
        elif found in "'\"":
            quote = found
        elif found in "([":
            depth += 1
        elif found in ")]":
            depth -= 1
        elif depth > 0:
            continue
        elif found in ("insert", "update", "delete"):
            return None
        elif found == "select" and start < 0:
            start = match.end()
        elif start >= 0 and found != "select":
            return top_level(_distinct(text[start : match.start()]))
    return top_level(_distinct(text[start:])) if start >= 0 else None


def _distinct(text: str) -> str:
    return re.sub(r"^\s*(distinct|all)\b", "", text, flags=re.IGNORECASE)


def _one_row(items: list[str], text: str) -> bool:
    flat, before = text, ""
    while flat != before:
        flat, before = re.sub(r"\([^()]*\)", "", flat), flat
    if re.search(r"\b(group\s+by|having|union|limit\s+0)\b", flat, re.IGNORECASE):
        return False
    if not re.search(r"\bfrom\b", flat, re.IGNORECASE):
        return True
    return all(_AGGREGATE.search(item) and not _WINDOW.search(item) for item in items)


def _label(item: str) -> str:
    named = re.search(r"(?:\bas\s+|[.\s])?(\"[^\"]+\"|\w+)\s*$", item.strip())
    if named:
        return named.group(1).strip('"')
    function = re.match(r"\s*(\w+)\s*\(", item)
    return function.group(1).lower() if function else "?column?"
