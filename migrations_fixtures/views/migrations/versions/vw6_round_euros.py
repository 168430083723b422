"""Let the function round."""

import sqlalchemy as sa
from alembic import op

revision = "vw6"
down_revision = "vw5"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "CREATE OR REPLACE FUNCTION euros(cents integer) RETURNS numeric LANGUAGE sql"
        " AS 'SELECT round(cents / 100.0, 2)'"
    )


def downgrade():
    op.execute(
        "CREATE OR REPLACE FUNCTION euros(cents integer) RETURNS numeric LANGUAGE sql"
        " AS 'SELECT cents / 100.0'"
    )
