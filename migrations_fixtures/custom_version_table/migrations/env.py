"""Migrates the schedule of the planetarium; its history has a table of its own, beside another service's."""

import os

from alembic import context
from sqlalchemy import create_engine, pool, text

url = os.environ["DATABASE_URL"]
VERSION_TABLE = "planetarium_migrations"

if context.is_offline_mode():
    context.configure(url=url, version_table=VERSION_TABLE, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET lock_timeout = '4s'"))
            connection.commit()
        context.configure(connection=connection, version_table=VERSION_TABLE)
        with context.begin_transaction():
            context.run_migrations()
