"""``deployguard backup physical list``: the base backups, newest first."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical list
  deployguard backup physical list --env production --format json

\b
Exit codes: 0; 2 usage or configuration.
"""
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> None:
    """List the sealed base backups of an environment, newest first; no database is asked."""
    from deployguard.cli.physical import listed

    listed(context, env, form)
