"""Explain what keeps a deploy out, layer by layer, and free what is proven to be stale; nothing else is ever freed.

The layers: the lock file on this host, which the kernel frees when its process ends; where hosts share a journal, the
lock in its database, which that server frees within about a minute after the holder is gone; the lock in the database
server, which the server frees when the connection ends, and maybe hours after a host has lost its power or network;
and unfinished work in the journal, which only `resume`, `rollback` or `close` ends.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from deployguard.database.base import LockHolder
from deployguard.deploy import names, words
from deployguard.deploy.world import World
from deployguard.errors import Busy, DeployguardError, EnvironmentUnreachable
from deployguard.state import Deploy, EventKind, Holder, Status, holder, lives

_RUNS: Final = 100  # of the past whose session may linger in the server


class State(StrEnum):
    """How a layer was found, or left."""

    FREE = "free"
    FREED = "freed"
    HELD = "held"
    UNFINISHED = "unfinished"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Layer:
    """One of the three: what it is called, how it stands, why, and what a person may type about it."""

    name: str
    state: State
    said: str
    commands: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        return self.state in (State.FREE, State.FREED)


def unlock(world: World) -> tuple[Layer, ...]:
    """Look at every layer; end a session in the server that one of our own runs has left behind.

    That is proven when the journal of this state folder says that one of its runs opened exactly that session, and
    nobody holds the lock of this state folder: so the process that opened it has ended.
    """
    environment = world.environment.name
    before = world.lock.last_holder()
    with ExitStack() as held:
        try:
            held.enter_context(world.lock.hold("unlock", world.by))
        except Busy:
            who = holder(world.state, environment)
            here = _held(world, who) if who or not world.lock.shared else _free(None)
            locks = (here, *_shared(world), _server(world, alone=False))
            return (*locks, _unfinished(world, alone=False))
        locks = (_free(before), *_shared_free(world), _server(world, alone=True))
        return (*locks, _unfinished(world, alone=True))


def refuse(world: World, layers: tuple[Layer, ...]) -> None:
    """Raises Busy while a layer is held or unfinished, EnvironmentUnreachable while one is unknown."""
    shut = [layer for layer in layers if not layer.open]
    if not shut:
        return
    freed = any(layer.state is State.FREED for layer in layers)
    kind = EnvironmentUnreachable if all(s.state is State.UNKNOWN for s in shut) else Busy
    raise kind(
        f"No deploy of {world.environment.name!r} can start: {shut[0].said}.",
        state="The stale session was ended; nothing else was changed."
        if freed
        else "Nothing changed.",
        next_commands=tuple(dict.fromkeys(c for layer in shut for c in layer.commands)),
    )


_HOST: Final = "this host"
_JOURNAL: Final = "shared journal"
_SERVER: Final = "database server"
_WORK: Final = "journal"


def _free(last: Holder | None) -> Layer:
    said = "nobody holds the lock file"
    if last is not None:
        said += f"; the last who did was {_name(last)}"
    return Layer(_HOST, State.FREE, said)


def _held(world: World, who: Holder | None) -> Layer:
    path = world.lock.path
    if who is None or not who.pid:
        said = "a process that has not written its name yet holds the lock file"
        return Layer(_HOST, State.HELD, said, (f"fuser -v {path}",))
    living = lives(who)
    if living is False:
        said = f"{_name(who)} has ended, and yet somebody holds the lock file"
        return Layer(_HOST, State.HELD, said, (f"fuser -v {path}",))
    state = "lives" if living else "is one of another host, container or boot, and holds the lock"
    stop = (f"kill -INT {who.pid}   # stops it as Ctrl-C does",) if living else ()
    commands = (f"deployguard status --env {world.environment.name}", *stop)
    return Layer(
        _HOST, State.HELD, f"{_name(who)} holds the lock file; the process {state}", commands
    )


def _shared(world: World) -> tuple[Layer, ...]:
    """The lock in the journal's database while somebody holds it."""
    if not world.lock.shared:
        return ()
    found = world.lock.elsewhere()
    if found is None:
        return _shared_free(world)
    session, who = found
    if who is None:
        return (Layer(_JOURNAL, State.HELD, f"{session} holds the lock"),)
    said = f"{_name(who)} holds the lock; its connection lives: {session}"
    environment = world.environment.name
    ask = (
        f"deployguard status --env {environment}",
        f"deployguard unlock --env {environment}   # on {who.host}",
    )
    return (Layer(_JOURNAL, State.HELD, said, ask),)


