"""``deployguard baseline``: record what an existing history holds, so that only what is new counts."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option
from deployguard.cli.options import known_dialect


@click.command(
    epilog="""\b
Examples:
  deployguard baseline                         for the dialect of the default environment
  deployguard baseline --dialect postgresql    for another one; what is known of the others stays

\b
Exit codes: 0 written; 2 usage or configuration.
"""
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; else what [project] baseline says (deployguard-baseline.json).",
)
@click.option(
    "--dialect", metavar="NAME", callback=known_dialect, help="Judge for postgresql, sqlite, …"
)
@environment_option
@common
@click.pass_context
def command(
    context: click.Context, *, output: Path | None, dialect: str | None, env: str | None
) -> None:
    """Judge the whole history, without a database, and record the findings that are there.

    From then on `deployguard check` shows them as accepted ("baseline"), and they do not count for its level. A file
    that changes is open again, and so is a finding that is new. Commit the file; write it anew to drop what is gone.
    """
    from deployguard.cli.recording import write_baseline

    write_baseline(context.obj, output, dialect, env)
