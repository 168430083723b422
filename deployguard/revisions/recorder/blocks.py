"""Code that runs inside the server may change the schema in ways that no text shows; a few blocks surely do not."""

from __future__ import annotations

import re

# What may change the schema in ways that no text shows.
_UNSEEN = re.compile(r"\s*(?:--[^\n]*\n\s*)*(do|call|execute)\b", re.IGNORECASE)
# What a block that only makes a type, unless it is there, has no word of.
_CHANGES = re.compile(
    r"\b(?:execute|perform|call|table|index|view|schema|rename|drop|insert|update|delete)\b|:="
    r"|\bselect\s+(?!1\b|from\b|\*)|\bif\s+(?!not\b|exists\b)",
    re.IGNORECASE,
)
_CREATE_TYPE = re.compile(r"\bcreate\s+type\b", re.IGNORECASE)


def hides(statement: str, text: str) -> bool:
    """Whether a statement, a piece of what was executed at once, may have changed a table unseen."""
    if not (_UNSEEN.match(text) or _UNSEEN.match(statement)):
        return False
    return _CREATE_TYPE.search(text) is None or _CHANGES.search(text) is not None
