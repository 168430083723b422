"""Drop the weight: größer is not heavier."""

from alembic import op

revision = f"wf2"
down_revision = "wf" + "1"


def upgrade():
    op.drop_column("papers", "weight")
