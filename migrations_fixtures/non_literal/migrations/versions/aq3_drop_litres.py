'''Drop the litres: nobody measures them.

Revision ID: aq2
Revises: aq1

(The lines above were copied from another file by mistake; Alembic reads the names below.)
'''

import sqlalchemy as sa
from alembic import op

if True:
    revision = "aq" + "3"
    down_revision = f"{'aq'}2"


def upgrade():
    op.drop_column("tanks", "litres")


def downgrade():
    op.add_column("tanks", sa.Column("litres", sa.Integer))
