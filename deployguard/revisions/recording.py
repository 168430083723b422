"""Start the recording child and put what it tells into order."""

import base64
import json
import marshal
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER
from pathlib import Path
from typing import Protocol

from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Evidence, Json
from deployguard.revisions.connects import Connects
from deployguard.revisions.launcher import BOOTSTRAP, Launcher

# One revision, and everything together; a child that needs more has no end.
REVISION_SECONDS = 15.0
STATEMENTS = 5_000
_RESTARTS = 3
_RECORDER = Path(__file__).parent / "recorder"

Event = dict[str, object]


class Finished(Protocol):
    """What `process.run` gives back."""

    @property
    def code(self) -> int: ...
    @property
    def stdout(self) -> str: ...
    @property
    def stderr(self) -> str: ...
    @property
    def timed_out(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is asked to do.

    `catalogue` None: it replays the history to know the schema. `partial`: `pending` may lack revisions that only
    env.py can find. `known` are the headers of the history by path, which the child then need not read. `asks`: a
    pending revision looks as if it would ask what the schema is.
    """

    command: tuple[str, ...]
    ini: str
    section: str
    dialect: str
    url: str
    url_env: str
    current: tuple[str, ...]
    target: str
    pending: tuple[str, ...]
    only: bool
    catalogue: Json
    partial: bool
    keep: tuple[str, ...]
    timeout: float
    known: Mapping[str, Json] = field(default_factory=dict)
    asks: bool = True


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
    replayed: bool = False  # the history was run, to know the schema
    used: Event = field(default_factory=dict)  # files, folders and reasons: what it rests on


def record(
    order: Order,
    launcher: Launcher,
    *,
    directory: Path,
    environment: Mapping[str, str],
    outer: Mapping[str, str],
    run: Callable[..., Finished],
) -> Recording:
    """Run the child, again without a revision that takes the process down with it."""
    skip: list[str] = []
    replay = _replay(order)
    lost: dict[tuple[str, str], Event] = {}
    argv = launcher.argv(BOOTSTRAP, environment)
    while True:
        nonce = secrets.token_hex(12)
        finished = run(
            argv,
            env=launcher.environment(environment, outer),
            cwd=directory,
            timeout=order.timeout,
            input=request(order, nonce, skip, replay),
        )
        recording = understand(finished.stdout, nonce)
        if recording.again and replay == "asked":
            replay = "always"
            continue
        if recording.ended or recording.open is None or recording.open[0] in skip:
            break
        why = (
            f"no end after {order.timeout:g} seconds"
            if finished.timed_out
            else "it ends the process"
        )
        lost[recording.open] = {"e": "fail", "kind": "limit", "line": 0, "what": why}
        skip.append(recording.open[0])
        if finished.timed_out or len(skip) > _RESTARTS:
            break
    for key, event in lost.items():
        recording.scripts.setdefault(key, []).append(event)
    if not recording.ended:
        recording.notes.append(_ending(finished, order))
    if not recording.runs and not recording.unreached:
        recording.unreached.append(_ending(finished, order))
    return recording


def _replay(order: Order) -> str:
    """Whether the child runs the history first: never, when somebody asks what it made, or always."""
    if order.catalogue is not None:
        return "never"
    # SQLite is a real database in memory, which answers without anybody noticing.
    unknowing = order.partial or order.asks or order.dialect == "sqlite"
    return "always" if unknowing else "asked"


def request(order: Order, nonce: str, skip: Sequence[str], replay: str) -> bytes:
    """What goes to the child's standard input: the recorder's own source and the order."""
    found = sources()
    return json.dumps(
        {
            "nonce": nonce,
            "loader": found.pop("loader"),
            "sources": found,
            "compiled": compiled(),
            "known": dict(order.known),
            "replay": replay,
            "command": order.command,
            "ini": order.ini,
            "section": order.section,
            "dialect": order.dialect,
            "url": order.url,
            "url_env": order.url_env,
            "current": order.current,
            "target": order.target,
            "pending": order.pending,
            "only": order.only,
            "partial": order.partial,
            "catalogue": order.catalogue,
            "keep": order.keep,
            "skip": list(skip),
            "revision_seconds": min(REVISION_SECONDS, order.timeout / 2),
            "seconds": order.timeout,
            "statements": STATEMENTS,
        }
    ).encode()


def sources() -> dict[str, str]:
    """The recorder's modules by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in _RECORDER.glob("*.py")}


def compiled() -> dict[str, str]:
    """The same, compiled: an interpreter of our own version need not do that again each time."""
    found = {"magic": MAGIC_NUMBER.hex()}
    for path in _RECORDER.glob("*.py"):
        name = f"deployguard_recorder.{path.stem}"
        code = SourceFileLoader(name, str(path)).get_code(name)
        found[path.stem] = base64.b64encode(marshal.dumps(code)).decode()
    return found


# What looks as if it wanted to know what is there; a wrong guess costs time, not truth.
_ASKING = re.compile(
    rb"alter_column|batch_alter|inspect|has_table|get_bind|checkfirst|reflect|autoload|enum|information_schema|\bpg_"
    rb"|to_reg|\bselect\b|\btype\b",
    re.IGNORECASE,
)


def asks(text: bytes) -> bool:
    """Whether a revision's text looks as if it would ask what the schema is."""
    return _ASKING.search(text) is not None


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


def _unreached(recording: Recording, event: Event) -> None:
    recording.unreached.append(str(event["why"]))


def _missing(recording: Recording, event: Event) -> None:
    recording.unreached.append(
        f"{event['python']} cannot import Alembic and SQLAlchemy ({event['why']}); "
        "name the project's interpreter in [read] python"
    )


_HANDLERS: dict[str, Callable[[Recording, Event], None]] = {
    "start": _start,
    "run": _run,
    "connects": _connects,
    "enter": _enter,
    "leave": _leave,
    "end": _end,
    "complete": _complete,
    "again": _again,
    "used": _used,
    "note": _note,
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


def _ending(finished: Finished, order: Order) -> str:
    if finished.timed_out:
        return f"The reading was stopped after {order.timeout:g} seconds ([read] timeout)."
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    return f"The reading ended early (exit code {finished.code}): {lines[-1][:300] if lines else 'no message'}"


def unreachable(error: EnvironmentUnreachable) -> Recording:
    """The recording of a child that could not even be started."""
    return Recording(unreached=[error.message])
