"""``deployguard check``: what is pending, and how dangerous it is."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard check                                 against the default environment's database
  deployguard check --env production -v             with the SQL of each revision
  deployguard check --since main --format github    a pull request, without any database
  deployguard check --from b017 --dialect sqlite    as if the database were at b017
  deployguard check --fail-on medium --format json

\b
Exit codes: 0 the level is below --fail-on, or nothing is pending; 2 usage or configuration; 3 the database is
unreachable; 10 the level is --fail-on or above.
"""
)
@click.option("--from", "start", metavar="REV", help="No database: as if it were at REV (or base).")
@click.option(
    "--since", metavar="GIT-REF", help="No database: the revisions that were added since GIT-REF."
)
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    help="Exit with 10 from this level on; else what the policy says.",
)
@click.option(
    "--dialect", metavar="NAME", help="Judge for postgresql, sqlite, …; without a database."
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write the JSON document to this file, too."
)
@click.option(
    "--no-cache", is_flag=True, help="Read the revisions anew, even if nothing has changed."
)
@environment_option
@format_option("text", "json", "markdown", "github")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    start: str | None,
    since: str | None,
    fail_on: str | None,
    dialect: str | None,
    report: Path | None,
    no_cache: bool,
    env: str | None,
    form: str,
) -> int:
    """Say how dangerous the pending migrations are, and what the policy demands.

    Shows each pending revision with its level (low, medium, high, critical), its findings with file, line and the
    safe form, the locks it takes and how it can be undone; then the four answers of the checklist: does it drop
    anything, does it touch data in bulk, how long will it block, is there a way back? Nothing is changed.

    What cannot be read is critical. `deployguard explain CODE` tells more about a finding.
    """
    from deployguard.cli.checking import Request, answer

    return answer(context, Request(env, start, since, fail_on, dialect, form, report, not no_cache))
