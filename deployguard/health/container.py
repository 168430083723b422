"""The containers of a service, as the engine and their own HEALTHCHECK see them."""

from collections.abc import Callable
from dataclasses import dataclass

from deployguard.containers import Container
from deployguard.errors import DeployguardError
from deployguard.health.base import Answer


@dataclass(frozen=True, slots=True)
class ContainerCheck:
    """Every container of ``service`` must run, and be healthy where its image says what that is.

    ``containers`` gives those of the service, stopped ones too. An engine that cannot be asked says nothing.
    """

    service: str
    containers: Callable[[str], tuple[Container, ...]]

    def ask(self) -> Answer:
        try:
            found = self.containers(self.service)
        except DeployguardError as error:
            return Answer(
                None, f"the containers of {self.service!r} could not be asked: {error.message}"
            )
        if not found:
            return Answer(False, f"{self.service!r} has no container")
        for one in found:
            if one.status != "running":
                code = "" if one.code is None else f" with {one.code}"
                return Answer(False, f"container {one.name} is {one.status}{code}")
            if one.health not in ("", "healthy"):
                return Answer(False, f"container {one.name} is {one.health}")
        proven = "healthy" if all(one.health for one in found) else "running"
        number = "1 container" if len(found) == 1 else f"{len(found)} containers"
        return Answer(True, f"{number} of {self.service!r} {proven}")
