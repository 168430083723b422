"""``deployguard backup verify``: read a backup back completely."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.config.notify import Event


@click.command(
    epilog="""\b
Examples:
  deployguard backup verify latest
  deployguard backup verify latest --drill
  deployguard backup verify bookings-production-20260218-103000-ab12 --format json

\b
Exit codes: 0 it is whole; 2 no such backup; 3 a program or the scratch server is missing; 20 it is
damaged, or the drill failed.
"""
)
@click.argument("backup")
@click.option(
    "--drill",
    is_flag=True,
    help="Also restore it into a scratch database, compare, ask the verification SQL, and time it.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context, *, backup: str, drill: bool, env: str | None, form: str
) -> None:
    """Read BACKUP from its first to its last byte, and compare it with its manifest.

    Without the identity of an encrypted backup its files are compared, and it is said that they were not opened.
    What is found is kept beside it; a backup that was not read back does not count for a deploy. A drill also shows
    that it can be restored, on a server of its own ([drill]), and how long that takes.
    """
    from deployguard.cli.session import checked, drilled, entry, world, write_backup
    from deployguard.cli.telling import teller

    record = entry(context, env, backup).record
    event: Event = "drill-failed" if drill else "backup-failed"
    with teller(context, env) as told, told.telling(event), world(context, env) as here:
        here.reporter.progress(f"Reading {record.id} back")
        (drilled if drill else checked)(here.backups, record)
    write_backup(form, entry(context, env, record.id))
