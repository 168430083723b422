"""``deployguard backup rds export``: export a snapshot's tables to S3."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup rds export latest --env production

\b
Exit codes: 0 exported; 2 usage or configuration; 3 unreachable; 20 it failed, or the backup does not count.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Export the tables in the snapshot of BACKUP to [rds] export_bucket, as Parquet files.

    It is no backup: nothing brings the files back into a database by itself.
    """
    from deployguard.cli.provider import exported

    exported(context, env, backup, form)
