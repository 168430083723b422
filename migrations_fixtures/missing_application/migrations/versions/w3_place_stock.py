"""Give every item a place, by the rules of the application."""

from alembic import op

from warehouse_planner.placement import place_everything

revision = "w3"
down_revision = "w2"
branch_labels = None
depends_on = None


def upgrade():
    place_everything(op.get_bind())


def downgrade():
    pass
