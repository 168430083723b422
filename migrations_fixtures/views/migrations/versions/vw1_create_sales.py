"""Create sales, and a view and a function over them."""

import sqlalchemy as sa
from alembic import op

revision = "vw1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "sales",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("cents", sa.Integer, nullable=False),
    )
    op.execute("CREATE VIEW revenue AS SELECT sum(cents) AS cents FROM sales")
    op.execute(
        "CREATE MATERIALIZED VIEW best AS SELECT id, cents FROM sales ORDER BY cents DESC LIMIT 10"
    )
    op.execute(
        "CREATE FUNCTION euros(cents integer) RETURNS numeric LANGUAGE sql AS 'SELECT cents / 100.0'"
    )


def downgrade():
    op.execute("DROP FUNCTION euros(integer)")
    op.execute("DROP MATERIALIZED VIEW best")
    op.execute("DROP VIEW revenue")
    op.drop_table("sales")
