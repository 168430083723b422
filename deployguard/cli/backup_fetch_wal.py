"""``deployguard backup fetch-wal``: what a server that recovers runs for each file of the log that it wants."""

import sys
from pathlib import Path

import click

from deployguard.cli.backup_archive_wal import archive_of, told
from deployguard.cli.group import common, environment_option
from deployguard.wal import Missing

MISSING = 1  # the server takes it for the end of the log …
DOUBT = 200  # … and anything above 125 for a reason to stop


@click.command(
    epilog="""\b
Examples, in postgresql.conf:
  restore_command = 'deployguard backup fetch-wal --config /srv/shop/deployguard.toml --env production %f %p'
  restore_command = '/opt/deployguard/bin/deployguard backup fetch-wal --from /backup/wal %f %p'

\b
Exit codes: 0 it is there; 1 the archive has no such file, which is no error; 200 anything else: the server must
stop, and not take it for the end of the log.
"""
)
@click.argument("words", metavar="NAME PATH", nargs=-1)
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The archive; then no configuration is read.",
)
@environment_option
@common
@click.pass_context
def command(
    context: click.Context, *, words: tuple[str, ...], source: Path | None, env: str | None
) -> int:
    """Bring the archived file NAME (%f) to PATH (%p)."""
    try:
        if len(words) != 2:
            sys.stderr.write("deployguard: give %f and %p.\n")
            return DOUBT
        archive_of(context.obj, source, None, env).fetch(words[0], Path(words[1]))
    except Missing:
        return MISSING
    except Exception as error:  # noqa: BLE001 - whatever it is, the log must not seem to end here
        told(error)
        return DOUBT
    return 0
