"""``deployguard facts``: what a check must know of a database, as a file for who may not reach it."""

from pathlib import Path

import click

from deployguard.cli.group import common, environment_option


@click.command(
    epilog="""\b
Examples:
  deployguard facts --env production -o facts.json         where the database can be reached
  deployguard check --facts facts.json --since main        where it can't, such as a pull request

\b
Exit codes: 0 written; 2 usage or configuration; 3 the database is unreachable.
"""
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it, readable by you only; else stdout.",
)
@environment_option
@common
@click.pass_context
def command(context: click.Context, *, output: Path | None, env: str | None) -> None:
    """Write the facts of a database that `deployguard check --facts` uses in its place.

    They are read in short read-only transactions: the server's version, the revision, tables with rows, sizes and
    partitions, indexes and whether they are valid, and the schema. There is no row, no password and no address in
    them; but names, default values and comments of the schema are.
    """
    from deployguard.cli.snapshots import write_facts

    write_facts(context, env, output)
