"""Let people see their own deeds only."""

import sqlalchemy as sa
from alembic import op

revision = "ac2"
down_revision = "ac1"
branch_labels = None
depends_on = None


def upgrade():
    op.execute("ALTER TABLE deeds ENABLE ROW LEVEL SECURITY")
    op.execute("CREATE POLICY own_deeds ON deeds USING (owner_name = current_user)")
    op.execute("GRANT SELECT ON deeds TO PUBLIC")


def downgrade():
    op.execute("REVOKE SELECT ON deeds FROM PUBLIC")
    op.execute("DROP POLICY own_deeds ON deeds")
    op.execute("ALTER TABLE deeds DISABLE ROW LEVEL SECURITY")
