"""Runs on the connection that manage.py hands over; `alembic upgrade` alone has none."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
