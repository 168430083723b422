"""No application to update: only the database is migrated."""

from dataclasses import dataclass

from deployguard.model import Release


@dataclass(frozen=True, slots=True)
class NoTarget:
    """Does nothing, and says that it runs nothing."""

    @property
    def can_stop(self) -> bool:
        return False

    def preflight(self) -> None:
        return

    def prepare(self) -> None:
        return

    def current(self) -> Release:
        return Release({})

    def update(self, deploy: str) -> Release:
        del deploy
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
