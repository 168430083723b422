"""One journaled run: what it was asked to do, what its journal says so far, and what this process holds for it."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

from deployguard.database.base import Lock
from deployguard.deploy.step import Evidence
from deployguard.deploy.world import World
from deployguard.gate import Mode
from deployguard.model import Json, Plan
from deployguard.state import Deploy, Event, EventKind


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What ``deploy`` was asked for. ``approve`` is the digest that was given on the command line, if any."""

    mode: Mode = Mode.MANUAL
    backup: bool = False
    health_check: bool = False
    approve: str = ""
    reason: str = ""
    quiesce: bool = False
    ref: str = ""  # deploy this commit, by whatever name, instead of the working copy
    commit: str = ""  # its full id, and
    inside: str = (
        ""  # where in the repository the project lies: found out once, when it is asked for
    )


@dataclass(frozen=True, slots=True)
class RollbackOptions:
    """What ``rollback`` was asked for. ``deploy`` is the id of the deploy to take back.

    ``to`` forces a downgrade to that revision, ``restore`` a restore of the deploy's backup. ``confirm`` is the
    deploy's id, typed on the command line where nobody can be asked. ``without_export``: a restore does not wait for
    what others wrote to be written down first.
    """

    deploy: str = ""
    to: str = ""
    restore: bool = False
    confirm: str = ""
    health_check: bool = False
    to_ref: str = (
        ""  # put this commit in the place of what runs, by whatever name; as of a deploy's `ref`
    )
    to_commit: str = ""
    to_inside: str = ""
    without_export: bool = False


def options_document(options: DeployOptions | RollbackOptions) -> dict[str, Json]:
    """The options as the journal keeps them."""
    return {key: str(v) if isinstance(v, Mode) else v for key, v in asdict(options).items()}


class Run:
    """A deploy or rollback while it is worked on by this process."""

    def __init__(self, world: World, deploy: Deploy, *, typed: str = "") -> None:
        self.world = world.for_run(deploy)
        self.deploy = deploy
        self.typed = typed  # an id that was given to this process, for what it would ask
        self.held = ExitStack()  # what this process holds until it stops working on the run
        self.lock: Lock | None = None  # in the database server, while this process holds it
        self.plan: Plan | None = None  # as this process computed it; a resume may not have one
        self._events = list(world.journal.events(deploy.id))
        self._subject: Run | None = None

    @property
    def id(self) -> str:
        return self.deploy.id

    @property
    def options(self) -> DeployOptions:
        """What the deploy was asked for. Health is checked by a rollback too, so it shares that."""
        given = self.deploy.options
        return DeployOptions(
            mode=Mode(text(given, "mode") or Mode.MANUAL),
            backup=bool(given.get("backup")),
            health_check=bool(given.get("health_check")),
            approve=text(given, "approve"),
            reason=text(given, "reason"),
            quiesce=bool(given.get("quiesce")),
            ref=text(given, "ref"),
            commit=text(given, "commit"),
            inside=text(given, "inside"),
        )

    @property
    def rollback(self) -> RollbackOptions:
        """What the rollback was asked for."""
        given = self.deploy.options
        return RollbackOptions(
            deploy=text(given, "deploy"),
            to=text(given, "to"),
            restore=bool(given.get("restore")),
            confirm=text(given, "confirm"),
            health_check=bool(given.get("health_check")),
            to_ref=text(given, "to_ref"),
            to_commit=text(given, "to_commit"),
            to_inside=text(given, "to_inside"),
            without_export=bool(given.get("without_export")),
        )

    @property
    def subject(self) -> "Run":
        """The run whose effects are looked at: a rollback's is the deploy that it takes back, else this one."""
        if self._subject is None:
            name = self.rollback.deploy
            found = self.world.journal.get(name) if name else None
            self._subject = Run(self.world, found) if found is not None else self
        return self._subject

    def record(
        self, step: str, kind: EventKind, evidence: Mapping[str, Json] | None = None
    ) -> None:
        """Write one event; when this returns it is on the disk."""
        self.world.journal.record(self.id, step, kind, evidence)
        now = self.world.clock()
        self._events.append(Event(0, self.id, now, step, kind, dict(evidence or {})))

    def note(self, step: str, **evidence: Json) -> None:
        """Keep something that a resume must know before the step goes on."""
        self.record(step, EventKind.NOTE, evidence)

    def state(self, step: str) -> EventKind | None:
        """Where a step stands: INTENT (begun, end unknown), DONE, FAILED, or None (not begun)."""
        for event in reversed(self._events):
            if event.step == step and event.kind not in (EventKind.NOTE, EventKind.PROBE):
                return event.kind
        return None

    def begun(self, step: str) -> bool:
        return any(e.step == step and e.kind is EventKind.INTENT for e in self._events)

    def done(self, step: str) -> Evidence | None:
        """The evidence of a step that is done; None when it is not."""
        for event in reversed(self._events):
            if event.step == step and event.kind is EventKind.DONE:
                return dict(event.evidence)
        return None

    def of(self, step: str) -> Evidence:
        """The evidence of a step, {} when it is not done."""
        return self.done(step) or {}

    def noted(self, step: str) -> Evidence:
        """Everything that was noted on a step, later notes over earlier ones."""
        merged: Evidence = {}
        for event in self._events:
            if event.step == step and event.kind is EventKind.NOTE:
                merged.update(event.evidence)
        return merged

    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)

    def failures(self) -> tuple[Event, ...]:
        return tuple(event for event in self._events if event.kind is EventKind.FAILED)

    def since(self, mark: str, step: str = "") -> tuple[Event, ...]:
        """The events (of one step) after the last note named ``mark``; all of them when there is none."""
        at = max((i for i, e in enumerate(self._events) if e.step == mark), default=-1)
        return tuple(e for e in self._events[at + 1 :] if step in ("", e.step))

    @contextmanager
    def working(self) -> Iterator["Run"]:
        """Let everything go that this process holds for the run when the block ends."""
        with self.held:
            yield self


def text(document: Mapping[str, Json], key: str) -> str:
    """A text of a document; "" when it is missing."""
    value = document.get(key)
    return value if isinstance(value, str) else ""


def strings(document: Mapping[str, Json], key: str) -> tuple[str, ...]:
    """A list of texts of a document; () when it is missing."""
    value = document.get(key)
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def mapping(document: Mapping[str, Json], key: str) -> dict[str, Json]:
    """A table of a document; {} when it is missing."""
    value = document.get(key)
    return dict(value) if isinstance(value, dict) else {}


def listed(items: Iterable[str]) -> list[Json]:
    """Texts as a list of a document."""
    return [*items]
