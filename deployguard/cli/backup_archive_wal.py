"""``deployguard backup archive-wal``: what the server runs for each segment; it begins fast, for it loads little."""

import os
import sys
from pathlib import Path

import click

from deployguard.cli.app import App
from deployguard.cli.group import common, environment_option
from deployguard.errors import DeployguardError, UsageError
from deployguard.wal import Archive, compression


@click.command(
    epilog="""\b
Examples, in postgresql.conf:
  archive_command = 'deployguard backup archive-wal --config /srv/shop/deployguard.toml --env production %p'
  archive_command = '/opt/deployguard/bin/deployguard backup archive-wal --into /backup/wal %p'

\b
Exit codes: 0 it is in the archive and on the disk; 2 usage; 20 it is not, and the server asks again.
"""
)
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option(
    "--into",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The archive; then no configuration is read.",
)
@click.option("--compression", "packed", metavar="KIND", help='With --into: "none" or "gzip:1".')
@environment_option
@common
@click.pass_context
def command(
    context: click.Context, *, path: Path, into: Path | None, packed: str | None, env: str | None
) -> int:
    """Put the file at PATH (%p) into the archive of the write-ahead log.

    It is there whole, on the disk, readable by its owner only, or not at all. A file that is there already is never
    overwritten: with the same contents that is success, with other contents failure.
    """
    try:
        archive_of(context.obj, into, packed, env).put(path)
    except DeployguardError as error:
        told(error)
        return error.exit_code
    return 0


def archive_of(app: App, folder: Path | None, packed: str | None, env: str | None) -> Archive:
    """The archive that is named, else the one that is configured. Raises UsageError."""
    if folder is not None:
        level = compression(packed or "none")
        if level is None:
            raise UsageError(
                f'--compression is {packed!r}; use "none", "gzip" or "gzip:1" to "gzip:9".'
            )
        return Archive(folder.absolute(), level)
    physical = app.environment(env).physical
    place = (app.config().directory / physical.wal_directory).resolve()
    return Archive(place, compression(physical.compression) or 0)


def told(error: Exception) -> None:
    """Write one line to stderr, which is the server's log."""
    sys.stderr.write(f"deployguard: {getattr(error, 'message', error)}{os.linesep}")
