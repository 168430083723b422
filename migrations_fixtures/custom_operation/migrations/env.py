"""Migrates the tram company's database, one migrator at a time, with operations that the company added to Alembic."""

import os

import sqlalchemy as sa
from alembic import context

import migrations.operations

url = os.environ["DATABASE_URL"]


def alone(connection: sa.Connection) -> None:
    """Wait for another migrator to be done; the lock ends with the transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7204)"))


if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            alone(connection)
            context.run_migrations()
