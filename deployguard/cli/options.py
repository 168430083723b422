"""Options that several commands share, and what click cannot check by itself."""

from collections.abc import Callable
from typing import TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., object])


def by_option(function: _F) -> _F:
    """``--by``."""
    return click.option(
        "--by",
        metavar="NAME",
        help="Who does this, for the journal; else the CI job's or the machine's user.",
    )(function)


def exclusive(**flags: bool) -> None:
    """At most one of the flags. Raises a usage error that names those that were given."""
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"Only one of {' and '.join(given)} can be given.")
