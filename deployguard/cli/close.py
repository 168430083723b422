"""``deployguard close``: a person has put production right by hand."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard close --env production --reason "restored by hand, old image runs"

\b
Exit codes: 0 closed; 2 nothing is unfinished; 23 another run is going on.
"""
)
@click.option("--reason", metavar="TEXT", required=True, help="What was done; kept in the journal.")
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context, *, reason: str, by: str | None, env: str | None, form: str
) -> None:
    """Close the unfinished deploy without touching anything, because a person has put production right.

    This is the way out after exit code 22. Nothing is looked at and nothing is changed but the journal.
    """
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import saga

    with world(context, env, by) as here:
        carried_out(context, here, form, lambda: saga.close(here, reason))
