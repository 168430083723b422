"""Which programs to use for a base backup: those of the server's own major version, or none."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.backups import pgtools
from deployguard.backups.base import Site
from deployguard.database import libpq
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import program_version, which

TAKING: Final = ("pg_basebackup", "pg_verifybackup", "pg_waldump")
READING: Final = ("pg_verifybackup", "pg_waldump")
SERVING: Final = (*READING, "postgres", "pg_ctl", "pg_controldata")
COMBINING: Final = "pg_combinebackup"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of PostgreSQL's programs; ``version`` as they print it."""

    major: int
    version: str
    bin: Path

    def program(self, name: str) -> str:
        return str(self.bin / name)


def choose(site: Site, pg_bin: str, needed: int, names: Sequence[str], what: str) -> Programs:
    """The folder with all of ``names``, of version ``needed``: base backups bear no other.

    Raises EnvironmentUnreachable that names both versions, or what the right one lacks.
    """
    folders = _folders(site, pg_bin)
    found = [programs for folder in folders if (programs := at(folder)) is not None]
    lacking: tuple[str, ...] = ()
    for programs in found:
        if programs.major != needed:
            continue
        lacking = tuple(name for name in names if not runs(programs.program(name)))
        if not lacking:
            return programs
    install = (
        f"Install postgresql-{needed} (the server's package, it need not run), or name the folder of its programs in"
        " [physical] pg_bin."
    )
    if lacking:
        raise EnvironmentUnreachable(
            f"{what} is PostgreSQL {needed}, and {', '.join(lacking)} of that version is not here, or does not run."
            f" {install}"
        )
    have = ", ".join(f"{each.version} in {each.bin}" for each in found) or "none"
    raise EnvironmentUnreachable(
        f"{what} is PostgreSQL {needed}, and its base backups need pg_basebackup and the others of version {needed};"
        f" found: {have}. {install}"
    )


def runs(program: str) -> bool:
    """Whether a program is there and begins: a build that is broken tells nothing of a backup."""
    return _version(program) is not None


def _version(program: str) -> str | None:
    """What a program says of itself; it is shown nothing of ours that it does not need."""
    return program_version([program, "--version"], env=libpq.environment({}, os.environ))


def at(folder: Path) -> Programs | None:
    """The programs in a folder; None when they are not there."""
    if not (folder / "pg_basebackup").exists():
        return None
    said = _version(str(folder / "pg_basebackup"))
    read = pgtools.parse_version(said, folder, None)
    return None if read is None else Programs(read.major, read.version, folder)


def _folders(site: Site, pg_bin: str) -> list[Path]:
    named = pg_bin or site.config.pg_bin
    if named:
        folder = (site.directory / named).resolve()
        if not (folder / "pg_basebackup").exists():
            raise EnvironmentUnreachable(f"pg_bin: there is no pg_basebackup in {folder}.")
        return [folder]
    here = which("pg_basebackup", path=site.environ.get("PATH"))
    folders = [Path(here).parent] if here else []
    return folders + [path for each in pgtools.SYSTEM for path in sorted(Path("/").glob(each[1:]))]
