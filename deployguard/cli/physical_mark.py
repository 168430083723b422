"""``deployguard backup physical mark``: name this moment, to go back to."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical mark before-b017

\b
Exit codes: 0 named and archived; 2 usage, or nothing is archived; 3 unreachable; 20 it was not archived in time.
"""
)
@click.argument("name")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, name: str, env: str | None, form: str) -> None:
    """Make a restore point NAME in the log of the cluster, and wait until it is archived."""
    from deployguard.cli.physical import marked

    marked(context, env, name, form)
