"""Add the day an invoice was paid."""

import sqlalchemy as sa
from alembic import op

revision = "bi02"
down_revision = "bi01"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column("invoices", sa.Column("paid_on", sa.Date))


def downgrade():
    op.drop_column("invoices", "paid_on")
