"""Note when a reading changed."""

import sqlalchemy as sa
from alembic import op

revision = "k3"
down_revision = "k2"
branch_labels = None
depends_on = None


def upgrade():
    op.execute(
        "CREATE FUNCTION note_change() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN NEW.changed_at := now(); RETURN NEW; END $$"
    )
    op.execute(
        "CREATE TRIGGER note_change BEFORE UPDATE ON readings"
        " FOR EACH ROW EXECUTE FUNCTION note_change()"
    )


def downgrade():
    op.execute("DROP TRIGGER note_change ON readings")
    op.execute("DROP FUNCTION note_change()")
