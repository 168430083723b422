"""A schema that nobody knows yet: most revisions never ask what it is, and then the history need not be replayed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .catalogue import Catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

_ANSWERS = frozenset(("tables", "enums", "domains", "sequences", "schemas", "find", "named"))


# What a rule weighs by the schema: whether a table is partitioned, what a foreign key points at, what a check proves.
_WEIGHED = re.compile(
    r"\bconcurrently\b|\bnot\s+valid\b|\battach\s+partition\b|\busing\s+index\b|\bset\s+not\s+null\b"
    r"|\bdrop\s+(?:table|constraint)\b",
    re.IGNORECASE,
)


def weighed(text: str) -> bool:
    """Whether it takes the schema to say how dangerous a statement is."""
    return _WEIGHED.search(text) is not None


class Unasked(Catalogue):
    """A catalogue that calls `asked` before its first answer; statements may move it on unanswered."""

    def __init__(self, asked: Callable[[], None]) -> None:
        self.moving = True
        self.asked = asked
        super().__init__(None)
        self.moving = False

    def __getattribute__(self, name: str) -> Any:
        get = super().__getattribute__
        if name in _ANSWERS and not get("moving"):
            get("asked")()
        return get(name)
