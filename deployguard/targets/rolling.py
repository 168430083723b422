"""New replicas beside the old ones, the proxy switched, the old ones drained and stopped: the acts of it.

What comes next is decided in ``replicas.py`` from what there is; this looks, acts, and looks again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deployguard.containers import Compose, Container, Engine
from deployguard.model import Json
from deployguard.targets import replicas
from deployguard.targets.base import UpdateFailed
from deployguard.targets.proxy import Proxy
from deployguard.targets.replicas import Do, Next, Replica, State, View

PAUSE: Final = 0.5  # seconds between two looks
STEADY: Final = 3.0  # seconds that a new container without a health check must have run
READING: Final = (
    1.0  # seconds for a proxy that was told to read anew, before what it was told of matters
)
STRAGGLING: Final = 60.0  # seconds more than its grace period, until a stop counts as failed
SHOWN: Final = 8  # lines of a broken replica's log


@dataclass(slots=True)
class Turn:
    """One service on its way. ``hashes``: what compose labels containers of the wanted definition with.

    ``formers`` are the ids of the containers that ran before the deploy; ``former_counts``: they are of the wanted
    version when their image is, whatever their definition was.
    """

    service: str
    image: str
    count: int
    hashes: set[str]
    formers: frozenset[str]
    former_counts: bool
    proxy: Proxy | None
    drain: float
    told: tuple[str, ...] | None = None
    started: bool = False
    handed: bool = False
    since: dict[str, float] = field(
        default_factory=dict
    )  # a run of a container → when it was first seen
    names: dict[str, str] = field(default_factory=dict)  # of the containers at the last look → id
    before: tuple[str, ...] = ()  # the names of those that ran at the first look
    began: float = 0.0
    ready: float = 0.0


@dataclass(frozen=True, slots=True)
class Rolling:
    """Acts on the containers of one compose project. ``timeout``: seconds until new replicas must be healthy."""

    compose: Compose
    engine: Engine
    project: str
    deploy: str
    overrides: tuple[Path, ...]
    timeout: float
    on_line: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def bring_up(self, turn: Turn) -> None:
        """Until the wanted replicas can serve, beside the others. Raises UpdateFailed; the others serve."""
        turn.began = self.clock()
        while not (step := replicas.next_action(self._look(turn))).ready:
            turn.before = turn.before or tuple(turn.names)
            if step.do is Do.WAIT:
                if self.clock() - turn.began > self.timeout:
                    raise self._failed(turn, (), f"not ready after {self.timeout:g} s")
                self.sleep(PAUSE)
            elif step.do is Do.GIVE_UP:
                raise self._failed(turn, step.names, "not healthy")
            else:
                self._act(turn, step)
        turn.before = turn.before or tuple(turn.names)
        turn.ready = self.clock()

    def hand_over(self, turn: Turn) -> None:
        """Until only the wanted replicas are there. Raises UpdateFailed."""
        while (step := replicas.next_action(self._look(turn))).do is not Do.DONE:
            if step.do is Do.GIVE_UP:
                raise self._failed(turn, step.names, "not healthy any more")
            if step.do is Do.WAIT:
                self.sleep(PAUSE)
            else:
                self._act(turn, step)

    def take_away(self, turn: Turn) -> None:
        """Remove what was started in vain, where others serve. Raises UpdateFailed when the proxy cannot be told."""
        seen = self._look(turn)
        names = replicas.left_over(seen)
        if names:
            self._call_back(turn, replicas.staying(seen, names))
            self.on_line(f"{turn.service}: taking {', '.join(names)} away again")
            self._stop(turn, names)
            self._remove(turn, names)

    def evidence(self, turn: Turn) -> dict[str, Json]:
        """What was done to the service, for the journal; times in seconds."""
        after = sorted(turn.names)
        return {
            "way": "beside",
            "gap": 0.0,
            "ready": round(turn.ready - turn.began, 1),
            "seconds": round(self.clock() - turn.began, 1),
            "old": [name for name in sorted(turn.before) if name not in after],
            "new": list(after),
        }

    # --- looking

    def _look(self, turn: Turn) -> View:
        found = self.engine.service_containers(self.project, turn.service, stopped=True)
        here = [one for one in found if one.status != "removing"]
        turn.names = {one.name: one.id for one in here}
        return View(
            tuple(self._replica(turn, one) for one in here),
            turn.count,
            proxied=turn.proxy is not None,
            told=turn.told,
            started=turn.started,
            handed=turn.handed,
        )

    def _replica(self, turn: Turn, one: Container) -> Replica:
        former = one.id in turn.formers
        hashed = one.labels.get("com.docker.compose.config-hash", "") in turn.hashes
        wanted = one.image == turn.image and (hashed or (former and turn.former_counts))
        return Replica(one.name, self._state(turn, one, former), wanted, former)

    def _state(self, turn: Turn, one: Container, former: bool) -> State:
        if not one.running:
            return State.ENDED
        if one.status == "paused" or one.health == "unhealthy":
            return State.BROKEN
        if one.status == "running" and one.health == "healthy":
            return State.READY
        if not former and one.restarts >= replicas.CRASHES:
            return State.BROKEN
        if one.status == "restarting" or one.health:
            return State.STARTING
        since = turn.since.setdefault(one.id + one.started, self.clock())
        return State.READY if former or self.clock() - since >= STEADY else State.STARTING

    # --- acting

    def _act(self, turn: Turn, step: Next) -> None:
        if step.do is Do.TELL:
            self._tell(turn, step)
        elif step.do is Do.START:
            self._start(turn, step.count)
        elif step.do is Do.RETIRE:
            self._retire(turn, step)
        else:
            self._remove(turn, step.names)

    def _tell(self, turn: Turn, step: Next) -> None:
        assert turn.proxy is not None  # noqa: S101 - nobody is told otherwise
        leaving = sorted({*turn.names} - {*step.names})
        self.on_line(f"{turn.service}: the proxy is told of {', '.join(step.names)}")
        changed = turn.proxy.tell(step.names, leaving, self.deploy)
        turn.told, turn.handed = step.names, step.ready
        if changed and not step.ready:
            self.sleep(READING)

    def _call_back(self, turn: Turn, names: tuple[str, ...]) -> None:
        """A process that was killed may have told the proxy of those that are to go: nobody may be sent to them."""
        if turn.proxy is not None and turn.told != names:
            self._tell(turn, Next(Do.TELL, names))
            self.sleep(turn.drain)

    def _start(self, turn: Turn, missing: int) -> None:
        there = dict(turn.names)
        scale = f"{turn.service}={len(there) + missing}"
        plural = "s" if missing > 1 else ""
        self.on_line(f"{turn.service}: starting {missing} replica{plural} beside {len(there)}")
        turn.started = True
        done = self.compose.run(
            *("up", "-d", "--no-deps", "--no-build", "--pull", "never"),
            *("--no-recreate", "--scale", scale, turn.service),
            overrides=self.overrides,
            timeout=self.timeout + 60,
            on_line=self.on_line,
        )
        found = self.engine.service_containers(self.project, turn.service, stopped=True)
        made = [one for one in found if one.name not in there]
        # What compose has just made is what it wants, should its own word for it be another than it said.
        turn.hashes |= {one.labels.get("com.docker.compose.config-hash", "") for one in made}
        if not done.ok:
            raise UpdateFailed(
                f"New replicas of {turn.service} could not be started: {done.why()}",
                (self._shown("ps", "-a", turn.service),),
            )
        if wrong := [one for one in made if one.image != turn.image]:
            raise UpdateFailed(
                f"{wrong[0].name} was started with {wrong[0].image} and not with {turn.image}."
            )

    def _retire(self, turn: Turn, step: Next) -> None:
        if turn.proxy is not None and turn.drain:
            self.on_line(
                f"{turn.service}: letting requests to the old replicas end, {turn.drain:g} s"
            )
            self.sleep(turn.drain)
            step = replicas.next_action(self._look(turn))
        if (
            step.do is Do.RETIRE
        ):  # the new ones may have broken meanwhile, and the old ones be needed
            self._stop(turn, step.names)

    def _stop(self, turn: Turn, names: Sequence[str]) -> None:
        """Stop them as they want to be stopped: their own signal, and all of their grace period for what they do."""
        found = [self.engine.container(name) for name in names]
        running = [one for one in found if one is not None and one.running]
        if not running:
            return
        shown, grace = " ".join(one.name for one in running), max(one.grace for one in running)
        self.on_line(f"{turn.service}: {shown} may finish what is under way, for up to {grace} s")
        done = self.engine.stop([one.id for one in running], timeout=grace + STRAGGLING)
        if not done.ok:
            raise UpdateFailed(
                f"{shown} could not be stopped: {done.why()}", (f"docker stop {shown}",)
            )

    def _remove(self, turn: Turn, names: Sequence[str]) -> None:
        for name in names:
            if not self.engine.remove(turn.names.get(name, name)):
                raise UpdateFailed(
                    f"{name} was to be removed, and runs.", (f"docker rm -f {name}",)
                )

    # --- failing

    def _failed(self, turn: Turn, names: Sequence[str], what: str) -> UpdateFailed:
        said = [
            line
            for name in names[:1]
            for line in self.engine.logs(name).decode(errors="replace").splitlines()[-SHOWN:]
        ]
        for line in said:
            self.on_line(self.compose.redact(f"{names[0]}: {line}"))
        who = ", ".join(names) or "the new replicas"
        last = self.compose.redact(said[-1]) if said else ""
        return UpdateFailed(
            f"{turn.service}: {who}: {what}{f'; the last line of its log: {last}' if last else ''}.",
            (self._shown("ps", "-a", turn.service),),
        )

    def _shown(self, *arguments: str) -> str:
        return " ".join(self.compose.argv(*arguments))
