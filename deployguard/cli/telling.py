"""A teller for the commands that keep backups, and what it could not tell, on stderr."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import click

from deployguard.cli.terminal import people
from deployguard.deploy.telling import unheard
from deployguard.deploy.telling_backups import Teller
from deployguard.notify import Delivery, Notifier


def notifier(context: click.Context, env: str | None) -> Notifier:
    """The receivers of an environment. Raises UsageError."""
    app = context.obj
    return Notifier(app.environment(env).notify, os.environ, app.redact)


@contextmanager
def teller(context: click.Context, env: str | None) -> Iterator[Teller]:
    """Tells what happens to backups; at the end it waits for the receivers, but not for long."""
    app = context.obj
    config, environment = app.config(), app.environment(env)
    made = Teller(notifier(context, env), config, environment)
    try:
        yield made
    finally:
        warn(made.notifier.wait())


def warn(found: Iterable[Delivery]) -> None:
    """Say who was not told."""
    for told in found:
        if told.problem:
            people().write(unheard(told))
