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
from deployguard.model import Json
from deployguard.revisions.heard import Event, Recording, understand
from deployguard.revisions.launcher import BOOTSTRAP, Launcher

# One revision, and everything together; a child that needs more has no end.
REVISION_SECONDS = 15.0
STATEMENTS = 5_000
_RESTARTS = 3
_RECORDER = Path(__file__).parent / "recorder"


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
    locations: tuple[str, ...] = ()  # folders of revisions, where env.py cannot name them


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
            "locations": order.locations,
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
    rb"|to_reg|\bselect\b|\btype\b|set\s+not\s+null|using\s+index|concurrently|not[_\s]+valid|attach\s+partition"
    rb"|\bmodify\b|\bchange\b|\bonly\b|\bdomain\b|\badd\s+column\b",
    re.IGNORECASE,
)


def asks(text: bytes) -> bool:
    """Whether a revision's text looks as if it would ask what the schema is."""
    return _ASKING.search(text) is not None


def _ending(finished: Finished, order: Order) -> str:
    if finished.timed_out:
        return f"The reading was stopped after {order.timeout:g} seconds ([read] timeout)."
    lines = [line for line in finished.stderr.splitlines() if line.strip()]
    return f"The reading ended early (exit code {finished.code}): {lines[-1][:300] if lines else 'no message'}"


def unreachable(error: EnvironmentUnreachable) -> Recording:
    """The recording of a child that could not even be started."""
    return Recording(unreached=[error.message])
