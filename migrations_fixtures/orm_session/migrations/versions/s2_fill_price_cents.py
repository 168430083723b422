"""Fill in the price in cents, through the ORM."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.orm import Session, declarative_base

revision = "s2"
down_revision = "s1"

Base = declarative_base()


class Product(Base):
    """The product as it was when this revision was written."""

    __tablename__ = "products"

    id = sa.Column(sa.Integer, primary_key=True)
    price = sa.Column(sa.Numeric(10, 2), nullable=False)
    price_cents = sa.Column(sa.Integer)


def upgrade():
    session = Session(bind=op.get_bind())
    for product in session.query(Product).filter(Product.price_cents.is_(None)):
        product.price_cents = int(product.price * 100)
    session.commit()


def downgrade():
    session = Session(bind=op.get_bind())
    session.query(Product).update({Product.price_cents: None})
    session.commit()
