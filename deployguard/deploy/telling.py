"""What people are told of a run, and when: each message says truly what production is in and what to type next."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from deployguard.config import Event
from deployguard.deploy import names
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    DeployguardError,
    Interrupted,
    NeedsHuman,
    RolledBack,
)
from deployguard.model import Approval, Json, Plan
from deployguard.notify import Delivery, Message
from deployguard.state import Deploy, EventKind, Kind, StateError

if TYPE_CHECKING:  # they call this
    from deployguard.deploy.engine import Outcome
    from deployguard.deploy.run import Run

NOTIFY: Final = "notify"  # not a step: the note on who was told
_DONE: Final[dict[Kind, Event]] = {
    Kind.DEPLOY: "deploy-done",
    Kind.ROLLBACK: "deploy-rolled-back",
    Kind.RESTORE: "restore-done",
}


class Telling:
    """One command that deploys or takes back: what it has told so far."""

    def __init__(self, world: World, kind: Kind) -> None:
        self._world = world
        self._kind = kind
        self._row: Deploy | None = None

    def begun(self, row: Deploy, *, again: bool = False) -> Deploy:
        """A run begins, or is gone on with."""
        self._row, self._kind = row, row.kind
        word = "went on with" if again else "began"
        state = "What it had changed before stays as it is." if again else "Nothing is changed yet."
        look = f"deployguard status --env {row.environment}"
        said = f"{self._world.by} {word} {row.kind} {row.id}."
        self._tell("deploy-started", "resumed" if again else "started", said, state, (look,))
        return row

    def ended(self, outcome: "Outcome") -> "Outcome":
        """It ended well. Where there was nothing to take back, there is nothing to tell."""
        if self._row is not None:
            event = _DONE[self._kind]
            said = f"{self._kind.capitalize()} {outcome.deploy} by {self._world.by} has come to its end."
            summary = outcome.summary.rstrip(".")
            state = f"{summary[:1].upper()}{summary[1:]}."
            self._tell(event, "done", said, state, (f"deployguard show {outcome.deploy}",))
        return outcome

    def failed(self, error: Exception) -> None:
        """It ended with an error; one that never became a run is told only of a deploy, which may be a pipeline's."""
        if self._row is None and self._kind is not Kind.DEPLOY:
            return
        name = self._row.id if self._row else ""
        if isinstance(error, DeployguardError):
            event, word = self._verdict(error, name)
            said = f"{error.message} (exit code {error.exit_code})"
            self._tell(event, word, said, error.state, error.next_commands)
        else:
            said = f"A bug in deployguard stopped it: {type(error).__name__} (exit code 1)."
            state = "The journal says how far it came." if name else "Nothing was begun."
            look = f"deployguard status --env {self._world.environment.name}"
            self._tell("deploy-failed", "stopped by a bug", said, state, (look,))

    def _verdict(self, error: DeployguardError, name: str) -> tuple[Event, str]:
        if isinstance(error, RolledBack):
            return "deploy-rolled-back", "failed and taken back"
        if isinstance(error, NeedsHuman):
            return "deploy-needs-person", "needs a person"
        if isinstance(error, Interrupted):
            armed = bool(error.next_commands)
            return ("deploy-needs-person" if armed else "deploy-failed"), "interrupted"
        asked = self._world.notifier.told("deploy-awaiting-approval", name)
        if isinstance(error, ApprovalMissing) and self._kind is Kind.DEPLOY and not asked:
            return "deploy-awaiting-approval", "waits for an approval"
        return "deploy-failed", "stopped"

    def _tell(
        self, event: Event, word: str, said: str, state: str, commands: tuple[str, ...]
    ) -> None:
        row, world = self._row, self._world
        what = f"{self._kind} {row.id}" if row else str(self._kind)
        title = f"{world.project.name} {world.environment.name}: {what} {word}"
        world.notifier.tell(
            Message(event, title, said, state, commands, deploy=row.id if row else "")
        )


@contextmanager
def telling(world: World, kind: Kind) -> Iterator[Telling]:
    """Tell how the block ended, whatever it raises."""
    told = Telling(world, kind)
    try:
        yield told
    except Exception as error:
        told.failed(error)
        raise


def step_done(run: "Run", name: str) -> None:
    """A step is done: of a migration people are told before the run goes on."""
    if name != names.MIGRATE:
        return
    world, listed = run.world, run.of(names.PLAN).get("revisions")
    ids = (
        [str(one.get("id")) for one in listed or () if isinstance(one, dict)]
        if isinstance(listed, list)
        else []
    )
    said = f"Deploy {run.id} has migrated: {', '.join(ids) or 'all that was pending'}."
    state = "The database has the new schema; the run goes on."
    title = f"{world.project.name} {world.environment.name}: deploy {run.id} migrated"
    look = f"deployguard show {run.id}"
    world.notifier.tell(Message("deploy-migrated", title, said, state, (look,), deploy=run.id))


def ask_approval(run: "Run", plan: Plan) -> Approval | None:
    """Ask the person at the terminal for an approval, and tell the others that it is waited for."""
    world = run.world
    if world.reporter.asks():
        title = (
            f"{world.project.name} {world.environment.name}: deploy {run.id} waits for an approval"
        )
        said = (
            f"Deploy {run.id} by {world.by} waits at a terminal for an approval of the plan {plan.digest} "
            f"({plan.risk or 'no'} risk)."
        )
        look = f"deployguard check --env {world.environment.name}"
        state = "Nothing is changed yet."
        event: Event = "deploy-awaiting-approval"
        world.notifier.tell(Message(event, title, said, state, (look,), deploy=run.id))
    return world.reporter.ask_approval(plan)


def settle(world: World) -> None:
    """Wait for the receivers, but not for long; say and journal who was not told. Never raises for that."""
    for told in world.notifier.wait():
        if told.problem:
            world.reporter.note(unheard(told))
        if not told.message.deploy:
            continue
        evidence: dict[str, Json] = {"event": told.message.event, "to": told.address}
        evidence |= {"problem": told.problem} if told.problem else {"ok": True}
        with suppress(StateError):
            world.journal.record(told.message.deploy, NOTIFY, EventKind.NOTE, evidence)


def unheard(told: Delivery) -> str:
    """The sentence on a receiver that failed."""
    return f"[notify] {told.address} was not told of {told.message.event}: {told.problem}."
