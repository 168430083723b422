"""Backups that count: taken in one snapshot, sealed, read back, and restored beside the live database."""

from collections.abc import Callable, Mapping
from typing import Final

from deployguard.backups.base import BackupRequest, BackupStore, Inside, Site
from deployguard.backups.catalogue import Listing, find, id_begin, listing, verification
from deployguard.backups.partial import whole_only
from deployguard.backups.sealed import sweep
from deployguard.errors import UsageError

__all__ = [
    "PROVIDERS",
    "BackupRequest",
    "BackupStore",
    "Inside",
    "Listing",
    "Site",
    "find",
    "id_begin",
    "listing",
    "store",
    "sweep",
    "verification",
    "whole_only",
]


def _sqlite(site: Site) -> BackupStore:
    from deployguard.backups.sqlite import SqliteBackups

    return SqliteBackups(site)


def _postgresql(site: Site) -> BackupStore:
    from deployguard.backups.postgres import PostgresBackups

    return PostgresBackups(site)


def _rds(site: Site) -> BackupStore:
    from deployguard.backups.rds import RdsBackups

    return RdsBackups(site)


PROVIDERS: Final[Mapping[str, Callable[[Site], BackupStore]]] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
}


def store(site: Site) -> BackupStore:
    """The store for the database of ``site``. Raises UsageError for a dialect that has none."""
    if site.config.store == "rds":
        return _rds(site)
    try:
        return PROVIDERS[site.url.dialect](site)
    except KeyError:
        raise UsageError(
            f"deployguard cannot back up {site.url.dialect} databases, only {' and '.join(PROVIDERS)}."
        ) from None
