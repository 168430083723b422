"""Shows what the watcher sees, live on a terminal, or a line a change."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import click

from deployguard.cli.session import world, write
from deployguard.cli.terminal import Out, data
from deployguard.database import Database
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.formats import watching
from deployguard.formats.spans import Line, Span, Style
from deployguard.observation import Observation, Surroundings

AROUND: Final = 10.0  # seconds between two looks at what changes slowly
SILENCE: Final = 60.0  # seconds after which a line is written although nothing has changed


def watch(context: click.Context, env: str | None, *, once: bool, form: str) -> None:
    """Look once or until Ctrl-C. Raises EnvironmentUnreachable and UsageError."""
    with world(context, env) as here, here.database() as database:
        place = context.obj.url(here.environment).display()
        seen = database.observe("", around=True)
        if seen is None:
            raise UsageError(
                f"{place} is no PostgreSQL database: no server is there that could be asked who waits for whom.",
                next_commands=(f"deployguard status --env {here.environment.name}",),
            )
        if once or form == "json":
            look = seen
            write(
                form,
                text=lambda width: watching.watch_lines(look, look.around, width),
                json=lambda: watching.watch_document(place, look),
                markdown=str,
            )
            return
        every = here.environment.watch.interval or 1.0
        with _shown(data(), f"{here.environment.name} {place}") as show:
            _follow(database, seen, show, every)


_Show = Callable[[Observation | None, Surroundings | None, str], None]


def _follow(database: Database, first: Observation, show: _Show, every: float) -> None:
    seen: Observation | None = first
    around, asked, why = first.around, time.monotonic(), ""
    while True:
        show(seen, around, why)
        time.sleep(every)
        due = time.monotonic() - asked >= AROUND
        try:
            seen, why = database.observe("", around=due), ""
        except EnvironmentUnreachable as error:
            seen, why = None, error.message  # what was seen before says nothing of now
        if due:
            around, asked = seen.around if seen else None, time.monotonic()


@contextmanager
def _shown(out: Out, head: str) -> Iterator[_Show]:
    if not out.terminal:
        yield _Lines(out)
        return
    with out.live() as replace:

        def show(seen: Observation | None, around: Surroundings | None, why: str) -> None:
            now = (Span(f"{head}  "), Span(f"{_now()} UTC, Ctrl-C ends", Style.DIM))
            replace([now, (), *_view(seen, around, why, out.width)])

        yield show


def _view(
    seen: Observation | None, around: Surroundings | None, why: str, width: int
) -> list[Line]:
    if seen is None:
        return [(Span("Who waits for whom is unknown now: ", Style.BAD), Span(why))]
    return watching.watch_lines(seen, around, width)


class _Lines:
    """A line when something has changed, and after a while of silence."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._former: object = None
        self._at = 0.0

    def __call__(self, seen: Observation | None, _around: object, why: str) -> None:
        mark = watching.mark(seen) if seen else why
        if mark == self._former and time.monotonic() - self._at < SILENCE:
            return
        self._former, self._at = mark, time.monotonic()
        line = watching.line(seen) if seen else f"unknown: {why}"
        self._out.write(f"{_now()}  {line}")


def _now() -> str:
    return f"{datetime.now(UTC):%H:%M:%S}"
