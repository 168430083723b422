"""``deployguard backup physical check``: say whether archiving truly works."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical check
  deployguard backup physical check --env production --format json

\b
Exit codes: 0 the log is archived, without a gap; 2 nothing is archived, it says how to begin; 3 unreachable; 20 a
segment was not archived in time, or the archive has a gap.
"""
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, env: str | None, form: str) -> None:
    """Look at the server's settings, finish a segment of its log, wait until it is archived, and look for gaps."""
    from deployguard.cli.physical import checked

    checked(context, env, form)
