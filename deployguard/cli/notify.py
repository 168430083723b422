"""``deployguard notify``: look whether people can be told."""

from collections.abc import Mapping
from types import MappingProxyType

import click

from deployguard.cli.group import LazyGroup

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"test": ("deployguard.cli.notify_test", "Send a test message to every address.")}
)


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    epilog="""\b
Exit codes: 0 every address was reached; 2 none is configured; 3 one was not reached.
""",
)
def command() -> None:
    """Messages on how deploys and backups end: [notify] names who is told, and of what."""
