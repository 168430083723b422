"""``deployguard check``: what is pending, and how dangerous it is."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import filled, known_dialect

FORMS = ("text", "json", "markdown", "github", "sarif", "gitlab", "junit", "html")


def _outputs(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, Path], ...]:
    """``FORMAT=FILE`` as (format, file). Raises a usage error for a format that is not known."""
    pairs = [text.partition("=") for text in given]
    for form, sign, path in pairs:
        if form not in FORMS or not sign or not path:
            raise click.BadParameter(
                f"{form}{sign}{path}: write FORMAT=FILE; formats: {', '.join(FORMS)}."
            )
    files = [path for _, _, path in pairs]
    twice = next((path for path in files if files.count(path) > 1), None)
    if twice is not None:
        raise click.BadParameter(f"{twice} is named for two formats; each needs its own file.")
    return tuple((form, Path(path)) for form, _, path in pairs)


@click.command(
    epilog="""\b
Examples:
  deployguard check                                 against the default environment's database
  deployguard check --env production -v             with the SQL of each revision
  deployguard check --since main --format github    a pull request, without any database
  deployguard check --from b017 --dialect sqlite    as if the database were at b017
  deployguard check --facts facts.json              against what `deployguard facts` has written
  deployguard check --fail-on medium --format json
  deployguard check --output html=report.html       one page for a reviewer, and text to read
  deployguard check --output sarif=deployguard.sarif --output junit=report.xml    and text to read

\b
Exit codes: 0 the level is below --fail-on, or nothing is pending; 2 usage or configuration; 3 the database is
unreachable; 10 the level is --fail-on or above.
"""
)
@click.option(
    "--from",
    "start",
    metavar="REV",
    callback=filled,
    help="No database: as if it were at REV (or base).",
)
@click.option(
    "--since",
    metavar="GIT-REF",
    callback=filled,
    help="No database: the revisions that were added since GIT-REF.",
)
@click.option(
    "--facts",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="No database: what `deployguard facts` wrote of it. Alone, or with --from or --since.",
)
@click.option(
    "--fail-on",
    type=click.Choice(["low", "medium", "high", "critical"]),
    help="Exit with 10 from this level on; else what the policy says.",
)
@click.option(
    "--dialect",
    metavar="NAME",
    callback=known_dialect,
    help="Judge for postgresql, sqlite, …; without a database.",
)
@click.option(
    "--report", type=click.Path(path_type=Path), help="Write the JSON document to this file, too."
)
@click.option(
    "--no-cache", is_flag=True, help="Read the revisions anew, even if nothing has changed."
)
@click.option(
    "--output",
    "outputs",
    metavar="FORMAT=FILE",
    multiple=True,
    callback=_outputs,
    help="Write this format to a file, too; may be given several times.",
)
@environment_option
@format_option(*FORMS)
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    start: str | None,
    since: str | None,
    facts: Path | None,
    fail_on: str | None,
    dialect: str | None,
    report: Path | None,
    no_cache: bool,
    outputs: tuple[tuple[str, Path], ...],
    env: str | None,
    form: str,
) -> int:
    """Say how dangerous the pending migrations are, and what the policy demands.

    Shows each pending revision with its level (low, medium, high, critical), its findings with file, line and the
    safe form, the locks it takes and how it can be undone; then the four answers of the checklist: does it drop
    anything, does it touch data in bulk, how long will it block, is there a way back? Nothing is changed.

    What cannot be read is critical. `deployguard explain CODE` tells more about a finding. A finding that somebody
    has accepted, with a reason, in the revision, in deployguard.toml or in the baseline, is shown and does not count
    for the level; for deploy it does.
    """
    from deployguard.cli.checking import Request, answer

    asked = Request(env, start, since, fail_on, dialect, form, report, not no_cache, outputs, facts)
    return answer(context, asked)
