"""``deployguard backup verify``: read a backup back completely."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup verify latest
  deployguard backup verify bookings-production-20260218-103000-ab12 --format json

\b
Exit codes: 0 it is whole; 2 no such backup; 3 a program is missing; 20 it is damaged.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Read BACKUP from its first to its last byte, and compare it with its manifest.

    What is found is kept beside it; a backup that was not read back does not count for a deploy.
    """
    from deployguard.cli.session import checked, entry, world, write_backup

    record = entry(context, env, backup).record
    with world(context, env) as here:
        here.reporter.progress(f"Reading {record.id} back")
        found = checked(here.backups, record)
    write_backup(form, found)
