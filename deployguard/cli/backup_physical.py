"""``deployguard backup physical``: base backups of a whole PostgreSQL cluster, and going back to a time."""

from collections.abc import Mapping
from types import MappingProxyType

import click

from deployguard.cli.group import LazyGroup

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "create": ("deployguard.cli.physical_create", "Copy the cluster, and read the copy back."),
        "list": ("deployguard.cli.physical_list", "List the base backups, newest first."),
        "verify": ("deployguard.cli.physical_verify", "Read a base backup back completely."),
        "check": ("deployguard.cli.physical_check", "Say whether archiving truly works."),
        "mark": ("deployguard.cli.physical_mark", "Name this moment, to go back to."),
        "restore": (
            "deployguard.cli.physical_restore",
            "Make a new cluster, as it was at a time.",
        ),
        "prune": ("deployguard.cli.physical_prune", "Say what may go, and remove it."),
    }
)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="""\b
Exit codes: 0 done; 2 usage, or a server that it cannot be done with; 3 unreachable, or a program is missing; 20 it
failed, is damaged, or the archive has a gap; 23 another command is at work.
""",
)
def command() -> None:
    """Copy a whole PostgreSQL cluster, archive its log, and make a new cluster as it was at a time.

    docs/physical.md says how to begin. A deploy never counts on these: it takes a backup of its database by itself.
    """
