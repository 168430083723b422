"""Drop the view that nobody has used yet, and one that is used."""

import sqlalchemy as sa
from alembic import op

revision = "vw5"
down_revision = "vw4"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("DROP VIEW large_sales")
    op.execute("DROP VIEW revenue")


def downgrade():
    op.execute(
        "CREATE VIEW revenue AS SELECT sum(cents) AS cents, count(*) AS sales FROM sales"
    )
    op.execute("CREATE VIEW large_sales AS SELECT id FROM sales WHERE cents > 10000")
