"""Segments of write-ahead log as a server begins them, without a server."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from deployguard.wal import number_of

SIZE = 1 << 20  # the smallest that initdb --wal-segsize makes
SYSTEM = 7712909118578956797


def make(folder: Path, name: str, *, system: int = SYSTEM, size: int = SIZE) -> Path:
    """A file ``name`` in ``folder`` with a long page header and random bytes behind it."""
    address = number_of(name, size).number * size
    head = struct.pack("<HHIQI4xQII", 0xD110, 2, 1, address, 0, system, size, 8192)
    path = folder / name
    path.write_bytes(head + os.urandom(1000) + bytes(size - len(head) - 1000))
    return path
