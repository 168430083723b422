"""What an update, or its way back, will mean for those who use the application: a sentence a service."""

from typing import Final

from deployguard.deploy import names
from deployguard.deploy.run import mapping
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.model import Foreseen
from deployguard.state import EventKind, Status

LOOKED_AT: Final = 20  # newest runs in which a measured gap is looked for
_ACTS: Final = (names.UPDATE_APP, names.APP_BACK)


def told(world: World) -> tuple[str, ...]:
    """One sentence a service; () where the target knows no services. A gap that was measured counts, else a guess."""
    foreseen = world.target.foresee()
    gone = {one.service for one in foreseen if not one.beside}
    measured = _measured(world, gone) if gone else {}
    return tuple(_sentence(one, measured.get(one.service)) for one in foreseen)


def told_if_known(world: World) -> tuple[str, ...]:
    """The same, () also where nothing answers: it is only told, not needed."""
    try:
        return told(world)
    except DeployguardError:
        return ()


def _sentence(one: Foreseen, measured: tuple[float, str] | None) -> str:
    if one.beside:
        return f"{one.service}: beside the old, no gap"
    if measured is None:
        gap = f"{one.gap:.0f} s (from its {one.basis})"
    else:
        gap = f"{measured[0]:.0f} s (measured in {measured[1]})"
    return f"{one.service}: recreated, for {_because(one.why)}; expect a gap of about {gap}"


def _because(why: str) -> str:
    return why if why.startswith("[") else f"it {why}"


def _measured(world: World, services: set[str]) -> dict[str, tuple[float, str]]:
    """By service (seconds, the run), of the newest run that saw the service recreated."""
    found: dict[str, tuple[float, str]] = {}
    for row in world.journal.history(world.environment.name, LOOKED_AT):
        if row.status is Status.RUNNING or found.keys() >= services:
            continue
        for event in reversed(world.journal.events(row.id)):
            if event.step not in _ACTS or event.kind is not EventKind.DONE:
                continue
            done = mapping(dict(event.evidence), "services")
            for service in services - found.keys():
                gap = mapping(done, service).get("gap")
                if mapping(done, service).get("way") == "recreated" and isinstance(
                    gap, int | float
                ):
                    found[service] = (float(gap), f"{row.kind} {row.id}")
    return found
