"""``deployguard backup show``: one backup."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup show latest
  deployguard backup show bookings-production-20260218-103000-ab12

\b
Exit codes: 0; 2 no such backup.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Show BACKUP: its files with size and sha256, its rows per table, what reading it back has shown, its pin."""
    from deployguard.cli.session import entry, write_backup

    write_backup(form, entry(context, env, backup))
