"""``deployguard watch``: who waits for whom while a migration runs."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard watch                       look on, until Ctrl-C
  deployguard watch --once --env production
  deployguard watch --format json         one look, for a program

\b
Exit codes: 0; 2 usage or configuration, or the database is not PostgreSQL; 3 it does not answer; 130 Ctrl-C.
"""
)
@click.option("--once", is_flag=True, help="Look once; --format json always does.")
@environment_option
@format_option("text", "json")
@common
@click.pass_context
def command(context: click.Context, *, once: bool, env: str | None, form: str) -> None:
    """Watch the migration that runs, whoever started it and on whichever host: it is found in the database.

    Shown are what it waits for, who waits behind it, index builds with a bar, who else waits or keeps everybody out
    of a table, the oldest transaction, replicas, invalid indexes and disk. What this role may not see is called not
    visible. On a terminal the view is replaced, else a line is written when something changes. It cancels nothing.
    """
    from deployguard.cli.watching import watch

    watch(context, env, once=once, form=form)
