"""The nouns of the room: a container as the engine describes it, and the parts of an image's name."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployguard.model import Json


@dataclass(frozen=True, slots=True)
class Container:
    """One container. ``status`` is the engine's word: created, running, paused, restarting, removing, exited, dead.

    ``image`` is an id ("sha256:…"), ``reference`` the name it was started by. ``code`` is the exit status, None
    while it has none. ``addresses`` maps a network to the container's address there, ``names`` a network to the
    names by which others there find it; ``published`` maps "5432/tcp" to (host address, host port).
    """

    id: str
    name: str
    image: str
    reference: str
    status: str
    code: int | None
    started: str  # RFC 3339; "" when it never was
    health: str  # "", "starting", "healthy" or "unhealthy"
    labels: Mapping[str, str]
    addresses: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]
    published: Mapping[str, tuple[str, int]]
    grace: int = 10  # seconds that it gets to end by itself when it is stopped
    restarts: int = 0  # how often the engine started it again because it had ended

    @property
    def running(self) -> bool:
        return self.status in {"running", "paused", "restarting"}

    @property
    def project(self) -> str:
        return self.labels.get("com.docker.compose.project", "")

    @property
    def service(self) -> str:
        return self.labels.get("com.docker.compose.service", "")


def table(value: Json) -> Mapping[str, Json]:
    """The value when it is a table, else an empty one: the engine leaves out, or sends null for, what is empty."""
    return value if isinstance(value, dict) else {}


def text(value: Json) -> str:
    return value if isinstance(value, str) else ""


def parse_container(attrs: Mapping[str, Json]) -> Container:
    """A container from the answer of ``GET /containers/{id}/json`` (Docker Engine API 1.41)."""
    state, config = table(attrs.get("State")), table(attrs.get("Config"))
    status, started = text(state.get("Status")), text(state.get("StartedAt"))
    code = state.get("ExitCode")
    settings = table(attrs.get("NetworkSettings"))
    networks = {name: table(value) for name, value in table(settings.get("Networks")).items()}
    name = text(attrs.get("Name")).lstrip("/")
    hostname = text(config.get("Hostname"))
    labels = {key: text(value) for key, value in table(config.get("Labels")).items()}
    service = labels.get("com.docker.compose.service", "")
    return Container(
        id=text(attrs.get("Id")),
        name=name,
        image=text(attrs.get("Image")),
        reference=text(config.get("Image")),
        status=status,
        code=code if isinstance(code, int) and status in {"exited", "dead"} else None,
        started="" if started.startswith("0001") else started,
        health=text(table(state.get("Health")).get("Status")),
        labels=labels,
        addresses={key: text(value.get("IPAddress")) for key, value in networks.items()},
        names={
            key: _unique(name, hostname, service, *_texts(value.get("Aliases")))
            for key, value in networks.items()
        },
        published=_published(table(settings.get("Ports"))),
        grace=_number(config.get("StopTimeout"), 10),
        restarts=_number(attrs.get("RestartCount"), 0),
    )


def _number(value: Json, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _texts(value: Json) -> tuple[str, ...]:
    return tuple(text(item) for item in value) if isinstance(value, list) else ()


def _unique(*names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))


def _published(ports: Mapping[str, Json]) -> Mapping[str, tuple[str, int]]:
    found = {}
    for port, bindings in ports.items():
        for binding in bindings if isinstance(bindings, list) else []:
            host, number = text(table(binding).get("HostIp")), text(table(binding).get("HostPort"))
            if number and port not in found and ":" not in host:
                everywhere = host in {"", "0.0.0.0"}  # noqa: S104 - compared, not bound
                found[port] = ("127.0.0.1" if everywhere else host, int(number))
    return found


@dataclass(frozen=True, slots=True)
class Reference:
    """The parts of an image's name: ``repository[:tag][@digest]``; the repository may hold a host and a port."""

    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, name: str) -> "Reference":
        rest, _, digest = name.partition("@")
        head, colon, tail = rest.rpartition(":")
        if colon and "/" not in tail:
            return cls(head, tail, digest)
        return cls(rest, "", digest)

    def tagged(self, tag: str) -> str:
        """The same repository under another tag."""
        return f"{self.repository}:{tag}"

    @property
    def movable(self) -> bool:
        """Whether the name is one that a tag command can point at another image."""
        return not self.digest and self.repository != "sha256"
