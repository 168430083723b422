"""Create tanks."""

from typing import Sequence, Union

import sqlalchemy as sa
from alembic import op

# revision identifiers, typed as newer templates have them
revision: str = "aq1"
down_revision: Union[str, Sequence[str], None] = None
branch_labels: Union[str, Sequence[str], None] = None
depends_on: Union[str, Sequence[str], None] = None


def upgrade() -> None:
    op.create_table(
        "tanks",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("litres", sa.Integer(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("tanks")
