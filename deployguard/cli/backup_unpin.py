"""``deployguard backup unpin``: let a pinned backup go when its time comes."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup unpin bookings-production-20260218-103000-ab12

\b
Exit codes: 0; 2 no such backup, or it is not pinned.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Take the pin of BACKUP away: from now on it is kept as its class is."""
    from deployguard.cli.keeping import unpin
    from deployguard.cli.session import write_backup

    write_backup(form, unpin(context, env, backup))
