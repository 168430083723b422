"""Which kinds of places there are for off-site copies, and the one that an environment is configured for."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deployguard.backups import catalogue
from deployguard.backups.base import Say
from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_base import ObjectStore
from deployguard.config import Config, Environment, OffsiteConfig, Place, parse_place
from deployguard.errors import UsageError


def _s3(config: OffsiteConfig, place: Place) -> ObjectStore:
    from deployguard.backups.offsite_s3 import S3Store, connect

    return S3Store(config, place.host, place.path, connect(config))


def _gcs(config: OffsiteConfig, place: Place) -> ObjectStore:
    from deployguard.backups.offsite_gcs import GcsStore

    return GcsStore(config, place)


def _sftp(config: OffsiteConfig, place: Place) -> ObjectStore:
    from deployguard.backups.offsite_sftp import SftpStore

    return SftpStore(config, place)


def _folder(config: OffsiteConfig, place: Place) -> ObjectStore:  # noqa: ARG001 - one shape for all
    from deployguard.backups.offsite_folder import FolderStore

    return FolderStore(Path(place.path))


STORES: Final[Mapping[str, Callable[[OffsiteConfig, Place], ObjectStore]]] = {
    "s3": _s3,
    "gs": _gcs,
    "sftp": _sftp,
    "file": _folder,
}


def silent(line: str) -> None:
    """Says nothing."""


def connect(config: Config, environment: Environment, say: Say = silent) -> Offsite | None:
    """The environment's off-site place; None where none is configured. Nothing is dialled.

    Raises OffsiteFailed when what it needs is not installed.
    """
    asked = environment.offsite
    if not asked.url:
        return None
    place = parse_place(asked.url, "[offsite]")
    return Offsite(
        STORES[place.scheme](asked, place),
        (config.directory / environment.backup.directory).resolve(),
        catalogue.id_begin(config.project.name, environment.name),
        asked.read_back,
        asked.jobs,
        say,
    )


def needed(config: Config, environment: Environment, say: Say = silent) -> Offsite:
    """The environment's off-site place. Raises UsageError where none is configured."""
    found = connect(config, environment, say)
    if found is None:
        raise UsageError(
            f"No off-site place is configured for {environment.name!r}: [offsite] has no url.",
            next_commands=(f"$EDITOR {config.path}",),
        )
    return found
