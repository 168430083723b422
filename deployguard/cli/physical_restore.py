"""``deployguard backup physical restore``: make a new cluster, as it was at a time."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical restore latest --into /srv/pg-before --to 2026-02-18T10:29:00+00:00
  deployguard backup physical restore latest --into /srv/pg-before --restore-point before-b017
  deployguard backup physical restore latest --into /srv/pg-new --end
  deployguard backup physical restore ID --into /srv/pg-new --consistent     the backup alone

\b
Exit codes: 0 the new cluster is there, stopped; 2 usage, or the folder is not empty; 3 a program is missing; 20 the
backup is damaged, or the target was not reached. No existing cluster is touched in any case.
"""
)
@click.argument("backup")
@click.option(
    "--into",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A folder that is not there yet, or is empty.",
)
@click.option("--to", metavar="TIME", help="A time, as 2026-02-18T10:29:00+00:00; else UTC.")
@click.option("--restore-point", "name", metavar="NAME", help="What `mark` has named.")
@click.option("--end", is_flag=True, help="The end of the archived log.")
@click.option("--consistent", is_flag=True, help="As soon as it is consistent; no archive.")
@click.option(
    "--timeline",
    metavar="ID",
    default="latest",
    show_default=True,
    help="The timeline to follow: a number, latest or current.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    backup: str,
    into: Path,
    to: str | None,
    name: str | None,
    end: bool,
    consistent: bool,
    timeline: str,
    env: str | None,
    form: str,
) -> None:
    """Make a new cluster in DIR of BACKUP (an id, its beginning, or `latest`) and the archived log.

    It is started on a socket of its own, to prove that it comes to its target, asked for its revision and rows, and
    stopped. `latest` is the newest verified base backup from which the target lies ahead.
    """
    from deployguard.cli.physical import restored, target

    where = target(to, name, timeline, end=end, alone=consistent)
    restored(context, env, backup, form, into=into, to=where)
