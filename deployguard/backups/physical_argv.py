"""The argv of the programs of a base backup; pure. The connection is in the environment, never here."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deployguard.backups.room import human
from deployguard.config import PhysicalConfig

_PROGRESS: Final = re.compile(r"^\s*(\d+)/(\d+) kB")


def basebackup_argv(
    program: str, target: Path, label: str, config: PhysicalConfig, *, parent: Path | None = None
) -> list[str]:
    """pg_basebackup into an empty folder, with the log that makes it consistent; ``parent`` is a backup_manifest."""
    return [
        program,
        f"--pgdata={target}",
        "--format=plain",
        "--wal-method=stream",
        f"--checkpoint={config.checkpoint}",
        "--manifest-checksums=SHA256",
        f"--label={label}",
        "--no-password",
        "--progress",
        "--verbose",
        *([f"--max-rate={config.max_rate}"] if config.max_rate else []),
        *([f"--incremental={parent}"] if parent else []),
    ]


def verify_argv(program: str, folder: Path) -> list[str]:
    """pg_verifybackup: every file against the manifest, and the log of the backup read from end to end."""
    return [program, "--quiet", str(folder)]


def combine_argv(program: str, chain: Sequence[Path], target: Path) -> list[str]:
    """pg_combinebackup of a full backup and those upon it, oldest first."""
    return [program, f"--output={target}", "--manifest-checksums=SHA256", *map(str, chain)]


def progress(line: str) -> str | None:
    """What a line of pg_basebackup tells of how far it is; None for any other line."""
    found = _PROGRESS.match(line)
    if found is None:
        return None
    done, whole = int(found[1]) * 1024, int(found[2]) * 1024
    share = f", {min(100, 100 * done // whole)} %" if whole else ""
    return f"copying the cluster: {human(done)} of {human(max(whole, done))}{share}"
