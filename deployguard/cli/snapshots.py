"""Writes the facts of a database to a file, and reads such a file for a check."""

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from deployguard.cli.session import world
from deployguard.cli.terminal import data, people
from deployguard.errors import UsageError

if TYPE_CHECKING:
    from deployguard.database.facts_file import Snapshot


def write_facts(context: click.Context, env: str | None, output: Path | None) -> None:
    """Ask the database and write what it said to ``output``, else to stdout."""
    from deployguard.database.facts_file import document
    from deployguard.deploy.snapshot import take
    from deployguard.formats.document import render

    app = context.obj
    with world(context, env) as here:
        here.reporter.progress("Reading the database")
        with here.database() as database:
            found = take(app.config(), here.environment, database, here.clock())
    text = render(document(found))
    if output is None:
        data().raw(text)
        return
    _write_privately(output, text)
    revision = ", ".join(found.current) or "no revision"
    people().write(f"Wrote {output}: {len(found.facts.tables or ())} tables, at {revision}.")
    people().commands((f"deployguard check --facts {output}",))


def read_facts(path: Path) -> "Snapshot":
    """The facts in a file. Raises UsageError."""
    from deployguard.database.facts_file import parse

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"Cannot read the facts in {path}: {why}.",
            next_commands=(f"deployguard facts -o {path}",),
        ) from error
    return parse(text, str(path))


def now() -> datetime:
    """The time of day, with its zone."""
    return datetime.now(UTC)


def _write_privately(path: Path, text: str) -> None:
    """Write a file whole or not at all, for its owner only: the shape of production is not for everybody."""
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise UsageError(f"Cannot write {path}: {error.strerror}.") from error
