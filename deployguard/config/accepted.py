"""The ``[[accept]]`` entries of deployguard.toml: findings that somebody takes on, each with a reason."""

import re
from dataclasses import fields
from datetime import date, datetime

from deployguard.config.keys import known
from deployguard.config.schema import AcceptConfig
from deployguard.errors import UsageError

# SQLAlchemy's names; for a name that nothing answers to an entry would never count, and nobody would notice.
DIALECTS = ("postgresql", "sqlite", "mysql", "mariadb", "mssql", "oracle")
_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*accept[ \t]*\]\]", re.MULTILINE)
_KEYS = tuple(spec.name for spec in fields(AcceptConfig) if spec.name != "place")
_STRINGS = ("revision", "rule", "reason", "statement", "dialect")


def places(text: str, name: str) -> tuple[str, ...]:
    """Where each ``[[accept]]`` begins, as ``file:line``."""
    return tuple(f"{name}:{text.count(chr(10), 0, m.start()) + 1}" for m in _HEADER.finditer(text))


def parse_accepted(value: object, name: str, found: tuple[str, ...]) -> tuple[AcceptConfig, ...]:
    """The entries of the parsed document; ``found`` are their places, where the text tells. Raises UsageError."""
    if not isinstance(value, list):
        raise UsageError(
            f"'accept' in {name} must be [[accept]] entries, one for each suppression."
        )
    if len(found) != len(value):  # written in another way: count instead
        found = tuple(f"{name}: accept entry {number}" for number in range(1, len(value) + 1))
    return tuple(_entry(item, place) for item, place in zip(value, found, strict=True))


def _entry(item: object, place: str) -> AcceptConfig:
    if not isinstance(item, dict):
        raise UsageError(f"{place}: an accept entry must be a table.")
    known(item, _KEYS, f"[[accept]] at {place}")
    for key in _STRINGS:
        if not isinstance(item.get(key, ""), str):
            raise UsageError(f"{place}: {key} must be of type str, not {item[key]!r}.")
    for key in ("revision", "rule", "reason"):
        if not str(item.get(key, "")).strip():
            raise UsageError(f"{place}: an accept entry needs a {key}.")
    if item.get("dialect", "") not in ("", *DIALECTS):
        known_ones = ", ".join(DIALECTS)
        raise UsageError(f"{place}: unknown dialect {item['dialect']!r}; known: {known_ones}.")
    line = item.get("line", 0)
    if type(line) is not int or line < 0:
        raise UsageError(f"{place}: line must be a line number, not {line!r}.")
    expires = item.get("expires")
    if isinstance(expires, datetime) or not isinstance(expires, date | None):
        raise UsageError(f"{place}: expires must be a date such as 2027-01-31, not {expires!r}.")
    return AcceptConfig(
        revision=item["revision"].strip(),
        rule=item["rule"].strip(),
        reason=" ".join(item["reason"].split()),
        line=line,
        statement=item.get("statement", ""),
        dialect=item.get("dialect", ""),
        expires=expires,
        place=place,
    )
