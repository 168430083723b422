"""The Docker engine: containers, images, and commands inside a container."""

import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from deployguard.containers.container import Container, Reference, parse_container, table, text
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Json
from deployguard.process import Completed, Redactor, run

if TYPE_CHECKING:
    from docker.client import DockerClient

TIMEOUT = 30  # seconds that one question to the engine may take
LONGEST = 7 * 24 * 3600.0  # seconds that what moves may go on in a container


@contextmanager
def asking() -> Iterator[None]:
    """Turn every way in which the engine can fail to answer into EnvironmentUnreachable."""
    import docker.errors
    import requests  # what the docker library speaks HTTP with, and whose errors it lets through
    import urllib3

    try:
        yield
    except docker.errors.APIError as error:
        said = error.explanation or str(error)
        raise EnvironmentUnreachable(f"The Docker engine refused: {said}.") from error
    except (
        docker.errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as error:
        raise EnvironmentUnreachable(
            _no_engine(str(error)), next_commands=("docker info",)
        ) from error


def _no_engine(said: str) -> str:
    where = os.environ.get("DOCKER_HOST") or "its usual socket"
    if "Permission denied" in said or "PermissionError" in said:
        return (
            f"The Docker engine at {where} may not be used by this user; add the user to the group"
            " 'docker', or run as one who may."
        )
    return (
        f"No Docker engine answers at {where}; start Docker, or set DOCKER_HOST to where it runs."
    )


def _knock(host: str) -> None:
    # The docker library leaves its socket open when nobody is behind it.
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as ours:
            ours.settimeout(TIMEOUT)
            ours.connect(host.removeprefix("unix://"))


class Engine:
    """The Docker engine that DOCKER_HOST or the current context names; nothing is asked before the first question.

    Every method raises EnvironmentUnreachable when the engine does not answer. ``environ`` is what the docker program
    gets besides what it is to hand on; None is our own.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._client: DockerClient | None = None

    def client(self) -> "DockerClient":
        if self._client is None:
            import docker

            with asking():
                _knock(os.environ.get("DOCKER_HOST", ""))
                self._client = docker.from_env(timeout=TIMEOUT)
        return self._client

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ping(self) -> str:
        """The engine's version."""
        with asking():
            return text(table(cast("Json", self.client().version())).get("Version"))

    # --- containers

    def containers(
        self, *, labels: Sequence[str] = (), stopped: bool = False
    ) -> tuple[Container, ...]:
        """Running containers (with ``stopped``: all) that carry every label ("key" or "key=value"), by name."""
        import docker.errors

        found = []
        with asking():
            api = self.client().api
            for row in api.containers(all=stopped, filters={"label": list(labels)}):
                try:
                    found.append(parse_container(api.inspect_container(row["Id"])))
                except docker.errors.NotFound:
                    continue  # it went away in between
        return tuple(sorted(found, key=lambda container: container.name))

    def service_containers(
        self, project: str, service: str | None = None, *, stopped: bool = False
    ) -> tuple[Container, ...]:
        """The containers of a compose project's services (not those of ``compose run``)."""
        labels = [f"com.docker.compose.project={project}", "com.docker.compose.oneoff=False"]
        if service is not None:
            labels.append(f"com.docker.compose.service={service}")
        return self.containers(labels=labels, stopped=stopped)

    def container(self, name: str) -> Container | None:
        """The container of that name or id as it is now, or None."""
        import docker.errors

        with asking():
            try:
                return parse_container(self.client().api.inspect_container(name))
            except docker.errors.NotFound:
                return None

    def logs(self, name: str, *, since: int | None = None) -> bytes:
        """What it wrote on stdout and stderr, each line after its time (RFC 3339, nanoseconds); b"" when it is gone.

        ``since``: in whole seconds of Unix time, inclusive.
        """
        import docker.errors

        with asking():
            try:
                lines = self.client().api.logs(
                    name, stdout=True, stderr=True, timestamps=True, since=since or None
                )
            except docker.errors.NotFound:
                return b""
            return bytes(lines)

    def signal(self, name: str, signal: str) -> None:
        """Send a signal to its first process; nothing happens when it does not run."""
        import docker.errors

        with asking():
            try:
                self.client().api.kill(name, signal)
            except (docker.errors.NotFound, docker.errors.APIError) as error:
                if not _gone(error):
                    raise

    def remove(self, name: str) -> bool:
        """Remove a container that does not run; False when it runs. One that is gone is removed."""
        import docker.errors

        with asking():
            try:
                self.client().api.remove_container(name)
            except docker.errors.NotFound:
                return True
            except docker.errors.APIError as error:
                if error.status_code == 409:
                    return "already in progress" in str(error.explanation)
                raise
        return True

    def stop(self, names: Sequence[str], *, timeout: float) -> Completed:
        """Stop containers side by side, each by its own signal and grace period; ``timeout`` is for all of it."""
        argv = ["docker", "stop", *names]
        return run(
            argv, env=os.environ if self._environ is None else self._environ, timeout=timeout
        )

    # --- images

    def image_id(self, reference: str) -> str | None:
        """The id ("sha256:…") of the image that the name leads to, or None."""
        return text(self._image(reference).get("Id")) or None

    def digest(self, reference: str) -> str | None:
        """By what a registry knows the image ("name@sha256:…"), else its id; None where there is no such image."""
        image = self._image(reference)
        known = image.get("RepoDigests")
        return (
            text(known[0]) if isinstance(known, list) and known else text(image.get("Id")) or None
        )

    def names(self, reference: str) -> tuple[str, ...]:
        """The names ("repository:tag") that lead to the image, sorted."""
        known = self._image(reference).get("RepoTags")
        return tuple(sorted(map(text, known))) if isinstance(known, list) else ()

    def image_environment(self, reference: str) -> Mapping[str, str]:
        """The environment that the image sets for its containers."""
        lines = table(self._image(reference).get("Config")).get("Env")
        pairs = [text(line).partition("=") for line in lines] if isinstance(lines, list) else []
        return {name: value for name, _, value in pairs}

    def _image(self, reference: str) -> Mapping[str, Json]:
        import docker.errors

        with asking():
            try:
                return table(cast("Json", self.client().images.get(reference).attrs))
            except docker.errors.ImageNotFound:
                return {}

    def image_keeps(self, reference: str) -> tuple[str, ...]:
        """The folders that the image declares as volumes: each container gets volumes of its own there."""
        return tuple(sorted(table(table(self._image(reference).get("Config")).get("Volumes"))))

    def image_tells_health(self, reference: str) -> bool:
        """Whether the image has a health check of its own."""
        check = table(table(self._image(reference).get("Config")).get("Healthcheck")).get("Test")
        return isinstance(check, list) and bool(check) and check[0] != "NONE"

    def tag(self, image: str, reference: str) -> None:
        """Let ``reference`` ("repository:tag") lead to ``image`` (a name or id)."""
        parts = Reference.parse(reference)
        with asking():
            self.client().api.tag(image, parts.repository, parts.tag or "latest", force=True)

    def untag(self, reference: str) -> None:
        """Take the name away; its image goes too where it has no other name and nothing runs it."""
        import docker.errors

        with asking(), suppress(docker.errors.ImageNotFound):
            self.client().api.remove_image(reference)

    # --- commands inside a container

    def exec(
        self,
        container: str,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed:
        """Run a program inside a running container, with files streamed in and out.

        Values of ``environment`` never reach an argv: the docker program takes them from its own environment.
        ``timeout`` (seconds) is kept inside the container too, by its own ``timeout`` program, because ending the
        client does not end what it started there. With ``moving`` it counts anew whenever that answers something
        else; the container's own clock, which knows nothing of that, is then set to ``LONGEST``.
        """
        inside = timeout if moving is None else LONGEST
        return run(
            exec_argv(container, argv, environment or {}, stdin_path is not None, inside),
            env={**(os.environ if self._environ is None else self._environ), **(environment or {})},
            stdin_path=stdin_path,
            stdout_path=stdout_path,
            timeout=timeout if timeout is None or moving is not None else timeout + 20,
            redact=redact,
            moving=moving,
        )


def exec_argv(
    container: str,
    argv: Sequence[str],
    environment: Mapping[str, str],
    interactive: bool,
    timeout: float | None,
) -> list[str]:
    """The argv of ``docker exec``; names of variables only, never their values."""
    names = [part for name in sorted(environment) for part in ("-e", name)]
    limit = [] if timeout is None else ["timeout", "-k", "10", str(max(1, round(timeout)))]
    return ["docker", "exec", *(["-i"] if interactive else []), *names, container, *limit, *argv]


def _gone(error: Exception) -> bool:
    said = str(error)
    return "is not running" in said or "No such container" in said
