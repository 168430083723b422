"""Migrates the database of the toolshed: one transaction for each revision."""

import os

from alembic import context
from sqlalchemy import create_engine, pool


def database_url() -> str:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set")
    return url


def migrate(**target: object) -> None:
    context.configure(transaction_per_migration=True, **target)
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    migrate(url=database_url(), literal_binds=True)
else:
    with create_engine(database_url(), poolclass=pool.NullPool).connect() as connection:
        migrate(connection=connection, render_as_batch=connection.dialect.name == "sqlite")
