"""What the small schema holds: tables, columns, indexes and the like, each with what is known of its past."""

import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

Place: TypeAlias = tuple[str, str, str]  # kind, table ("" for what belongs to none), name
NAMELESS: Final = "\0"  # no name can begin with it


class Was(Enum):
    """Whether something was there before the upgrade."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Thing:
    """A table, a column, an index, … at its present place; a tombstone where there is none any more."""

    origin: Place | None  # where it was before the upgrade; None for what this revision made
    was: Was
    here: bool = True
    back: bool = False  # the last change to it came from the downgrade
    table: str = ""  # of an index
    text: str = ""  # columns and expressions, for what goes when a column goes
    set_up: dict[str, str] = field(default_factory=dict)  # what the upgrade made of the column
    set_back: dict[str, str] = field(default_factory=dict)  # and what the downgrade made of it
    old_type: str | None = None


def mentions(text: str, column: str) -> bool:
    """Whether a definition names the column; one of which a part is not known may."""
    if NAMELESS in text:
        return True
    pattern = rf'(?<![\w$])"?{re.escape(column)}"?(?![\w$])'
    return re.search(pattern, text, re.IGNORECASE) is not None


def named(place: Place) -> str:
    kind, table, name = place
    if name.startswith(NAMELESS):
        return f"a {kind} without a name{f' of {table}' if table else ''}"
    if kind == "column":
        return f"the column {table}.{name}"
    return f"the {kind} {name}{f' of {table}' if table else ''}"
