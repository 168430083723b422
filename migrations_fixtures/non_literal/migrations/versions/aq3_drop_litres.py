'''Drop the litres: nobody measures them.

Revision ID: aq2
Revises: aq1

(The lines above were copied from another file by mistake; Alembic reads the names below.)
'''

import sqlalchemy as sa
from alembic import op

TANKS = "aq"

revision = TANKS + "3"
down_revision = (TANKS + "2",)


def upgrade():
    op.drop_column("tanks", "litres")


def downgrade():
    op.add_column("tanks", sa.Column("litres", sa.Integer))
