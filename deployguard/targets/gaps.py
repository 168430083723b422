"""How long nobody served while services were recreated: looked at from outside, again and again, meanwhile."""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Final, Self

from deployguard.containers import Container, Engine
from deployguard.errors import EnvironmentUnreachable

PAUSE: Final = 0.2  # seconds between two looks


def available(containers: Iterable[Container]) -> bool:
    """Whether one of them runs and, where it has a health check, is healthy."""
    return any(one.status == "running" and one.health in {"", "healthy"} for one in containers)


def gap(looks: Sequence[tuple[float, bool]]) -> float | None:
    """For how many seconds of (second, whether somebody served) nobody did; None where nobody did before either."""
    if not looks or not looks[0][1]:
        return None
    pairs = itertools.pairwise(looks)
    return sum(later[0] - earlier[0] for earlier, later in pairs if not later[1] or not earlier[1])


class Gaps:
    """A thread that looks while the block runs; ``of`` then says what it saw. It asks an engine of its own."""

    def __init__(
        self,
        project: str,
        services: Sequence[str],
        engine: Callable[[], Engine] = Engine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._project = project
        self._looks: dict[str, list[tuple[float, bool]]] = {name: [] for name in services}
        self._engine = engine
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def of(self, service: str) -> float | None:
        """Seconds in which no container of the service could serve; None when that was so before, or is not known."""
        return gap(self._looks[service])

    def __enter__(self) -> Self:
        with self._engine() as engine:
            self._look(engine)  # how it was before anything is done
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(60)

    def _watch(self) -> None:
        with self._engine() as engine:
            while not self._stop.wait(PAUSE):
                self._look(engine)
            self._look(engine)

    def _look(self, engine: Engine) -> None:
        for service, looks in self._looks.items():
            try:
                found = engine.service_containers(self._project, service)
            except EnvironmentUnreachable:
                continue  # what was not seen is not counted as served: the next look closes the stretch
            looks.append((self._clock(), available(found)))
