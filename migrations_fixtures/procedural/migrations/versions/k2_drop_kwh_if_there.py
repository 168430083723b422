"""Drop a column in a DO block."""

import sqlalchemy as sa
from alembic import op

revision = "k2"
down_revision = "k1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        """
        DO $$
        BEGIN
            IF EXISTS (
                SELECT FROM information_schema.columns
                WHERE table_name = 'readings' AND column_name = 'kwh_old'
            ) THEN
                ALTER TABLE readings DROP COLUMN kwh_old;
            END IF;
        END
        $$
        """
    )


def downgrade():
    pass
