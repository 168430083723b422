"""Migration-safety deploys for SQLAlchemy + Alembic applications."""

__version__ = "0.1.0"
