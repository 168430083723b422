"""Options that several commands share, and what click cannot check by itself."""

import difflib
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


def filled(_context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The value; a usage error when it is empty: an unset variable of a pipeline must not mean the default."""
    if value is not None and not value.strip():
        raise click.BadParameter("it is empty.", param=parameter)
    return value


def known_dialect(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """A dialect that suppressions and baselines can name, too. Raises a usage error."""
    from deployguard.config.accepted import DIALECTS

    if value is None or value in DIALECTS:
        return value
    near = difflib.get_close_matches(value, DIALECTS, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise click.BadParameter(
        f"{value!r} is not one of {', '.join(DIALECTS)}.{hint}", ctx=context, param=parameter
    )


def exclusive(**flags: bool) -> None:
    """At most one of the flags. Raises a usage error that names those that were given."""
    given = [f"--{name.replace('_', '-')}" for name, value in flags.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"Only one of {' and '.join(given)} can be given.")
