"""Migrates the database of the ice rink through the driver that the service itself uses."""

import asyncio
import os

from alembic import context
from sqlalchemy import pool
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

DRIVERS = {"postgresql": "asyncpg", "sqlite": "aiosqlite"}


def async_url() -> str:
    scheme, _, rest = os.environ["DATABASE_URL"].partition("://")
    dialect = scheme.partition("+")[0]
    return f"{dialect}+{DRIVERS[dialect]}://{rest}"


def run(connection: Connection) -> None:
    context.configure(connection=connection, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_online() -> None:
    engine = create_async_engine(async_url(), poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
    await engine.dispose()


if context.is_offline_mode():
    context.configure(url=async_url(), literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    asyncio.run(run_online())
