"""Names of files of the write-ahead log, and the positions that they stand for; pure.

Source: the PostgreSQL manual, "Write-Ahead Log" and "Continuous Archiving".
"""

import re
from typing import Final, NamedTuple

SMALLEST: Final = 1 << 20  # bytes of a segment, …
LARGEST: Final = 1 << 30  # … always a power of two
_SEGMENT: Final = re.compile(r"[0-9A-F]{24}")
_FILE: Final = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?|[0-9A-F]{8}\.history")
_HIGH: Final = 32  # bits of the position behind the slash


class Place(NamedTuple):
    """A segment: its timeline, and which one it is from the beginning of all log."""

    timeline: int
    number: int


def is_segment(name: str) -> bool:
    """Whether it is the name of a whole segment."""
    return _SEGMENT.fullmatch(name) is not None


def is_file(name: str) -> bool:
    """Whether a server gives this name to anything that it archives."""
    return _FILE.fullmatch(name) is not None


def lsn(text: str) -> int:
    """The position "16/B374D848" in bytes. Raises ValueError."""
    high, slash, low = text.partition("/")
    if not slash:
        raise ValueError(f"{text!r} is no position in the write-ahead log")
    return (int(high, 16) << _HIGH) + int(low, 16)


def lsn_text(position: int) -> str:
    """The position as PostgreSQL writes it."""
    return f"{position >> _HIGH:X}/{position & 0xFFFFFFFF:X}"


def number_of(name: str, size: int) -> Place:
    """Where a file's name, whatever stands behind its 24 digits, is in a log of segments of ``size`` bytes."""
    timeline, log, low = (int(name[at : at + 8], 16) for at in (0, 8, 16))
    return Place(timeline, log * ((1 << _HIGH) // size) + low)


def segment(timeline: int, number: int, size: int) -> str:
    """The name of a segment."""
    high, low = divmod(number, (1 << _HIGH) // size)
    return f"{timeline:08X}{high:08X}{low:08X}"


def is_size(size: int) -> bool:
    """Whether a segment can have so many bytes."""
    return SMALLEST <= size <= LARGEST and size & (size - 1) == 0
