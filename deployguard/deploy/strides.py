"""Follow a migration revision by revision: told live, and journaled with how long each took."""

from deployguard.deploy import names
from deployguard.deploy.facts import planned
from deployguard.deploy.run import Run
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Job
from deployguard.migrators.revisions import Stride, stride
from deployguard.model import Json

NOTE = "revision"  # one note on the step for each revision that was gone through


class Strides:
    """What one attempt goes through. ``title`` is what the step does now, for the line that shows it."""

    def __init__(self, run: Run, step: str, job: Job, title: str) -> None:
        self._run, self._step, self._job, self._title = run, step, job, title
        self._order = [one.id for one in planned(run.of(names.PLAN))] if _up(job) else []
        # A log is read anew from its beginning when another process goes on with it.
        self._kept = {
            (str(one.get("before")), str(one.get("after")))
            for one in noted(run, step)
            if one.get("attempt") == job.attempt
        }
        self._ours = self._silent = False
        self.title = title

    def line(self, text: str) -> bool:
        """Take note of a line; whether it was meant for us only, so that people need not read it."""
        found = stride(text)
        if found is None:
            return False
        if found.how != "begins":
            self._ended(found)
        elif found.ours or not self._ours:  # Alembic's own line says the same once more
            self.title = f"{self._title}: {found.title}{self._place(found)}"
            self._run.world.reporter.progress(self.title)
        self._ours = self._ours or found.ours
        return found.ours

    def _ended(self, found: Stride) -> None:
        self.title = self._title
        committed = found.how == "committed"
        self._run.world.reporter.part_done(
            f"{found.title}{self._place(found)}", found.seconds, pending=not committed
        )
        if (found.before, found.after) in self._kept:
            return
        self._kept.add((found.before, found.after))
        self._note(
            {
                "attempt": self._job.attempt,
                "before": found.before,
                "after": found.after,
                "seconds": found.seconds,
                "committed": committed,
            }
        )

    def _note(self, what: dict[str, Json]) -> None:
        try:
            self._run.note(self._step, **{NOTE: what})
        except (
            DeployguardError
        ) as error:  # the migration goes on: it is followed to its end all the same
            if not self._silent:
                self._run.world.reporter.note(f"The journal does not know what went in: {error}")
            self._silent = True

    def _place(self, found: Stride) -> str:
        ids = [name for name in self._order if name in found.after.split(", ")]
        if len(self._order) < 2 or not ids:
            return ""
        return f" ({self._order.index(ids[0]) + 1} of {len(self._order)})"


def noted(run: Run, step: str) -> tuple[dict[str, Json], ...]:
    """The revisions that a step's attempts have gone through, in order, as they were journaled."""
    found = (event.evidence.get(NOTE) for event in run.events() if event.step == step)
    return tuple(dict(one) for one in found if isinstance(one, dict))


def gone_through(run: Run, step: str) -> list[Json]:
    """Those that counted, for the step's evidence: what was committed, and all that a last good attempt did."""
    every = noted(run, step)
    last = max((_attempt(one) for one in every), default=0)
    return [
        f"{one.get('before') or 'base'} → {one.get('after') or 'base'} ({one.get('seconds')} s)"
        for one in every
        if one.get("committed") is True or _attempt(one) == last
    ]


def _attempt(one: dict[str, Json]) -> int:
    number = one.get("attempt")
    return number if isinstance(number, int) else 0


def _up(job: Job) -> bool:
    return job.direction == "upgrade"
