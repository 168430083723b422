"""Columns that every table of the orchard has; revisions use it."""

import sqlalchemy as sa
from alembic import op


def add_history(table: str) -> None:
    op.add_column(table, sa.Column("created_at", sa.DateTime, server_default=sa.func.now()))
    op.create_index(f"ix_{table}_created_at", table, ["created_at"])


def drop_history(table: str) -> None:
    op.drop_index(f"ix_{table}_created_at", table)
    op.drop_column(table, "created_at")
