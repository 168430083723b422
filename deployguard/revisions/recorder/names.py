"""Identifiers and lists in SQL text."""

from __future__ import annotations

import re

_ONE = r'(?:"[^"]+"|`[^`]+`|\w+)'
NAME = rf"({_ONE}(?:\.{_ONE})?)"
IDENTIFIER = rf"({_ONE})"


def unquoted(name: str) -> str:
    """An identifier as the catalogue has it."""
    if name.startswith('"'):
        return name[1:-1].replace('""', '"')
    return name[1:-1] if name.startswith("`") else name.lower()


def split(name: str) -> tuple[str | None, str]:
    """(schema or None, name) of a qualified identifier."""
    parts = re.findall(_ONE, name)
    return (unquoted(parts[0]) if len(parts) > 1 else None), unquoted(parts[-1])


def top_level(text: str) -> list[str]:
    """Split at commas that are in no parentheses and no quotes."""
    parts, depth, start, quote = [], 0, 0, ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"`":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
