"""``deployguard backup create``: take a backup now, and read it back."""

from dataclasses import replace

import click

from deployguard.cli.group import common, environment_option, format_option
from deployguard.errors import UsageError


@click.command(
    epilog="""\b
Examples:
  deployguard backup create
  deployguard backup create --env production --format json
  deployguard backup create --class scheduled      kept as [retention] says, for cron and the like
  deployguard backup create --schema-only
  deployguard backup create --data-only --table bookings --table other.rooms

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
@click.option("--schema-only", is_flag=True, help="PostgreSQL: the schema without any rows.")
@click.option("--data-only", is_flag=True, help="PostgreSQL: the rows without the schema.")
@click.option(
    "--table",
    "tables",
    metavar="NAME",
    multiple=True,
    help="PostgreSQL: this table only, with its partitions; can be repeated.",
)
@click.option(
    "--schema",
    "schemas",
    metavar="NAME",
    multiple=True,
    help="PostgreSQL: this schema only; can be repeated.",
)
@environment_option
@format_option("text", "json", "markdown")
@common
@click.pass_context
def command(
    context: click.Context,
    *,
    reason: str,
    schema_only: bool,
    data_only: bool,
    tables: tuple[str, ...],
    schemas: tuple[str, ...],
    env: str | None,
    form: str,
) -> None:
    """Take a backup of the environment's database, and read it back completely.

    SQLite: the online backup, while the application goes on, or SQL made of it. PostgreSQL: pg_dump in parallel, in
    the format of [backup].

    Only a backup of the whole database counts for a deploy and can be restored by `backup restore`; a part is for
    loading by hand.
    """
    from deployguard.cli.session import checked, world, write_backup
    from deployguard.cli.telling import teller
    from deployguard.deploy import offsite
    from deployguard.model import Scope

    if schema_only and data_only:
        raise UsageError("--schema-only and --data-only exclude each other.")
    content = "schema" if schema_only else "data" if data_only else "all"
    scope = Scope(content, tables, schemas)

    with teller(context, env) as told:
        with (
            told.telling("backup-failed", unattended=reason == "scheduled"),
            world(context, env) as here,
        ):
            here.reporter.progress("Taking a backup")
            here.backups.preflight()
            record = here.take_backup(reason, "") if scope.whole else here.take_part(reason, scope)
            here.reporter.progress("Reading the backup back")
            entry = checked(here.backups, record)
            if here.offsite is not None:
                here.reporter.progress("Copying the backup off-site")
                made, _ = offsite.copy(here, record)
                entry = replace(entry, copies=(made,) if made else ())
        told.taken(record, next(iter(entry.copies), None))
    write_backup(form, entry)
