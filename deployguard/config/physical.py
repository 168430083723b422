"""``[physical]``: base backups of a whole PostgreSQL cluster, and the archive of its write-ahead log."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final, Literal

from deployguard.config.retention import Keep
from deployguard.errors import UsageError
from deployguard.wal import compression

_RATE: Final = re.compile(r"[1-9][0-9]*[kM]")
_FOUR: Final = Keep(last=4)


@dataclass(frozen=True, slots=True)
class PhysicalConfig:
    """``[physical]``. Times in seconds."""

    directory: str = ".deployguard/physical"
    wal_directory: str = ".deployguard/wal"
    compression: str = "gzip:1"
    database_url_env: str = ""
    pg_bin: str = ""
    max_rate: str = ""
    checkpoint: Literal["fast", "spread"] = "fast"
    archive_wait: int = 60
    unencrypted: bool = False
    keep: Keep = _FOUR


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "directory": "Where base backups lie, apart from [backup] directory: they never count for a deploy.",
        "wal_directory": "Where `backup archive-wal` puts the write-ahead log of this one cluster.",
        "compression": 'Of archived log: "gzip" with a level from 1 to 9, or "none".',
        "database_url_env": 'The variable with the URL of a role that may replicate; "" is that of [backup], else of '
        "the environment.",
        "pg_bin": 'Folder of pg_basebackup and the others, of the server\'s version; "" is [backup] pg_bin, else '
        "PATH and where packages put them.",
        "max_rate": '"50M" or "800k" a second that a base backup may read; "" is no limit.',
        "checkpoint": '"fast", or "spread": gentler, and a backup begins minutes later.',
        "archive_wait": "Seconds within which a segment must be archived.",
        "unencrypted": "With [backup] encrypt_to: they are taken only when true says that their disk is encrypted.",
        "keep": "Which base backups `backup physical prune` keeps, as in [retention]; what they need stays.",
    }
)


def check_physical(config: PhysicalConfig, backups: str, where: str) -> PhysicalConfig:
    """The configuration, looked through; ``backups`` is [backup] directory. Raises UsageError."""
    folders = [PurePath(config.directory), PurePath(config.wal_directory), PurePath(backups)]
    names = ("directory", "wal_directory", "[backup] directory")
    for place, one in enumerate(folders):
        for other, folder in enumerate(folders):
            if place != other and (one == folder or folder in one.parents):
                raise UsageError(
                    f"{where} {names[place]} lies in {names[other]}: each needs a folder of its own."
                )
    if compression(config.compression) is None:
        raise UsageError(
            f'{where} compression is {config.compression!r}; use "none", "gzip" or "gzip:1" to "gzip:9".'
        )
    if config.max_rate and not _RATE.fullmatch(config.max_rate):
        raise UsageError(f'{where} max_rate is {config.max_rate!r}; write it as "800k" or "50M".')
    if config.keep.empty:
        raise UsageError(
            f"{where} keep keeps nothing: say what is kept, as in keep = {{ last = 2 }}."
        )
    return config
