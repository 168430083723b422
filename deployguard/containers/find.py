"""Where a host name of a compose network can be reached from this machine."""

import socket
from collections.abc import Callable, Iterable

from deployguard.containers.container import Container
from deployguard.containers.engine import Engine
from deployguard.errors import EnvironmentUnreachable

PATIENCE = 3.0  # seconds for one TCP connection on this machine


def find_address(
    engine: Engine, host: str, port: int, project: str | None = None
) -> tuple[str, int] | None:
    """An address and port that answer for ``host:port`` as containers of ``project`` would resolve it, or None.

    A published port comes first, then the container's address on each of its networks. Raises EnvironmentUnreachable
    when no project is given and containers of several projects answer: better no database than a wrong one.
    """
    for container in candidates(engine.containers(), host, project):
        for address in addresses(container, port):
            if _answers(address):
                return address
    return None


def find_container(engine: Engine, host: str, project: str | None = None) -> Container | None:
    """The running container that answers to ``host`` in ``project``, or None. Raises as ``find_address``."""
    return next(iter(candidates(engine.containers(), host, project)), None)


def candidates(
    containers: Iterable[Container], host: str, project: str | None
) -> tuple[Container, ...]:
    """The containers that ``host`` may mean, most likely first; pure."""
    everything = tuple(containers)
    if project is not None:
        # Docker resolves a name among the networks that the asking container is on, and only there.
        networks = {n for c in everything if c.project == project for n in c.addresses}
        return _matching(everything, host, lambda network: network in networks)
    found = _matching(everything, host, lambda _: True)
    owners = {container.project or container.name for container in found}
    if len(owners) > 1:
        raise EnvironmentUnreachable(
            f"Several running projects have a container that answers to {host!r}:"
            f" {', '.join(sorted(owners))}. Say which one in [target] project_name."
        )
    return found


def _matching(
    containers: Iterable[Container], host: str, on: Callable[[str], bool]
) -> tuple[Container, ...]:
    return tuple(
        container
        for container in containers
        if any(host in names and on(network) for network, names in container.names.items())
    )


def addresses(container: Container, port: int) -> tuple[tuple[str, int], ...]:
    """Where the container's port may be reached from this machine, in the order to try; pure."""
    published = container.published.get(f"{port}/tcp")
    own = tuple((address, port) for address in container.addresses.values() if address)
    return ((published,) if published else ()) + own


def _answers(address: tuple[str, int]) -> bool:
    try:
        with socket.create_connection(address, timeout=PATIENCE):
            return True
    except OSError:
        return False
