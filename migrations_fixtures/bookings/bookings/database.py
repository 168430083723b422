"""The engine, as the application and the worker share it."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bookings.settings import Settings


def make_engine(settings: Settings) -> AsyncEngine:
    # Connections are checked before use: the database may have been restarted, or swapped for a
    # restored one, since they were last used. Both drivers take `timeout` in seconds.
    return create_async_engine(
        settings.database_url, pool_pre_ping=True, connect_args={"timeout": 5}
    )
