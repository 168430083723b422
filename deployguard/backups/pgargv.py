"""The argv of PostgreSQL's programs, and what form of dump they are told to make; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deployguard.model import BackupRecord

LOCK_WAIT: Final = 60  # seconds that pg_dump waits for a table that is locked
CUSTOM: Final = "database.dump"
GLOBALS: Final = "globals.sql"
PLAIN: Final = "database.sql"
PLAIN_GZIP: Final = "database.sql.gz"


@dataclass(frozen=True, slots=True)
class Form:
    """What kind of dump: ``layout`` is "directory", "custom" or "plain"; ``compression`` as in [backup]."""

    layout: str = "directory"
    compression: str = "gzip"
    jobs: int = 1

    @property
    def data(self) -> str:
        """The dump's file in the backup's folder; "" is the folder itself."""
        if self.layout == "plain":
            return PLAIN if self.compression == "none" else PLAIN_GZIP
        return CUSTOM if self.layout == "custom" else ""


def form_of(record: BackupRecord) -> Form:
    """The form of a backup that was taken."""
    return Form(record.layout, record.compression, record.jobs)


def dump_argv(
    program: str, major: int, form: Form, snapshot: str, file: str, *, scope: Sequence[str] = ()
) -> list[str]:
    """pg_dump of what the snapshot shows, ``scope`` narrows it; "" is standard output.

    A dump to a file is the better one: it knows where in it each table begins. What is written is flushed to the disk
    by us, once, when all of it is there.
    """
    return [
        program,
        f"--format={form.layout}",
        *compress_argv(major, form.compression),
        *([f"--jobs={form.jobs}"] if form.layout == "directory" and form.jobs > 1 else []),
        f"--snapshot={snapshot}",
        f"--lock-wait-timeout={LOCK_WAIT * 1000}",
        "--no-sync",
        "--no-password",
        "--verbose",
        *scope,
        *([f"--file={file}"] if file else []),
    ]


def globals_argv(program: str, database: str) -> list[str]:
    """pg_dumpall of roles, without their passwords, and tablespaces, to standard output."""
    return [
        program,
        "--globals-only",
        "--no-role-passwords",
        f"--database={database}",
        "--no-password",
    ]


def compress_argv(major: int, compression: str) -> list[str]:
    """Version 16 brought a choice of methods; before there was gzip only, told by its level."""
    method, _, level = compression.partition(":")
    if major >= 16:
        return [f"--compress={compression}"]
    return [f"--compress={0 if method == 'none' else level or 6}"]


def probe_argv(program: str, method: str) -> list[str]:
    """pg_dump that gets as far as understanding its arguments: it is sent where no server is."""
    return [
        program,
        "--format=custom",
        f"--compress={method}",
        "--no-password",
        "--file=/dev/null",
    ]


def read_argv(program: str, file: str) -> list[str]:
    """pg_restore that reads (and decompresses) all of a dump and keeps nothing; "" is standard input."""
    return [program, "--file=/dev/null", *([file] if file else [])]


def contents_argv(program: str, file: str) -> list[str]:
    """pg_restore that prints the table of contents of a dump; "" is standard input."""
    return [program, "--list", *([file] if file else [])]


def restore_argv(
    program: str, database: str, jobs: int, file: str, *, strict: bool = True
) -> list[str]:
    """pg_restore of a whole dump into an empty database; ``strict`` stops at the first error."""
    return [
        program,
        f"--dbname={database}",
        *(["--exit-on-error"] if strict else []),
        "--no-password",
        "--verbose",
        *([f"--jobs={jobs}"] if jobs > 1 else []),
        *([file] if file else []),
    ]


def schema_argv(program: str, file: str) -> list[str]:
    """pg_restore that prints the SQL of a dump's schema; "" is standard input."""
    return [program, "--schema-only", "--file=-", *([file] if file else [])]


def schema_dump_argv(program: str) -> list[str]:
    """pg_dump that prints the SQL of a database's schema."""
    return [program, "--schema-only", "--no-password"]


def psql_argv(program: str, database: str) -> list[str]:
    """Psql that runs its standard input in one transaction, and stops at the first error."""
    return [
        program,
        f"--dbname={database}",
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
        "--output=/dev/null",
    ]
