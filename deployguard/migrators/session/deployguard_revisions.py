"""Tells on stderr when Alembic begins and ends each revision, and gives each a transaction of its own by default.

Loaded by sitecustomize.py in the project's own interpreter: standard library only, any Python from 3.8.
"""

from __future__ import annotations

import functools
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PARAMETER = "transaction_per_migration"


def say(text: str) -> None:
    sys.stderr.write(f"deployguard: {text}\n")
    sys.stderr.flush()


def settle(module: Any, *, each: bool) -> None:
    """Change EnvironmentContext.configure; `alembic.context` hands env.py's call on to it as it was made."""
    original = module.EnvironmentContext.configure
    if each:
        prefer(original)

    @functools.wraps(original)
    def configure(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            follow(self.get_context())
        except Exception as error:  # noqa: BLE001 - the project's migration must not fail because of us
            say(f"revisions are not followed: {error!r}")

    module.EnvironmentContext.configure = configure


def prefer(function: Any) -> None:
    """Make True the parameter's default: what env.py says itself still counts."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    defaults = list(function.__defaults__)
    defaults[names.index(PARAMETER) - len(names)] = True  # defaults belong to the last parameters
    function.__defaults__ = tuple(defaults)


def follow(context: Any) -> None:
    """Tell of each step: Alembic asks for the next one when the one before has left its transaction."""
    steps = context._migrations_fn
    if steps is None or context.as_sql:
        return

    def told(heads: Any, migration_context: Any) -> Iterator[Any]:
        why = together(context)
        for number, step in enumerate(steps(heads, migration_context)):
            name = getattr(step, "short_log", str(step))
            if why and number == 1:
                say(f"all revisions run in one transaction: {why}")
            say(f"{name} begins")
            began = time.monotonic()
            yield step
            how = "done" if why else "committed"
            say(f"{name} {how} after {time.monotonic() - began:.3f} s")

    context._migrations_fn = told


def together(context: Any) -> str:
    """Why the revisions share a transaction; "" when each has its own."""
    if getattr(context, "_in_external_transaction", False):
        return "env.py begins it itself"
    if context.impl.transactional_ddl and not context._transaction_per_migration:
        return f"{PARAMETER} is not set"
    return ""
