"""One update of several services, or one way back: those beside the old ones together, the others recreated between.

The order: new replicas of the services behind a proxy start, then those of the rest (a worker begins to work as soon
as it runs), each beside the old ones. Only when all of them are healthy are the other services recreated, and only
then is the proxy switched and are the old replicas stopped. What fails before that is taken away again, and nobody
who uses the application has noticed.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.config import RollingConfig
from deployguard.containers import Compose, ComposeProject, Engine
from deployguard.errors import DeployguardError
from deployguard.model import Foreseen, Json, Release
from deployguard.targets import doubling
from deployguard.targets.gaps import Gaps
from deployguard.targets.proxy import Proxy
from deployguard.targets.rolling import Rolling, Turn

SWITCHING: Final = 60.0  # seconds that a command which makes the proxy read anew may take


@dataclass(frozen=True, slots=True)
class Replacing:
    """Brings services of one project to the images that are wanted. ``up`` recreates services as compose does."""

    compose: Compose
    engine: Engine
    project: ComposeProject
    on_line: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    def foresee(self, services: Sequence[str]) -> tuple[Foreseen, ...]:
        """How each service would be updated now."""
        return tuple(
            doubling.foresee(self.project.services[name], self._obstacle(name)) for name in services
        )

    def proxies(self) -> tuple[Proxy, ...]:
        """The proxies that are told."""
        rolling = self.compose.target.rolling
        return tuple(self._proxy(one) for one in rolling if one.proxied)

    def replace(
        self,
        images: Mapping[str, str],
        former: Release,
        deploy: str,
        up: Callable[[tuple[str, ...]], None],
        *,
        overrides: tuple[Path, ...] = (),
        back: bool = False,
    ) -> dict[str, Json]:
        """Bring each service to its image (an id); what was done, by service. Raises UpdateFailed.

        ``former`` is what ran before the deploy; with ``back`` its containers are good as they are.
        """
        limit = float(self.compose.target.timeout)
        rolling = Rolling(
            self.compose,
            self.engine,
            self.project.name,
            deploy,
            overrides,
            limit,
            self.on_line,
            self.sleep,
        )
        beside = {one.service: one for one in self._ordered() if one.service in images}
        turns = [
            self._turn(one, images[one.service], former, overrides, back=back)
            for one in beside.values()
            if not self._obstacle(one.service)
        ]
        names = {turn.service for turn in turns}
        rest = tuple(name for name in images if name not in names)
        told: dict[str, Json] = {}
        try:
            for turn in turns:
                rolling.bring_up(turn)
            if rest:
                told |= self._recreate(rest, up)
        except DeployguardError:
            for turn in turns:
                with suppress(DeployguardError):  # the first failure is the one to tell
                    rolling.take_away(turn)
            raise
        for turn in turns:
            rolling.hand_over(turn)
            told[turn.service] = rolling.evidence(turn)
        self.tell_proxies(rest, deploy)
        return told

    def tell_proxies(self, services: Sequence[str], deploy: str) -> None:
        """Tell the proxies of the containers that run: those of services that were recreated, or started again."""
        for proxy in self.proxies():
            service = proxy.config.service
            if service in services:
                found = self.engine.service_containers(self.project.name, service)
                if names := [one.name for one in found]:
                    proxy.tell(names, (), deploy)

    def _recreate(
        self, services: tuple[str, ...], up: Callable[[tuple[str, ...]], None]
    ) -> dict[str, Json]:
        began = time.monotonic()
        with Gaps(self.project.name, services) as gaps:
            up(services)
        seconds = round(time.monotonic() - began, 1)
        told: dict[str, Json] = {}
        for name in services:
            seen = gaps.of(name)
            gap = None if seen is None else round(seen, 1)
            told[name] = {"way": "recreated", "gap": gap, "seconds": seconds}
        return told

    def _ordered(self) -> list[RollingConfig]:
        """Those behind a proxy first, each kind in the order of [target] services."""
        order = self.compose.target.services
        return sorted(
            self.compose.target.rolling, key=lambda one: (not one.proxied, order.index(one.service))
        )

    def _turn(
        self,
        one: RollingConfig,
        image: str,
        former: Release,
        overrides: tuple[Path, ...],
        *,
        back: bool,
    ) -> Turn:
        formers = former.containers.get(one.service, ())
        # Somebody may have scaled it by hand: as many as served before are put back.
        count = len(formers) if back else 0
        return Turn(
            one.service,
            image,
            count or doubling.replicas(self.project.services[one.service]),
            {self.compose.hash(one.service, overrides=overrides)} - {""},
            frozenset(formers),
            former_counts=back,
            proxy=self._proxy(one) if one.proxied else None,
            drain=one.drain,
        )

    def _proxy(self, one: RollingConfig) -> Proxy:
        return Proxy(one, self.compose, SWITCHING, self.on_line)

    def _obstacle(self, service: str) -> str:
        known = self.project.services
        rolling = next((o for o in self.compose.target.rolling if o.service == service), None)
        if rolling is None:  # the usual case asks the engine nothing
            return doubling.obstacle(known[service], None, known)
        image = self.project.image(service)
        return doubling.obstacle(
            known[service],
            rolling,
            known,
            keeps=self.engine.image_keeps(image),
            checked=self.engine.image_tells_health(image),
        )
