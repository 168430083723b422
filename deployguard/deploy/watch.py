"""Watch a migration while it runs: a thread with a connection of its own looks, and does what ``watcher`` says.

It never ends a migration because it cannot look, and what it cancels is only the migration's own statement.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from deployguard.database import Database
from deployguard.deploy import slots, watcher
from deployguard.deploy.run import Run, mapping, text
from deployguard.deploy.watcher import Advice, Cut, Watched
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Job
from deployguard.model import Json
from deployguard.observation import Observation

AROUND: Final = 10.0  # seconds between two looks at what changes slowly
LEAVING: Final = 5.0  # seconds that a look may take to end when the migration has ended
_QUEUE, _CUT, _END = "queue", "cut", "watched"  # the notes on the step


class Watch:
    """The block during which one attempt is watched. ``title`` is asked what the step does at that moment."""

    def __init__(self, run: Run, step: str, job: Job, title: Callable[[], str]) -> None:
        self._run, self._step, self._job, self._title = run, step, job, title
        self._settings = run.world.environment.watch
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._state = Watched()
        self._shown, self._shown_at = "", 0.0
        self._around_at = 0.0
        self._kept = self._tried = self._sent = False  # of the cancelling
        self._silent = False  # the journal could not be written: said once

    def __enter__(self) -> Self:
        if self._settings.interval:
            self._thread = threading.Thread(target=self._watch, name="watcher", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join(LEAVING)
        found = watcher.summary(self._state)
        if found:
            self._note(_END, found)

    def _watch(self) -> None:
        try:
            with self._run.world.database() as database:
                while not self._ended.is_set():
                    if not self._look(database):
                        return
                    self._ended.wait(self._settings.interval)
        except (DeployguardError, OSError) as error:
            self._act(*watcher.missed(self._state, str(error)))

    def _look(self, database: Database) -> bool:
        """One look; False where there is nothing to look at."""
        try:
            # While others wait, nothing slow may delay the next look at them.
            due = self._state.since is None and time.monotonic() >= self._around_at
            seen = database.observe(self._job.application_name, around=due)
            if due:
                self._around_at = time.monotonic() + AROUND
        except (DeployguardError, OSError) as error:
            self._act(*watcher.missed(self._state, str(error)))
            return True
        if seen is None:
            return False
        self._judge(database, seen)
        self._mind_slot(database)
        return True

    def _mind_slot(self, database: Database) -> None:
        """The log that a slot keeps grows with the migration; a look that fails is made again at the next one."""
        with suppress(DeployguardError, OSError):
            slots.mind(self._run.subject, database)

    def _judge(self, database: Database, seen: Observation) -> None:
        state, advice = watcher.judge(self._state, seen, time.monotonic(), self._settings)
        self._act(state, advice)
        if advice.cut is not None and not self._ended.is_set():
            self._stop(database, advice.cut)

    def _act(self, state: Watched, advice: Advice) -> None:
        if self._ended.is_set():
            return
        self._state = state
        if advice.say:
            self._run.world.reporter.note(advice.say)
        if advice.note:
            self._note(_QUEUE, dict(advice.note))
        self._show(advice.doing)

    def _show(self, doing: str) -> None:
        """Keep the line about what goes on current: at each look on a terminal, seldom in a log."""
        line = f"{self._title()}: {doing}" if doing else self._title()
        now = time.monotonic()
        if line == self._shown or (not self._shown and not doing):
            return
        if now - self._shown_at < self._run.world.every:
            return
        self._shown, self._shown_at = line, now
        self._run.world.reporter.progress(line)

    def _stop(self, database: Database, cut: Cut) -> None:
        """Write it down, then do it, then write down what came of it. Further tries are not kept."""
        kept = cut.evidence(self._job.attempt)
        if not self._kept:
            self._kept = self._note(_CUT, kept)
            if not self._kept:
                return
        try:
            told = database.stop(self._job.application_name, cut.pids)
        except (DeployguardError, OSError) as error:
            if not self._tried:
                self._note(_CUT, {**kept, "sent": [], "error": str(error)})
                self._run.world.reporter.note(f"It could not be cancelled: {error}")
            self._tried = True
            return
        if not self._tried or (told and not self._sent):
            self._note(_CUT, {**kept, "sent": [*told]})
        self._tried, self._sent = True, self._sent or bool(told)

    def _note(self, name: str, what: dict[str, Json]) -> bool:
        try:
            self._run.note(self._step, **{name: what})
        except DeployguardError as error:
            if not self._silent:
                self._run.world.reporter.note(f"The journal does not know what was seen: {error}")
            self._silent = True
            return False
        return True


def cut_off(run: Run, step: str, attempt: int) -> tuple[str, bool]:
    """Whether we cut an attempt off, as a sentence for people ("" when not), and whether it only waited itself.

    From the journal: who cut it off may have died since.
    """
    cut = mapping(run.noted(step), _CUT)
    if cut.get("attempt") != attempt or cut.get("sent") == []:
        return "", False
    blocked, seconds = cut.get("blocked"), cut.get("seconds")
    found = Cut(
        (),
        blocked if isinstance(blocked, int) else 0,
        float(seconds) if isinstance(seconds, int | float) else 0.0,
        cut.get("waited") is True,
        text(cut, "because"),
    )
    did = "cancelled" if "sent" in cut else "was about to cancel"
    return f"deployguard {did} its own statement because {watcher.sentence(found)}", found.waited
