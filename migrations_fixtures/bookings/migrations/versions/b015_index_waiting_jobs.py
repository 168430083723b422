"""Index jobs by when they were done, without stopping the worker.

Revises: b014
"""

from alembic import op

revision = "b015"
down_revision = "b014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # PostgreSQL builds an index concurrently only outside a transaction.
    with op.get_context().autocommit_block():
        op.create_index("ix_jobs_done_at", "jobs", ["done_at"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_jobs_done_at", table_name="jobs", postgresql_concurrently=True)
