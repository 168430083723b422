"""``deployguard backup rds``: what only snapshots of Amazon RDS and Aurora can do."""

from collections.abc import Mapping
from types import MappingProxyType

import click

from deployguard.cli.group import LazyGroup

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "copy": ("deployguard.cli.rds_copy", "Copy a snapshot to another region or account."),
        "export": ("deployguard.cli.rds_export", "Export a snapshot's tables to S3."),
        "recover": (
            "deployguard.cli.rds_recover",
            "Make a new one, as the live one was at a time.",
        ),
    }
)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="""\b
Exit codes: 0 done; 2 usage or configuration; 3 unreachable; 20 it failed, or the backup does not count.
""",
)
def command() -> None:
    """Do with backups on Amazon RDS and Aurora what only AWS can do.

    They are taken, verified and restored as all others are; docs/rds.md says more. Each of these commands waits until
    it is done, and one that was cut off goes on when it is given again.
    """
