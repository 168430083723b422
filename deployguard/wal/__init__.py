"""The archive of write-ahead log: the names in it, how a file gets in, and how it gets out. Loads nothing heavy.

The database server runs it for every segment, so nothing here may import a library or a room that does.
"""

from deployguard.wal.archive import Archive, Missing, compression
from deployguard.wal.names import Place, is_file, is_segment, lsn, lsn_text, number_of, segment
from deployguard.wal.reach import Reach, reach

__all__ = [
    "Archive",
    "Missing",
    "Place",
    "Reach",
    "compression",
    "is_file",
    "is_segment",
    "lsn",
    "lsn_text",
    "number_of",
    "reach",
    "segment",
]
