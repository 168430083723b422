"""``deployguard backup``: take, find, verify, copy, restore, keep and remove backups."""

from collections.abc import Mapping
from types import MappingProxyType

import click

from deployguard.cli.group import LazyGroup

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "create": ("deployguard.cli.backup_create", "Take a backup now, and read it back."),
        "list": ("deployguard.cli.backup_list", "List the backups, newest first."),
        "show": ("deployguard.cli.backup_show", "Show one backup: files, rows, evidence."),
        "status": (
            "deployguard.cli.backup_status",
            "Say whether the backups are as they should be.",
        ),
        "verify": ("deployguard.cli.backup_verify", "Read a backup back completely."),
        "copy": ("deployguard.cli.backup_copy", "Copy a backup off-site."),
        "fetch": ("deployguard.cli.backup_fetch", "Bring an off-site copy back."),
        "restore": ("deployguard.cli.backup_restore", "Put a backup in the place of the database."),
        "prune": ("deployguard.cli.backup_prune", "Say which backups may go, and remove them."),
        "pin": ("deployguard.cli.backup_pin", "Keep a backup for ever."),
        "unpin": ("deployguard.cli.backup_unpin", "Let a pinned backup go when its time comes."),
        "schedule": ("deployguard.cli.backup_schedule", "Print a schedule for cron and others."),
        "physical": (
            "deployguard.cli.backup_physical",
            "Copy a whole cluster, and go back to a time (PostgreSQL).",
        ),
        "archive-wal": (
            "deployguard.cli.backup_archive_wal",
            "Archive a file of the log; for archive_command.",
        ),
        "fetch-wal": (
            "deployguard.cli.backup_fetch_wal",
            "Fetch a file of the log; for restore_command.",
        ),
        "rds": ("deployguard.cli.backup_rds", "Copy, export and go back in time on Amazon RDS."),
        "du": ("deployguard.cli.backup_du", "Say how much room the backups take."),
    }
)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="""\b
Exit codes: 0 done; 2 usage; 3 unreachable; 11 a restore was not confirmed; 20 the backup failed, is
damaged, or is missing; 23 a deploy is at work.
""",
)
def command() -> None:
    """Take, find, verify, copy, restore, keep and remove backups.

    A backup counts when its manifest is sealed and it was read back completely. BACKUP is an id or the beginning of
    one, the id of the deploy that took it, or `latest`.
    """
