"""Whether a service can have two versions side by side, and for how long nobody serves when it cannot: pure."""

import re
from collections.abc import Mapping
from typing import Final

from deployguard.config import RollingConfig
from deployguard.containers import Service
from deployguard.containers.container import table, text
from deployguard.model import Foreseen, Json

GRACE: Final = 10.0  # seconds: what compose gives a container where its file says nothing
INTERVAL: Final = 30.0  # seconds between two health checks where the file says nothing
_PART: Final = re.compile(r"([0-9.]+)(ms|us|ns|h|m|s)")
_SECONDS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_OWN: Final = ("container_name", "mac_address")  # which no two containers can have


def seconds(duration: Json, otherwise: float) -> float:
    """``1m30s``, as compose writes durations; ``otherwise`` where there is none."""
    found = _PART.findall(text(duration))
    return sum(float(number) * _SECONDS[unit] for number, unit in found) if found else otherwise


def replicas(service: Service) -> int:
    """How many containers the file wants of it."""
    said = table(service.definition.get("deploy")).get("replicas", service.definition.get("scale"))
    return said if isinstance(said, int) else 1


def obstacle(
    service: Service,
    rolling: RollingConfig | None,
    others: Mapping[str, Service],
    *,
    keeps: tuple[str, ...] = (),
    checked: bool = False,
) -> str:
    """What keeps its new replicas from starting beside the old ones; "" when nothing does.

    ``keeps``: folders that the image declares as volumes; replicas can't share these. ``checked``: the image has a
    health check. What this does not know of is no obstacle only because [target] rolling names the service.
    """
    if rolling is None:
        return "[target] rolling does not name it"
    said = service.definition
    return (
        next((f"has a {key.replace('_', ' ')}" for key in _OWN if said.get(key)), "")
        or _published(said.get("ports"))
        or _network(service, others)
        or ("" if rolling.shares_volumes else _written(said))
        or _own(said, keeps)
        or _count(said)
        or ("" if not rolling.proxied or _told(said, checked) else "has no health check")
    )


def foresee(service: Service, why: str) -> Foreseen:
    """How it will be updated. The gap is what its definition makes likely, from the old one's end on."""
    if not why:
        return Foreseen(service.name, beside=True)
    said = service.definition
    grace = seconds(said.get("stop_grace_period"), GRACE)
    check = table(said.get("healthcheck"))
    basis = [f"stop_grace_period {grace:g} s"]
    start = 0.0
    if check and not check.get("disable"):
        begin = seconds(check.get("start_period"), 0.0)
        interval = seconds(check.get("interval"), INTERVAL)
        start = begin + interval
        basis.append(f"healthcheck start_period {begin:g} s and interval {interval:g} s")
    return Foreseen(service.name, beside=False, why=why, gap=grace + start, basis=", ".join(basis))


def _published(ports: Json) -> str:
    for port in ports if isinstance(ports, list) else []:
        if number := text(table(port).get("published")):
            return f"publishes host port {number}"
        if isinstance(port, str) and ":" in port:
            return f"publishes host port {port.split(':')[-2]}"
    return ""


def _network(service: Service, others: Mapping[str, Service]) -> str:
    said = service.definition
    mode = text(said.get("network_mode"))
    if mode and mode not in {"bridge", "none"}:
        return f"has the network mode {mode}"
    for name, network in table(said.get("networks")).items():
        if table(network).get("ipv4_address") or table(network).get("ipv6_address"):
            return f"has a fixed address in the network {name}"
    for other in others.values():
        for key in ("network_mode", "pid", "ipc"):
            if text(other.definition.get(key)) == f"service:{service.name}":
                return f"lends its {key.partition('_')[0]} to the service {other.name}"
    return ""


def _written(said: Mapping[str, Json]) -> str:
    for volume in _volumes(said):
        if source := text(volume.get("source")):
            return f"writes the volume {source}"
    if isinstance(others := said.get("volumes_from"), list) and others:
        return f"writes the volumes of {others[0]}"
    return ""


def _own(said: Mapping[str, Json], keeps: tuple[str, ...]) -> str:
    """A volume without a name: new replicas would get empty ones, and what is in the old would be lost."""
    for volume in _volumes(said):
        if not text(volume.get("source")):
            return f"keeps data in a volume without a name at {text(volume.get('target'))}"
    mounts = said.get("volumes")
    covered = {text(table(one).get("target")) for one in mounts} if isinstance(mounts, list) else ()
    own = [folder for folder in keeps if folder not in covered]
    return f"keeps data in a volume of its image at {own[0]}" if own else ""


def _volumes(said: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    """Those of the file's mounts that it may write and that outlive a container."""
    volumes = said.get("volumes")
    known = [table(one) for one in volumes] if isinstance(volumes, list) else []
    return [one for one in known if one.get("type") != "tmpfs" and one.get("read_only") is not True]


def _count(said: Mapping[str, Json]) -> str:
    deploy = table(said.get("deploy"))
    if text(deploy.get("mode")).startswith("global"):
        return "runs once a machine"
    wanted = deploy.get("replicas", said.get("scale"))
    return "" if not isinstance(wanted, int) or wanted else "has no replicas"


def _told(said: Mapping[str, Json], checked: bool) -> bool:
    check = table(said.get("healthcheck"))
    if check.get("disable"):
        return False
    return bool(check.get("test")) or checked
