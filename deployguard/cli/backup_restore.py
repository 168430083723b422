"""``deployguard backup restore``: put a backup in the place of the database."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup restore latest
  deployguard backup restore bookings-production-20260218-103000-ab12 --env production
  deployguard backup restore ID --confirm ID          the same, in a pipeline

\b
Exit codes: 0 restored; 2 no such backup; 3 unreachable; 11 not confirmed, nothing changed; 20 the backup is damaged,
nothing changed; 22 a person must look; 23 another run is going on or unfinished.
"""
)
@click.argument("backup")
@click.option(
    "--confirm",
    metavar="BACKUP",
    default="",
    help="The backup's whole id, where nobody can be asked.",
)
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context, *, backup: str, confirm: str, by: str | None, env: str | None, form: str
) -> None:
    """Put BACKUP in the place of the environment's database. The last resort.

    Says per table what would be lost and wants the backup's id typed. The backup is read back, restored beside the
    live database and swapped in at once; the former database is kept under another name. The application is stopped
    meanwhile where it can be, and stays down when it was made for another revision than the backup's.
    """
    from deployguard.cli.session import carried_out, entry, world
    from deployguard.deploy import saga

    record = entry(context, env, backup).record
    with world(context, env, by) as here:
        carried_out(context, here, form, lambda: saga.restore(here, record.id, confirm))
