"""What the recording child told, put into order."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from deployguard.model import Evidence
from deployguard.revisions.connects import Connects

_AROUND = 50  # statements of env.py's that are told

Event = dict[str, object]


@dataclass(slots=True)
class Recording:
    """What the child told. `scripts` maps (revision, "upgrade" | "downgrade") to its events in order.

    `steps` are (revision, path, parents) as the project's own Alembic orders them; `unreached` says, best way of
    running first, why it did not come to the migrations; `evidence` is SOURCE when none did.
    """

    evidence: Evidence = Evidence.SOURCE
    steps: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    scripts: dict[tuple[str, str], list[Event]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    transactional: bool = True
    each: bool = False
    versions: str = ""
    version_tables: list[str] = field(default_factory=list)  # several: env.py loops over tenants
    open: tuple[str, str] | None = None
    again: bool = False  # the schema was asked for, and nobody had replayed the history
    complete: bool = False
    ended: bool = False
    runs: int = 0
    connects: list[Connects] = field(default_factory=list)
    around: list[str] = field(
        default_factory=list
    )  # statements of env.py's, outside of the revisions
    before: list[str] = field(default_factory=list)  # those of them before any revision, in order
    replayed: bool = False  # the history was run, to know the schema
    schema: str = ""  # what the history made, as JSON; several runs that differ: nothing is known
    used: Event = field(default_factory=dict)  # files, folders and reasons: what it rests on


def understand(output: str, nonce: str) -> Recording:
    """The recording that a child's standard output holds; lines without the nonce are somebody else's."""
    recording = Recording()
    for line in output.splitlines():
        _, found, text = line.partition(nonce)
        if not found:
            continue
        try:
            event = json.loads(text)
        except ValueError:
            continue  # the last line of a child that was killed
        handler = _HANDLERS.get(str(event.get("e")))
        if handler is not None:
            handler(recording, event)
        elif recording.open is not None:
            recording.scripts[recording.open].append(event)
    _merge_runs(recording)
    return recording


def _start(recording: Recording, event: Event) -> None:
    recording.versions = (
        f"Alembic {event['alembic']}, SQLAlchemy {event['sqlalchemy']}, Python {event['python']}"
    )


def _run(recording: Recording, event: Event) -> None:
    recording.runs += 1
    bare = event["tier"] == "bare"
    recording.evidence = Evidence.RECORDED_WITHOUT_ENV if bare else Evidence.RECORDED
    recording.transactional = bool(event["transactional"])
    recording.each = bool(event["each"])
    recording.replayed = bool(event["replayed"])
    if event["version_table"] not in recording.version_tables:
        recording.version_tables.append(str(event["version_table"]))
    known = {name for name, _, _ in recording.steps}
    steps = event["steps"]
    for name, path, parents in steps if isinstance(steps, list) else ():
        if name not in known:
            recording.steps.append((name, path, tuple(parents)))


def _schema(recording: Recording, event: Event) -> None:
    schema = json.dumps(event["schema"]) if event["schema"] else ""
    recording.schema = schema if recording.runs < 2 or recording.schema == schema else ""


def _connects(recording: Recording, event: Event) -> None:
    words = {name: str(event.get(name, "")) for name in ("dialect", "host", "port", "database")}
    found = Connects(**words, own=event.get("own") is True)
    if found not in recording.connects:
        recording.connects.append(found)


def _enter(recording: Recording, event: Event) -> None:
    recording.open = (str(event["revision"]), str(event["direction"]))
    recording.scripts.setdefault(recording.open, []).append(event)


def _leave(recording: Recording, _event: Event) -> None:
    recording.open = None


def _end(recording: Recording, _event: Event) -> None:
    recording.ended = True


def _again(recording: Recording, _event: Event) -> None:
    recording.again = True


def _used(recording: Recording, event: Event) -> None:
    recording.used = event


def _complete(recording: Recording, _event: Event) -> None:
    recording.complete = True


def _note(recording: Recording, event: Event) -> None:
    if str(event["text"]) not in recording.notes:
        recording.notes.append(str(event["text"]))


def _around(recording: Recording, event: Event) -> None:
    text = " ".join(str(event["sql"]).split())
    if not recording.scripts:
        recording.before.append(text)
        del recording.before[:-_AROUND]
    if text not in recording.around and len(recording.around) < _AROUND:
        recording.around.append(text)


def _unreached(recording: Recording, event: Event) -> None:
    recording.around.clear()
    recording.before.clear()
    recording.unreached.append(str(event["why"]))


def _missing(recording: Recording, event: Event) -> None:
    recording.unreached.append(
        f"{event['python']} cannot import Alembic and SQLAlchemy ({event['why']}); "
        "name the project's interpreter in [read] python"
    )


_HANDLERS: dict[str, Callable[[Recording, Event], None]] = {
    "start": _start,
    "run": _run,
    "schema": _schema,
    "connects": _connects,
    "enter": _enter,
    "leave": _leave,
    "end": _end,
    "complete": _complete,
    "again": _again,
    "used": _used,
    "note": _note,
    "around": _around,
    "unreached": _unreached,
    "broken": _unreached,
    "crash": _unreached,
    "missing": _missing,
}


def _merge_runs(recording: Recording) -> None:
    """An env.py that migrates several schemas or databases runs each revision several times: say the same once."""
    for key, events in recording.scripts.items():
        passes: list[list[Event]] = []
        for event in events:
            if event["e"] == "enter":
                passes.append([])
            else:
                passes[-1].append(event)
        seen: list[list[Event]] = []
        for events_of_pass in passes:
            if events_of_pass not in seen:
                seen.append(events_of_pass)
        recording.scripts[key] = [event for events_of_pass in seen for event in events_of_pass]
