"""Load the rates from the file beside the migrations."""

import csv
from pathlib import Path

import sqlalchemy as sa
from alembic import op

revision = "e2"
down_revision = "e1"

rates = sa.table("rates", sa.column("code", sa.String), sa.column("percent", sa.Numeric))


def upgrade():
    with open(Path(__file__).parents[1] / "rates.csv", newline="") as file:
        op.bulk_insert(rates, list(csv.DictReader(file)))


def downgrade():
    op.execute(rates.delete())
