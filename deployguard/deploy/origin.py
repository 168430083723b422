"""What a backup is of: the commit and tag that are checked out, and the images that the application runs."""

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deployguard.errors import DeployguardError, EnvironmentUnreachable
from deployguard.process import run

PATIENCE: Final = 20.0  # seconds; a backup waits no longer to hear what it is of


def git(directory: Path, environ: Mapping[str, str], *command: str) -> str | None:
    """What git says of the project; None where that is no repository, or it has nothing to say."""
    try:
        done = run(["git", "-C", str(directory), *command], env=environ, timeout=PATIENCE)
    except EnvironmentUnreachable:
        return None
    return done.stdout.strip() or None if done.ok else None


def commit(directory: Path, environ: Mapping[str, str]) -> str | None:
    """The commit that is checked out where the project lies."""
    return git(directory, environ, "rev-parse", "HEAD")


def tag(directory: Path, environ: Mapping[str, str]) -> str | None:
    """The tag of exactly that commit."""
    return git(directory, environ, "describe", "--tags", "--exact-match", "HEAD")


def images(
    services: Sequence[str], project: Callable[[], str], patience: float = PATIENCE
) -> dict[str, str]:
    """Service → digest of the image that it runs, several with commas between; {} where nobody says so in time.

    ``project`` says which compose project it is. A digest is a registry's ("name@sha256:…") where there is one, else
    the image's own id.
    """
    found: dict[str, str] = {}

    def look() -> None:
        from deployguard.containers import Engine

        try:
            with Engine() as engine:  # one of its own: this thread may be left behind
                name, seen = project(), dict[str, str]()
                for service in services:
                    running = {one.image for one in engine.service_containers(name, service)}
                    if running:
                        digests = sorted(engine.digest(image) or image for image in running)
                        seen[service] = ",".join(digests)
            found.update(seen)
        except (DeployguardError, OSError):
            return  # no engine, no such project: then that is not known

    asking = threading.Thread(target=look, name="images", daemon=True)
    asking.start()
    asking.join(patience)
    return {} if asking.is_alive() else found
