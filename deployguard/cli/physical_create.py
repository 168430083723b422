"""``deployguard backup physical create``: copy the cluster, and read the copy back."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup physical create
  deployguard backup physical create --incremental    what has changed since the newest one (PostgreSQL 17)

\b
Exit codes: 0 taken and read back; 2 usage, or a server that it cannot be done with; 3 unreachable, or a program is
missing; 20 it failed, nothing is listed.
"""
)
@click.option(
    "--incremental",
    is_flag=True,
    help="Only what has changed since the newest verified one; PostgreSQL 17 with summarize_wal.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, incremental: bool, env: str | None, form: str) -> None:
    """Take a base backup of the whole cluster by pg_basebackup, and read it back by pg_verifybackup.

    The log that makes it consistent comes along: it can be restored alone, and with the archive to any later time.
    """
    from deployguard.cli.physical import created

    created(context, env, form, incremental=incremental)
