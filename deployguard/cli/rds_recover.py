"""``deployguard backup rds recover``: make a new instance or cluster as the live one was at a time."""

from datetime import datetime

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup rds recover --at 2026-02-18T10:29:00+00:00 --env production

\b
Exit codes: 0 it is there; 2 usage, or a time that is out of reach; 3 unreachable; 20 it failed. The live one is not
touched in any case.
"""
)
@click.option(
    "--at",
    required=True,
    metavar="TIME",
    help="2026-02-18T10:29:00+00:00; without an offset it is UTC.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, at: str, env: str | None, form: str) -> None:
    """Make a new instance or cluster, as the live one was at TIME, with its groups, class and protection.

    It is left beside the live one and not switched: what was written since is only in the live one.
    """
    from deployguard.cli.provider import recovered
    from deployguard.cli.provider import time as parsed

    moment: datetime = parsed(at)
    recovered(context, env, moment, form)