def _shared_free(world: World) -> tuple[Layer, ...]:
    return (Layer(_JOURNAL, State.FREE, "no session holds the lock"),) if world.lock.shared else ()


def _name(who: Holder) -> str:
    deploy = f" {who.deploy}" if who.deploy else ""
    return f"{who.by} (process {who.pid} on {who.host}), since {who.since}, to {who.why}{deploy}"


def _server(world: World, *, alone: bool) -> Layer:
    try:
        with world.database() as database:
            if database.dialect != "postgresql":
                return Layer(
                    _SERVER, State.FREE, "a SQLite file has no server that could hold a lock"
                )
            key = database.identity()
            who = database.lock_holder(key)
            if who is None:
                return Layer(_SERVER, State.FREE, "no session holds the lock")
            run = _opener(world, who)
            if run is None or not alone:
                return _session(world, who, run)
            if database.end_lock(key, who):
                said = f"{who} held it for {run.kind} {run.id}, whose process has ended; the session was ended"
                return Layer(_SERVER, State.FREED, said)
            return Layer(_SERVER, State.HELD, f"{who} was told to end and still holds the lock")
    except DeployguardError as error:
        said = f"whether a session holds the lock is unknown: {error.message.rstrip('.')}"
        return Layer(_SERVER, State.UNKNOWN, said, error.next_commands)


def _session(world: World, who: LockHolder, run: Deploy | None) -> Layer:
    environment = world.environment.name
    if run is not None:
        return Layer(_SERVER, State.HELD, f"{who} holds the lock for {run.kind} {run.id}")
    return Layer(
        _SERVER,
        State.HELD,
        f"{who} holds the lock; no run of this state folder opened it, so nothing here proves that it is stale",
        (
            f"deployguard unlock --env {environment}   # on the host that is named there",
            f'psql -d postgres -c "SELECT pg_terminate_backend({who.pid})"   # only if that host is gone for good',
        ),
    )


def _opener(world: World, who: LockHolder) -> Deploy | None:
    """The run of this environment that opened this session here, as the journal says."""
    if who.mark is None:
        return None
    for row in world.journal.history(world.environment.name, _RUNS):
        for event in world.journal.events(row.id):
            taken = event.step == names.LOCK and event.kind is EventKind.DONE
            if not taken or event.evidence.get("session") != who.mark:
                continue
            # A shared journal knows the runs of other hosts; whether their processes live is unknown here.
            if not world.lock.shared or event.evidence.get("place") == world.place:
                return row
    return None


def _unfinished(world: World, *, alone: bool) -> Layer:
    row = world.journal.unfinished(world.environment.name)
    if row is None:
        return Layer(_WORK, State.FREE, "nothing is unfinished")
    what = f"{row.kind} {row.id} (by {row.by}, {row.started:%Y-%m-%d %H:%M} UTC)"
    if not alone:
        return Layer(
            _WORK, State.HELD, f"{what} is being worked on", (f"deployguard show {row.id}",)
        )
    why = words.CUT_OFF if row.status is Status.RUNNING else f"{row.status}: {row.summary}"
    close = f"deployguard close --env {row.environment} --reason TEXT   # when a person has put it right"
    return Layer(
        _WORK,
        State.UNFINISHED,
        f"{what} is unfinished ({why.rstrip(': ')}); it must be gone on with, taken back or closed",
        (f"deployguard show {row.id}", *words.ways_on(row), close),
    )
