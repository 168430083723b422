"""What every kind of running application offers to a deploy."""

from typing import Final, Protocol

from deployguard.errors import NeedsHuman
from deployguard.model import Foreseen, Release

NOT_RUNNING: Final = "not running"  # in Release.images, for a service that has no running container


class UpdateFailed(NeedsHuman):
    """The application could not be updated, put back, stopped or started; what runs now must be asked for anew.

    The deploy catches it and decides; a person meets it only when nobody decided.
    """

    def __init__(self, message: str, next_commands: tuple[str, ...] = ()) -> None:
        super().__init__(
            message,
            state="The application may be partly updated.",
            next_commands=next_commands,
        )


class Target(Protocol):
    """The running application. Only ``prepare``, ``update``, ``put_back``, ``stop`` and ``start`` change anything."""

    @property
    def can_stop(self) -> bool:
        """Whether ``stop`` really stops the application; where it does not, writers go on writing."""
        ...

    def preflight(self) -> None:
        """Raises EnvironmentUnreachable or UsageError when an update could not work."""
        ...

    def foresee(self) -> tuple[Foreseen, ...]:
        """How each service would be updated, or put back; () where that is not known. Asks after ``preflight``."""
        ...

    def prepare(self) -> None:
        """Build or pull what will be started, without touching what runs. Raises EnvironmentUnreachable."""
        ...

    def current(self) -> Release:
        """What runs now."""
        ...

    def update(self, deploy: str, former: Release) -> Release:
        """Start the new version and keep the old one's images under a tag. May be repeated. Raises UpdateFailed.

        ``former`` is what ran before the deploy, as ``current`` gave it then.
        """
        ...

    def put_back(self, release: Release, deploy: str) -> Release:
        """Start ``release`` again, as ``current`` gave it. May be repeated. Raises UpdateFailed."""
        ...

    def stop(self) -> None:
        """Stop the application where that can be done. Raises UpdateFailed."""
        ...

    def start(self) -> None:
        """Start again what ``stop`` stopped, as it was. Raises UpdateFailed."""
        ...

    def running(self) -> bool:
        """Whether every part of the application runs."""
        ...

    def stopped(self) -> bool:
        """Whether no part of the application runs."""
        ...
