"""Migrates the toy maker's database; the settings of the application insist on all their variables."""

import os

from alembic import context
from sqlalchemy import create_engine


class Settings:
    def __init__(self) -> None:
        self.database_url = os.environ["DATABASE_URL"]
        self.payment_key = os.environ["PAYMENT_KEY"]


settings = Settings()

with create_engine(settings.database_url).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
