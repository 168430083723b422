"""``deployguard backup restore``: put a backup in the place of the database."""

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.cli.options import by_option


@click.command(
    epilog="""\b
Examples:
  deployguard backup restore latest
  deployguard backup restore bookings-production-20260218-103000-ab12 --env production
  deployguard backup restore --at 2026-02-18T10:30    the newest of then or before (UTC)
  deployguard backup restore 20260218-103000-ab12     what this deploy took
  deployguard backup restore ID --confirm ID          in a pipeline

\b
Exit codes: 0 restored; 2 no such backup; 3 unreachable; 11 not confirmed, nothing changed; 20 the backup is
damaged, or no emergency backup could be taken, nothing changed; 22 a person must look; 23 another run is going on
or unfinished.
"""
)
@click.argument("backup", required=False, default="")
@click.option(
    "--at",
    metavar="TIME",
    default="",
    help="Instead of BACKUP: the newest one of this time or before, ISO 8601; without a zone it is UTC.",
)
@click.option(
    "--confirm",
    metavar="BACKUP",
    default="",
    help="The backup's whole id, where nobody can be asked.",
)
@click.option(
    "--no-emergency-backup",
    "bare",
    is_flag=True,
    help="Take no backup of the present first; it is only kept under another name.",
)
@by_option
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    backup: str,
    at: str,
    confirm: str,
    bare: bool,
    by: str | None,
    env: str | None,
    form: str,
) -> None:
    """Put BACKUP in the place of the environment's database. The last resort.

    Says per table what would be lost, how much was written since where that can be counted, and wants the backup's id
    typed. The backup is read back, an emergency backup of the present is taken, and the backup is restored beside the
    live database and swapped in at once; the former database is kept under another name. The application is stopped
    meanwhile where it can be, and stays down when it was made for another revision than the backup's.
    """
    from deployguard.cli.keeping import to_restore
    from deployguard.cli.session import carried_out, world
    from deployguard.deploy import saga

    record = to_restore(context, env, backup, at)
    with world(context, env, by) as here:
        carried_out(
            context, here, form, lambda: saga.restore(here, record.id, confirm, emergency=not bare)
        )
