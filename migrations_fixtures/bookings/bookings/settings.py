"""Settings, read from the environment once at start."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# What people and hosting providers write, and the asynchronous driver that serves it.
DRIVERS = {
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
}

VERSION_FILE = Path(__file__).resolve().parent.parent / "VERSION"


class SettingsError(Exception):
    """A variable is missing or holds something that can't be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str = field(repr=False)
    version: str = "unknown"
    broken: bool = False
    poll_seconds: float = 1.0

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        return cls(
            database_url=async_url(environ.get("DATABASE_URL", "")),
            version=environ.get("BOOKINGS_VERSION") or VERSION_FILE.read_text().strip(),
            broken=environ.get("BOOKINGS_BROKEN", "") not in ("", "0"),
            poll_seconds=float(environ.get("BOOKINGS_POLL_SECONDS", "1")),
        )


def async_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError(
            "DATABASE_URL is not set; try DATABASE_URL=sqlite+aiosqlite:///bookings.db"
        )
    try:
        return f"{DRIVERS[scheme]}://{rest}"
    except KeyError:
        known = ", ".join(f"{name}://" for name in DRIVERS)
        raise SettingsError(
            f"DATABASE_URL begins with {scheme}://, but only {known} work"
        ) from None
