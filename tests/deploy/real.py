"""A small real project for the saga: Alembic on a SQLite file, an application that a script updates, health over HTTP."""

import os
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ENV = """
import logging, os
from alembic import context
from sqlalchemy import create_engine, pool

logging.basicConfig(level="INFO")
engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''"""{message}"""

import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {parent!r}


def upgrade() -> None:
{up}


def downgrade() -> None:
{down}
'''
FIRST = (
    """op.create_table("rooms", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text), sa.Column("size", sa.Text))""",
    """op.drop_table("rooms")""",
)
ROOMS = "INSERT INTO rooms (name, size) VALUES ('a', 's'), ('b', 'm'), ('c', 'l')"
EXPAND = (
    """op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text))""",
    """op.drop_table("notes")""",
)
DESTROY = ("""op.drop_table("rooms")""", """raise NotImplementedError("the rooms are gone")""")
CONFIGURATION = """
[project]
name = "small"

[migrate]
retries = 0

[target]
kind = "commands"
update = [["{python}", "app.py", "start", "new"]]
rollback = [["{python}", "app.py", "start", "{{version}}"]]
version = ["{python}", "app.py", "version"]

[health]
urls = ["http://127.0.0.1:{port}/health"]
successes = 1
interval = 0.05
deadline = 2

[environments.development]
database_url_env = "DATABASE_URL"
"""
# The application: a file that says which version runs.
APP = """
import pathlib, sys
running = pathlib.Path("running")
if sys.argv[1] == "start":
    running.write_text(sys.argv[2])
print(running.read_text())
"""


@dataclass
class Small:
    """The project in ``folder``, its database and its application."""

    folder: Path
    url: str
    sick: set[str] = field(default_factory=set)  # versions that are not healthy
    parent: str | None = None

    @property
    def file(self) -> Path:
        return self.folder / "app.db"

    def revision(self, name: str, up: str, down: str) -> None:
        text = REVISION.format(
            name=name,
            message=f"revision {name}",
            parent=self.parent,
            up=textwrap.indent(up, "    "),
            down=textwrap.indent(down, "    "),
        )
        (self.folder / "migrations" / "versions" / f"{name}.py").write_text(text)
        self.parent = name

    def environ(self) -> dict[str, str]:
        return {**os.environ, "DATABASE_URL": self.url}

    def alembic(self, *argv: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "alembic", *argv],
            cwd=self.folder,
            env=self.environ(),
            check=True,
            capture_output=True,
        )

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.file)) as link, link:
            return link.execute(statement).fetchall()

    def current(self) -> str:
        return str(self.sql("SELECT version_num FROM alembic_version")[0][0])

    def running(self) -> str:
        return (self.folder / "running").read_text()


@contextmanager
def small(folder: Path, url: str = "") -> Iterator[Small]:
    """Make the project with one applied revision and three rooms, the application running as "old"."""
    project = Small(folder, url or f"sqlite:///{folder / 'app.db'}")

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            ok = project.running() not in project.sick
            self.send_response(200 if ok else 503)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    (folder / "migrations" / "versions").mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text(ENV)
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    (folder / "app.py").write_text(APP)
    (folder / "running").write_text("old")
    (folder / "deployguard.toml").write_text(
        CONFIGURATION.format(python=sys.executable, port=server.server_port)
    )
    project.revision("r1", *FIRST)
    project.alembic("upgrade", "head")
    if not url:
        project.sql(ROOMS)
    try:
        yield project
    finally:
        server.shutdown()
        server.server_close()
