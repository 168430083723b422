"""One journey: a command is killed, and so is what comes after it; in the end the oracle says what production is in."""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from random import Random
from typing import Final

from deployguard.deploy.back import RECOVERY, ROLLBACK
from deployguard.deploy.restoring import RESTORING
from deployguard.deploy.steps import STEPS
from tests.kills.arena import Arena, Blow, Ended

DEPLOY: Final = ("deploy", "--auto-migrate", "--backup", "--health-check", "--quiesce")
# What may be killed, and in which plots it can be asked for.
JOURNEYS: Final = {
    "deploy": ("grow", "shrink", "broken"),
    "sick": ("grow", "shrink"),
    "back": ("grow",),
    "downgrade": ("grow",),
    "restore": ("grow", "shrink"),
    "backup restore": ("shrink",),
}
EXPECTED: Final = (0, 2, 3, 10, 11, 20, 21, 22, 23, 130, None)  # 1 is a bug, -9 never comes back
TRIES: Final = 6
POINTS: Final = ("before-intent", "after-intent", "before-done", "after-done")
TABLES: Final = {
    "deploy": [step.name for step in (*STEPS, *RECOVERY)],
    "rollback": [step.name for step in ROLLBACK],
    "restore": [step.name for step in RESTORING],
}
MOST_BLOWS: Final = 12


@dataclass
class Tally:
    """What was done, and how it ended. ``pace`` is command → seconds that it took untouched, the latest ones."""

    blows: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    illegal: list[str] = field(default_factory=list)
    pace: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def took(self, ended: Ended) -> None:
        if not ended.struck:
            self.pace[ended.argv[0]] = [*self.pace[ended.argv[0]][-9:], ended.seconds]

    def usual(self, command: str) -> float:
        known = self.pace[command] or [2.0]
        return sum(known) / len(known)


