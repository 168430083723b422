"""``deployguard backup pin``: keep a backup for ever."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup pin latest --reason "before the fiscal year was closed"

\b
Exit codes: 0; 2 no such backup; 20 the pin could not be written.
"""
)
@click.argument("backup")
@click.option("--reason", required=True, metavar="TEXT", help="Why; shown with the backup.")
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context, *, backup: str, reason: str, by: str | None, env: str | None, form: str
) -> None:
    """Keep BACKUP for ever: prune never removes it, until it is unpinned."""
    from deployguard.cli.keeping import pin
    from deployguard.cli.session import write_backup

    write_backup(form, pin(context, env, backup, reason, by))
