"""Make the priority an enum."""

import sqlalchemy as sa
from alembic import op

revision = "u04"
down_revision = "u03"
branch_labels = None
depends_on = None


priority = sa.Enum("low", "normal", "high", name="repair_priority")


def upgrade() -> None:
    priority.create(op.get_bind(), checkfirst=False)
    op.execute("ALTER TABLE repairs ALTER COLUMN priority DROP DEFAULT")
    op.alter_column(
        "repairs",
        "priority",
        existing_type=sa.String(10),
        type_=priority,
        postgresql_using="priority::repair_priority",
    )
    op.execute("ALTER TABLE repairs ALTER COLUMN priority SET DEFAULT 'normal'")


def downgrade() -> None:
    op.execute("ALTER TABLE repairs ALTER COLUMN priority DROP DEFAULT")
    op.alter_column(
        "repairs",
        "priority",
        existing_type=priority,
        type_=sa.String(10),
        postgresql_using="priority::text",
    )
    op.execute("ALTER TABLE repairs ALTER COLUMN priority SET DEFAULT 'normal'")
    op.execute("DROP TYPE repair_priority")
