"""``deployguard backup physical verify``: read a base backup back completely."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical verify latest

\b
Exit codes: 0 it is whole; 2 no such base backup; 3 a program is missing; 20 it, or one that it stands upon, is
damaged.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Read BACKUP, and all that it stands upon, from the first to the last byte; say how far the archive goes on."""
    from deployguard.cli.physical import verified

    verified(context, env, backup, form)
