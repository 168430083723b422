"""One deploy at a time on all hosts that share a journal: the lock file of this host, and one in the server."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from deployguard.errors import Busy
from deployguard.state.lock import DeployLock, Holder, busy, current_process
from deployguard.state.postgresql import PostgresStore


class SharedLock(DeployLock):
    """The server frees its half when the connection of the holder ends; who held it stays readable."""

    shared = True

    def __init__(self, folder: Path, environment: str, store: PostgresStore) -> None:
        super().__init__(folder, environment)
        self.store = store

    @contextlib.contextmanager
    def hold(self, why: str, by: str) -> Iterator[None]:
        """Hold both halves for the length of the block. Raises Busy, which names the holder; or StateError."""
        with super().hold(why, by):
            taken = self.store.take(self.environment, _text(current_process(why, by)))
            if taken is not None:
                session, written = taken
                raise (
                    busy(self.environment, read(written))
                    if written
                    else Busy(
                        f"The deploy lock of {self.environment!r} in the journal's database is held by {session}.",
                        state="This run changed nothing; the other one goes on.",
                        next_commands=(f"deployguard status --env {self.environment}",),
                    )
                )
            try:
                yield
            finally:
                self.store.let_go(self.environment)

    def name(self, deploy: str, why: str, by: str) -> None:
        super().name(deploy, why, by)
        self.store.rewrite(self.environment, _text(current_process(why, by, deploy)))

    def holder(self) -> Holder | None:
        if (here := super().holder()) is not None:
            return here
        if (found := self.elsewhere()) is None:
            return None
        session, who = found
        return who or Holder(0, 0, "", "another host", session, "", "deploy")

    def elsewhere(self) -> tuple[str, Holder | None] | None:
        found = self.store.holder(self.environment)
        return None if found is None else (str(found[0]), read(found[1]))

    def last_holder(self) -> Holder | None:
        return read(self.store.last_holder(self.environment)) or super().last_holder()


def read(text: str) -> Holder | None:
    """What a holder had written of itself; None where it cannot be read."""
    try:
        return Holder(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _text(who: Holder) -> str:
    return json.dumps(asdict(who))
