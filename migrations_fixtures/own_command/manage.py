"""The radio station's own command: `python manage.py migrate` is the only way its database is migrated."""

import os
import sys

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine


def migrate() -> None:
    config = Config(os.path.join(os.path.dirname(os.path.abspath(__file__)), "alembic.ini"))
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


if __name__ == "__main__":
    if sys.argv[1:] != ["migrate"]:
        sys.exit("usage: manage.py migrate")
    migrate()
