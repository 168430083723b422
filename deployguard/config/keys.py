"""Whether the keys of a table are known: the one question that every part of the configuration asks."""

import difflib
from collections.abc import Mapping

from deployguard.errors import UsageError


def known(table: Mapping[str, object], allowed: tuple[str, ...], where: str) -> None:
    """Refuse a key that is not allowed, naming the nearest one that is. Raises UsageError."""
    for key in table:
        if key not in allowed:
            near = difflib.get_close_matches(key, allowed, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(allowed)}."
            raise UsageError(f"Unknown key {key!r} in {where}{hint}")
