"""Migrates the franchise's database: every shop has a schema with its own tables and its own version table."""

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

SHOPS = ("north", "south")

with create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool).connect() as connection:
    for shop in SHOPS:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {shop}"))
        connection.execute(text(f"SET search_path TO {shop}"))
        connection.commit()
        context.configure(connection=connection, version_table_schema=shop)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
