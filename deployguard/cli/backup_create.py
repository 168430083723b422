"""``deployguard backup create``: take a backup now, and read it back."""

import click

from deployguard.cli.group import common, environment_option, format_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup create
  deployguard backup create --env production --format json
  deployguard backup create --class scheduled      kept as [retention] says, for cron and the like

\b
Exit codes: 0 taken and read back; 2 usage; 3 unreachable; 20 it failed, nothing is listed.
"""
)
@click.option(
    "--class",
    "reason",
    type=click.Choice(("manual", "scheduled", "phase")),
    default="manual",
    show_default=True,
    help="How long it is kept; phase is for ever.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(context: click.Context, *, reason: str, env: str | None, form: str) -> None:
    """Take a backup of the environment's database, and read it back completely.

    SQLite: the online backup, while the application goes on. PostgreSQL: pg_dump in parallel, in
    the format of [backup].
    """
    from deployguard.cli.session import checked, world, write_backup

    with world(context, env) as here:
        here.reporter.progress("Taking a backup")
        here.backups.preflight()
        record = here.take_backup(reason, "")
        here.reporter.progress("Reading the backup back")
        entry = checked(here.backups, record)
    write_backup(form, entry)
