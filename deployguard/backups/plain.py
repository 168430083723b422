"""A dump as plain SQL: read to its end, its rows counted, and fed to psql."""

import os
import re
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from deployguard.backups import streams

COMPLETE: Final = b"-- PostgreSQL database dump complete"
_DATA: Final = (
    b"-- Data for Name: "  # pg_dump's announcement; the text of a function may hold a COPY as well
)
_NEAR: Final = 6  # lines from there to the COPY
_END: Final = b"\\.\n"
_TIMEOUT: Final = b"SET transaction_timeout = 0;\n"  # version 17 brought it
_GUARD: Final = re.compile(rb"\\restrict ([A-Za-z0-9]+)\n")
_GUARDED: Final = 10  # lines in which it stands
_PAUSE: Final = 0.05  # seconds
_HEAD: Final = 100  # lines in which pg_dump's settings stand
_NAME: Final = rb'(?:"(?:[^"]|"")+"|[^". ]+)'
_COPY: Final = re.compile(rb"COPY (" + _NAME + rb"\." + _NAME + rb") +(?:\(.*\) )?FROM stdin;\n")
_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')


def rows(path: Path) -> dict[tuple[str, str], int]:
    """How many rows of each (schema, table) a dump holds, read to its end. Raises streams.Broken or OSError."""
    found: dict[tuple[str, str], int] = {}
    table: tuple[str, str] | None = None
    complete, whole, announced = False, True, 0
    for line in streams.lines(path):
        if table is not None:
            if line == _END and whole:
                table, announced = None, 0
            elif line.endswith(b"\n"):
                found[table] += 1
        elif line.startswith(_DATA):
            announced = _NEAR
        elif announced and line.startswith(b"COPY ") and (match := _COPY.fullmatch(line)):
            table = _names(match[1].decode(errors="replace"))
            found[table] = 0
        elif line.startswith(COMPLETE):
            complete = True
        whole, announced = line.endswith(b"\n"), max(0, announced - 1)
    if not complete:
        raise streams.Broken("the dump's last line is missing")
    return found


def definitions(path: Path) -> Iterator[str]:
    """The lines of a dump that are not rows of a table, without their ends. Raises streams.Broken or OSError."""
    inside, whole, announced = False, True, 0
    for line in streams.lines(path):
        if inside:
            inside = not (line == _END and whole)
        else:
            if line.startswith(_DATA):
                announced = _NEAR
            inside = bool(announced and line.startswith(b"COPY ") and _COPY.fullmatch(line))
            if not inside:
                yield line.decode(errors="replace").rstrip("\n")
            announced = 0 if inside else max(0, announced - 1)
        whole = line.endswith(b"\n")


def _names(text: str) -> tuple[str, str]:
    """("schema", "table") of a name as pg_dump writes it; both may be quoted."""
    parts = [
        quoted.replace('""', '"') if quoted else plain for quoted, plain in _PART.findall(text)
    ]
    return (parts[0], parts[1]) if len(parts) == 2 else ("", text)


@contextmanager
def fed(path: Path, *, timeout_known: bool, restrict: bool = False) -> Iterator[Path]:
    """A pipe in the file system that gives the SQL of a dump, decompressed as it is read.

    Without ``timeout_known`` the one setting is left out that a server older than the dump's pg_dump does not have.
    With ``restrict`` psql is told to take no commands of its own from the dump: one of them starts programs.
    A dump that is not whole ends with a line that no server takes, so that nothing of it is committed.
    """
    with tempfile.TemporaryDirectory(prefix="deployguard-") as folder:
        pipe = Path(folder) / "sql"
        os.mkfifo(pipe, 0o600)
        writer = threading.Thread(
            target=_write, args=(path, pipe, timeout_known, restrict), daemon=True
        )
        writer.start()
        try:
            yield pipe
        finally:
            # A program that never opened it would leave the writer waiting for a reader; who comes to the pipe only
            # after this one has gone waits for the next one.
            while writer.is_alive():
                with suppress(OSError):
                    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))
                writer.join(_PAUSE)


def _write(path: Path, pipe: Path, timeout_known: bool, restrict: bool) -> None:
    # One that has ended reads no further: its exit code says why.
    with suppress(BrokenPipeError), pipe.open("wb") as target:
        lines = streams.lines(path)
        try:
            if restrict:
                target.write(b"\\restrict " + secrets.token_hex(16).encode() + b"\n")
                lines = _unguarded(lines)
            for number, line in enumerate(lines):
                if timeout_known or number > _HEAD or line != _TIMEOUT:
                    target.write(line)
        except (streams.Broken, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            target.write(b"\n\\.\nSELECT deployguard_the_dump_is_not_whole;\n")


def _unguarded(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Without pg_dump's own pair of guards, its first and its last line, which would be refused inside of ours."""
    last, complete = b"", False
    for number, line in enumerate(lines):
        complete = complete or line.startswith(COMPLETE)
        if not last and number < _GUARDED and (found := _GUARD.fullmatch(line)):
            last = b"\\unrestrict " + found[1] + b"\n"
        elif not (complete and line == last):
            yield line
