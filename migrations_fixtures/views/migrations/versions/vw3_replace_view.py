"""Let revenue count sales, too."""

import sqlalchemy as sa
from alembic import op

revision = "vw3"
down_revision = "vw2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "CREATE OR REPLACE VIEW revenue AS SELECT sum(cents) AS cents, count(*) AS sales FROM sales"
    )


def downgrade():
    op.execute("DROP VIEW revenue")
    op.execute("CREATE VIEW revenue AS SELECT sum(cents) AS cents FROM sales")