@dataclass
class Chase:
    """A journey in an arena that was just reset."""

    arena: Arena
    plot: str
    journey: str
    rng: Random
    tally: Tally
    digest: str
    restored: bool = False  # a person has ordered that writes are given up
    wrong: list[str] = field(default_factory=list)
    opened: str = ""  # the first command of the journey

    def go(self, blows: int, *, writing: bool) -> str:
        """Strike up to ``blows`` times; the end that was come to. What is illegal is in ``wrong``."""
        with ExitStack() as stack:
            if writing:
                stack.enter_context(self.arena.clients())
            command = self._opening()
            self.opened = command[0]
            for _ in range(blows):
                ended = self._run(command, self._blow(command))
                if ended.struck:
                    self.tally.blows += 1
                command = self._next()
                if command is None:
                    break
            self._finish()
        return self._judged()

    def _opening(self) -> tuple[str, ...]:
        """The command to kill; what must have been before it is done in peace."""
        deploy = (*DEPLOY, "--approve", self.digest)
        if self.journey == "sick":
            self.arena.sick.add("new")
        if self.journey in ("deploy", "sick"):
            return deploy
        if self.journey == "backup restore":
            made = self._run(("backup", "create"))
            assert made.code == 0, made.said
            self.restored = True
            name = self._backup()
            return ("backup", "restore", name, "--confirm", name)
        made = self._run(deploy)
        assert made.code == 0, made.said
        name = self.arena.rows()[0][0]
        if self.journey == "back":
            return ("rollback",)
        self.restored = True
        if self.journey == "downgrade":
            return ("rollback", name, "--to", "r1", "--confirm", name)
        return ("rollback", name, "--restore", "--confirm", name)

    def _backup(self) -> str:
        folder = self.arena.folder / ".deployguard" / "backups"
        return max(one.name for one in folder.iterdir() if (one / "manifest.json").exists())

    def _blow(self, command: tuple[str, ...]) -> Blow:
        number = self.rng.choice((signal.SIGKILL, signal.SIGTERM))
        chance = self.rng.random()
        if chance < 0.2:
            return Blow(number, at=("*", "*", self.rng.randint(1, 30)))
        if chance < 0.55:
            return Blow(number, at=(self.rng.choice(self._ahead()), self.rng.choice(POINTS), 1))
        victims = self.rng.choice(("it", "it", "group", "all"))
        return Blow(
            number,
            after=self.rng.uniform(0, self.tally.usual(command[0])),
            victims=victims,
        )

    def _ahead(self) -> list[str]:
        """Steps that the run may still come to, from the tables: those after the last one that it has begun."""
        rows = self.arena.unfinished()
        kind = (
            rows[0][1] if rows else {"deploy": "deploy", "backup": "restore"}.get(self.opened, "")
        )
        begun = self.arena.steps(rows[0][0]) if rows else []
        names = TABLES[kind or "rollback"]
        left = names[max((names.index(one) + 1 for one in begun if one in names), default=0) :]
        return [*left, *begun[-1:]] or names

    def _next(self) -> tuple[str, ...] | None:
        """What somebody types who finds it killed; None when it came to an end."""
        left = self.arena.unfinished()
        if not left:
            # Stopped before its first change: somebody tries again.
            again = self.journey in ("deploy", "sick") and not self._status()
            return (*DEPLOY, "--approve", self.digest) if again else None
        chance = self.rng.random()
        deploy = next((one[0] for one in left if one[1] == "deploy"), "")
        if chance < 0.7 or not deploy:
            return ("resume",)
        if chance < 0.85:
            return ("rollback",)
        if chance < 0.92:
            return ("resume", "--forward")
        self.restored = True
        return ("rollback", deploy, "--restore", "--confirm", deploy)

    def _status(self) -> str:
        """How the newest run stands that changed anything; "" when none has."""
        return next((one[2] for one in self.arena.rows() if one[2] != "failed"), "")

    def _run(self, command: tuple[str, ...], blow: Blow | None = None) -> Ended:
        ended = self.arena.run(*command, blow=blow)
        self.tally.took(ended)
        if ended.code not in EXPECTED:
            self.wrong.append(f"exit code {ended.code} of {' '.join(command)}")
        if ended.code == 3 and blow is None:
            self.wrong.append(f"unreachable, and nothing was struck: {ended.said[-300:]}")
        return ended

    def _finish(self) -> None:
        """Nobody kills any more: it is gone on with until it ends, or needs a person, who then restores."""
        self._until(lambda: ("resume",))
        left = self.arena.unfinished()
        if not left:
            return
        self._told(left)
        deploys = [one[0] for one in left if one[1] == "deploy"]
        back = [one for one in self.arena.rows() if one[1] == "deploy"]
        if not deploys and back and back[0][2] in ("done", "needs-human"):
            deploys = [back[0][0]]  # a stuck way back of a deploy that was in service
        if deploys:
            self.restored = True
            name = deploys[0]
            self._until(lambda: ("rollback", name, "--restore", "--confirm", name))
        if self.arena.unfinished():
            self._until(self._confirmed)
        if self.arena.unfinished():
            self.wrong.append(f"no way out: {self.arena.unfinished()}")

    def _confirmed(self) -> tuple[str, ...]:
        """A restore that asks anew is answered: the backup's id is typed."""
        options = self.arena.options(self.arena.unfinished()[0][0])
        return ("resume", "--confirm", str(options.get("backup", "")))

    def _until(self, command: Callable[[], tuple[str, ...]]) -> None:
        for _ in range(TRIES):
            left = self.arena.unfinished()
            if not left:
                return
            ended = self._run(command())
            if "still runs" in ended.said:
                time.sleep(0.5)
            elif ended.code == 22 and self.arena.unfinished() == left:
                return

    def _told(self, left: list[tuple[str, str, str]]) -> None:
        """Where a person is needed everybody is told so, the lock is kept, and a deploy is refused."""
        self.tally.counts["needs a person"] += 1
        reason = next((line for line in self.arena.log[-1].splitlines() if "Error:" in line), "")
        self.tally.counts[f"  because {re.sub(r'[0-9a-f-]{6,}', '…', reason.strip())[:110]}"] += 1
        if left[0][2] != "needs-human":
            self.wrong.append(f"left {left[0][2]} and cannot be gone on with: {left}")
        status = self._run(("status", "--format", "json"))
        document = json.loads(status.said[status.said.index("{") :])
        if status.code != 23 or left[0][0] not in json.dumps(document) or not document["next"]:
            self.wrong.append(f"status does not say what is unfinished: {status.code} {document}")
        if self._run((*DEPLOY, "--approve", self.digest)).code != 23:
            self.wrong.append("a deploy was let in while a person is needed")

    def _judged(self) -> str:
        rows = [one for one in self.arena.rows() if one[2] != "failed"]
        kind, status = rows[0][1:] if rows else ("deploy", "failed")
        legal = self._legal(kind, status)
        end, wrong = self.arena.judge(*legal, restored=self.restored)
        self.wrong += wrong
        self.tally.counts[f"{kind} {status}: {end}"] += 1
        return end

    def _legal(self, kind: str, status: str) -> tuple[str, ...]:
        """The ends that the newest run's own word allows."""
        grown = ("after old",) if self.plot == "grow" else ()
        if kind == "deploy":
            return {
                "done": () if "new" in self.arena.sick else ("after new",),
                "rolled-back": ("before old", *grown),
            }.get(status, ("before old",))
        if kind == "restore":
            return ("before old",)
        if status == "done":
            return ("before old", *grown)
        # A way back that was not begun leaves what its deploy left.
        return ("after new", "before old", *grown)


def digest_of(arena: Arena) -> str:
    """What a deploy must be approved with; it is the same after each reset."""
    refused = arena.run(*DEPLOY)
    found = re.findall(r"Digest\s+([0-9a-f]{64})", refused.said)
    assert found, refused.said
    arena.reset()
    return str(found[0])
