"""Columns as the text of CREATE TABLE and ALTER TABLE states them, and as MySQL's MODIFY and CHANGE do anew."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .ddl_keys import key_of_column
from .names import IDENTIFIER, unquoted

if TYPE_CHECKING:
    from .catalogue import Table

MODIFY = r"(modify|change)\s+(?:column\s+)?(?:if\s+exists\s+)?" + IDENTIFIER + r"\s+"


def text_column(table: Table, name: str, rest: str) -> None:
    kind = re.split(
        r"\s+(?:not|null|default|primary|references|unique|check|constraint|generated|collate|auto_increment|comment"
        r"|on\s+update|first|after)\b",
        " " + rest,
        maxsplit=1,
        flags=re.IGNORECASE,
    )
    required = re.search(r"\b(not\s+null|primary\s+key)\b", rest, re.IGNORECASE)
    default = re.search(r"\bdefault\s+('(?:[^']|'')*'|\S+)", rest, re.IGNORECASE)
    clean = unquoted(name)
    key_of_column(table, clean, rest)
    table.columns[clean] = {
        "name": clean,
        "type": kind[0].strip(),
        "nullable": required is None,
        "default": default.group(1) if default else None,
    }


def modify(table: Table, part: str) -> bool:
    """MySQL's MODIFY and CHANGE state everything about a column, CHANGE its new name first. Whether it was one."""
    stated = re.match(MODIFY + r"(.*)", part, re.IGNORECASE | re.DOTALL)
    if stated is None:
        return False
    old = new = unquoted(stated.group(2))
    rest = stated.group(3)
    if stated.group(1).lower() == "change":
        match = re.match(IDENTIFIER + r"\s+(.*)", rest, re.DOTALL)
        new, rest = (unquoted(match.group(1)), match.group(2)) if match else (old, "")
    if old in table.columns and rest:
        if new != old:
            table.rename_column(old, new)
        text_column(table, f"`{new}`", rest)
    return True
