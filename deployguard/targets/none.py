"""No application to update: only the database is migrated."""

from dataclasses import dataclass

from deployguard.model import Foreseen, Release


@dataclass(frozen=True, slots=True)
class NoTarget:
    """Does nothing, and says that it runs nothing."""

    @property
    def can_stop(self) -> bool:
        return False

    def preflight(self) -> None:
        return

    def foresee(self) -> tuple[Foreseen, ...]:
        return ()

    def prepare(self) -> None:
        return

    def current(self) -> Release:
        return Release({})

    def update(self, deploy: str, former: Release) -> Release:
        del deploy, former
        return Release({})

    def put_back(self, release: Release, deploy: str) -> Release:
        del deploy
        return release

    def stop(self) -> None:
        return

    def start(self) -> None:
        return

    def running(self) -> bool:
        return True

    def stopped(self) -> bool:
        return False
