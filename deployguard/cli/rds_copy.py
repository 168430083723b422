"""``deployguard backup rds copy``: copy a snapshot to another region or account."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup rds copy latest --env production

\b
Exit codes: 0 copied; 2 usage or configuration; 3 unreachable; 20 it failed, or the backup does not count.
"""
)
@click.argument("backup")
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, backup: str, env: str | None, form: str) -> None:
    """Copy the snapshot of BACKUP to [rds] copy_region, and to the account of copy_role.

    Where it is another account, the snapshot is shared with it as long as that takes. The copy is waited for and
    compared, and written down beside the backup.
    """
    from deployguard.cli.provider import copied

    copied(context, env, backup, form)
