"""The scratch server of a drill in a container, where this machine has no server's programs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployguard.backups.base import Inside, Site
from deployguard.config import DatabaseUrl
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Completed, Redactor

if TYPE_CHECKING:
    from deployguard.containers import Engine

IMAGE: Final = "postgres:{major}"  # where the database runs in no container


@contextmanager
def server(site: Site, major: int) -> Iterator[tuple[DatabaseUrl, Inside]]:
    """(the URL of a new server's database "postgres", how programs run beside it).

    It is of the image that the database itself runs of, else of PostgreSQL's own of that version, if that is here:
    nothing is pulled. Raises EnvironmentUnreachable that names the version.
    """
    from deployguard.containers import Engine, scratch

    with Engine() as engine:
        image = _image(engine, site, major)
        site.say(f"starting a scratch server from the image {image}")
        with scratch.postgres(engine, image) as (container, password):
            host, port = container.published[f"{scratch.PORT}/tcp"]
            url = DatabaseUrl(
                "postgresql",
                username=scratch.USER,
                password=password,
                host=host,
                port=port,
                database="postgres",
            )
            yield url, _inside(engine, container.name)


def _image(engine: "Engine", site: Site, major: int) -> str:
    from deployguard.containers import find_container

    try:
        engine.ping()
    except EnvironmentUnreachable as error:
        raise _nowhere(major, f" ({error.message.rstrip('.')})") from None
    try:
        found = find_container(engine, site.url.host)
    except (EnvironmentUnreachable, UsageError):  # several may be meant
        found = None
    own, usual = found.reference if found else "", IMAGE.format(major=major)
    for image in (own, usual):
        if image and engine.image_id(image):
            return image
    raise _nowhere(major, f", and no image {usual}")


def _nowhere(major: int, why: str) -> EnvironmentUnreachable:
    return EnvironmentUnreachable(
        f"A drill needs a PostgreSQL server of version {major} or newer to restore into, and there is none on this"
        f" machine{why}. Install one (it need not run), or name a scratch server in [drill] database_url_env.",
        next_commands=(f"apt-get install postgresql-{major}",),
    )


def _inside(engine: "Engine", name: str) -> Inside:
    def inside(
        argv: tuple[str, ...],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed:
        return engine.exec(
            name,
            argv,
            environment=environment,
            stdin_path=stdin_path,
            stdout_path=stdout_path,
            timeout=timeout,
            redact=redact,
            moving=moving,
        )

    return inside
