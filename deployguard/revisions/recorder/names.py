"""Identifiers and lists in SQL text."""

from __future__ import annotations

import re

NAME = r'((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)'
IDENTIFIER = r'("[^"]+"|\w+)'


def unquoted(name: str) -> str:
    """An identifier as the catalogue has it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def split(name: str) -> tuple[str | None, str]:
    """(schema or None, name) of a qualified identifier."""
    parts = re.findall(r'"[^"]+"|\w+', name)
    return (unquoted(parts[0]) if len(parts) > 1 else None), unquoted(parts[-1])


def top_level(text: str) -> list[str]:
    """Split at commas that are in no parentheses and no quotes."""
    parts, depth, start, quote = [], 0, 0, ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "([":
            depth += 1
        elif letter in ")]":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:index])
            start = index + 1
    return [*parts, text[start:]]
