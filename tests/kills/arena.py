"""A production to kill deploys in: a small project with several revisions, its database, clients who write, a judge."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg

from tests.support import oracle
from tests.support.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
WRITER = "a client"
MARK = "DEPLOYGUARD_KILLS"
ENV = """
import logging, os
from alembic import context
from sqlalchemy import create_engine, make_url, pool

logging.basicConfig(level="INFO")
url = os.environ["DATABASE_URL"]
if by := os.environ.get("MIGRATE_BY"):  # a proxy before the same server
    url = make_url(url).set(port=int(by))
engine = create_engine(url, poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = '''"""revision {name}"""

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
    sa.Column("name", sa.Text), sa.Column("size", sa.Text))
op.create_table("visits", sa.Column("id", sa.Integer, primary_key=True), sa.Column("label", sa.Text))""",
    'op.drop_table("visits")\nop.drop_table("rooms")',
)
GROW = (
    """op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.Text))
op.add_column("rooms", sa.Column("colour", sa.Text))""",
    'op.drop_column("rooms", "colour")\nop.drop_table("notes")',
)
# Not in a transaction: what it leaves half done stays.
INDEX = (
    """with op.get_context().autocommit_block():
    op.create_index("ix_rooms_name", "rooms", ["name"], postgresql_concurrently=True)""",
    """with op.get_context().autocommit_block():
    op.drop_index("ix_rooms_name", postgresql_concurrently=True)""",
)
FILL = ("""op.execute("UPDATE rooms SET colour = 'white'")""", "pass")
SHRINK = (
    'op.drop_column("rooms", "size")',
    'op.add_column("rooms", sa.Column("size", sa.Text))',
)
BROKEN = (
    """op.add_column("rooms", sa.Column("floor", sa.Integer))
op.execute("INSERT INTO rooms (id) VALUES (1)")""",
    'op.drop_column("rooms", "floor")',
)
# What is pending, by plot. Each has more than one revision, one of which is not in a transaction.
PLOTS = {
    "grow": (GROW, INDEX),
    "shrink": (GROW, INDEX, FILL, SHRINK),
    "broken": (GROW, FILL, BROKEN),
}
CONFIGURATION = """
[project]
name = "kills"

[migrate]
retries = 1
lock_timeout = 2

[backup]
pg_bin = "{bin}"
jobs = 1

[offsite]
url = "file://{folder}/nas"
required = true

[quiesce]
maintenance_file = "maintenance"
drain = 0

[target]
kind = "commands"
update = [["sh", "app.sh", "run", "new"]]
rollback = [["sh", "app.sh", "run", "{{version}}"]]
stop = [["sh", "app.sh", "stop"]]
start = [["sh", "app.sh", "start"]]
version = ["sh", "app.sh", "version"]

[health]
urls = ["http://127.0.0.1:{port}/health"]
verify_sql = ["SELECT count(*) > 0 FROM rooms"]
successes = 1
interval = 0.05
deadline = 1.5
bake = 0.1

[environments.production]
database_url_env = "DATABASE_URL"
"""
# The application: one file says which version is installed, another that it is up. Each appears in one rename.
APP = """
put() { printf %s "$2" > "$1.$$" && mv "$1.$$" "$1"; }
case $1 in
run) put version "$2" && put up yes ;;
stop) rm -f up ;;
start) put up yes ;;
version) cat version; echo ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Blow:
    """A signal for the process that runs a command: at a boundary of the journal, or after some seconds.

    ``victims``: "it" alone, its "group" of processes (a cancelled job), or "all" that it has started (the machine).
    """

    number: int = signal.SIGKILL
    at: tuple[str, str, int] | None = None
    after: float | None = None
    victims: str = "it"

    def __str__(self) -> str:
        when = "/".join(map(str, self.at)) if self.at else f"after {self.after:.3f} s"
        return f"{signal.Signals(self.number).name} to {self.victims} {when}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: ``code`` is None when a signal ended it. ``struck``: the blow found it alive."""

    argv: tuple[str, ...]
    code: int | None
    struck: bool
    said: str
    seconds: float


@dataclass
class Arena:
    """``folder`` is the checkout. ``server`` None: the database is a SQLite file."""

    folder: Path
    server: Server | None = None
    name: str = field(default_factory=lambda: f"kills_{secrets.token_hex(3)}")
    sick: set[str] = field(default_factory=set)
    golden: dict[str, oracle.Data] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    answers: float = 1.0  # share of requests that a healthy application answers well
    _zygote: subprocess.Popen[str] | None = None

    # --- making it -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        if self.server is None:
            return f"sqlite:///{self.folder / 'app.db'}"
        return self.server.url(self.name, driver="psycopg")

    @property
    def database(self) -> oracle.Postgres | oracle.SQLite:
        if self.server is None:
            return oracle.SQLite(self.folder / "app.db", "visits")
        return oracle.Postgres(self.server.url(self.name), "visits", WRITER)

    @property
    def host(self) -> oracle.Host:
        spare = (self._zygote.pid,) if self._zygote else ()
        return oracle.Host(
            self.folder / ".deployguard",
            f"{MARK}={self.name}",
            self.folder / "maintenance",
            self.folder / "nas",
            spare,
        )

    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "GITLAB_"))}
        return kept | {"DATABASE_URL": self.url, MARK: self.name, "COLUMNS": "110"}

    def prepare(self, plot: str, port: int) -> None:
        """Learn what production holds before and after this plot, on databases that nobody deploys to."""
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "migrations" / "versions").mkdir(parents=True)
        (self.folder / "nas").mkdir()
        (self.folder / "migrations" / "env.py").write_text(ENV)
        (self.folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\n"
        )
        (self.folder / "app.sh").write_text(APP)
        folder = self.server.bin if self.server else ""
        text = CONFIGURATION.format(bin=folder, folder=self.folder, port=port)
        (self.folder / "deployguard.toml").write_text(text)
        self._drop()
        if self.server:
            self.server.create_database(self.name)
        parent = None
        for number, (up, down) in enumerate((FIRST, *PLOTS[plot]), 1):
            text = REVISION.format(
                name=f"r{number}",
                parent=parent,
                up=textwrap.indent(up, "    "),
                down=textwrap.indent(down, "    "),
            )
            (self.folder / "migrations" / "versions" / f"r{number}.py").write_text(text)
            parent = f"r{number}"
        self._alembic("upgrade", "r1")
        self._seed()
        self._save("before")
        self.golden = {"before": self._live()}
        if plot != "broken":
            self._alembic("upgrade", "head")
            self.golden["after"] = self._live()

    def reset(self) -> None:
        """As it was before; no deploy was ever made, the application runs as "old"."""
        self.end_all()
        shutil.rmtree(self.folder / ".deployguard", ignore_errors=True)
        shutil.rmtree(self.folder / "nas")
        (self.folder / "nas").mkdir()
        (self.folder / "maintenance").unlink(missing_ok=True)
        (self.folder / "version").write_text("old")
        (self.folder / "up").write_text("yes")
        self.sick.clear()
        self.acknowledged.clear()
        self.log.clear()
        self._load("before")

    def _alembic(self, *argv: str) -> None:
        argv = (sys.executable, "-m", "alembic", *argv)
        done = subprocess.run(
            argv, cwd=self.folder, env=self.environ(), check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def _seed(self) -> None:
        rows = ", ".join(f"('room {n}', 'size {n % 3}')" for n in range(200))
        self._execute(f"INSERT INTO rooms (name, size) VALUES {rows}")
        self._execute("INSERT INTO visits (label) VALUES ('the first')")

    def _execute(self, statement: str) -> None:
        if self.server:
            self.server.sql(statement, self.name)
        else:
            with closing(sqlite3.connect(self.folder / "app.db")) as link, link:
                link.execute(statement)

    def _save(self, what: str) -> None:
        if self.server:
            self.server.sql(f'CREATE DATABASE "golden_{self.name}" TEMPLATE "{self.name}"')
        else:
            shutil.copy(self.folder / "app.db", self.folder / f"{what}.golden")

    def _load(self, what: str) -> None:
        if self.server:
            self._drop(golden=False)
            self.server.sql(f'CREATE DATABASE "{self.name}" TEMPLATE "golden_{self.name}"')
        else:
            for old in self.folder.glob("*app.db*"):
                old.unlink()
            shutil.copy(self.folder / f"{what}.golden", self.folder / "app.db")

    def _drop(self, *, golden: bool = True) -> None:
        if self.server:
            for name in self.server.sql("SELECT datname FROM pg_database").splitlines():
                if name.startswith(self.name) or (golden and name == f"golden_{self.name}"):
                    self.server.drop_database(name)

    def close(self) -> None:
        self.end_all()
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.wait()
            for pipe in (self._zygote.stdin, self._zygote.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
        self._drop()

    # --- commands ------------------------------------------------------------------------------

    def run(
        self,
        *argv: str,
        blow: Blow | None = None,
        timeout: float = 180,
        environ: dict[str, str] | None = None,
    ) -> Ended:
        """Run one command line of deployguard, and strike it."""
        zygote = self._served()
        out, err = self.folder / "stdout", self.folder / "stderr"
        for one in (out, err):
            one.write_text("")  # one that is killed at once says nothing
        at = [*blow.at, blow.number] if blow and blow.at else None
        order = {
            "argv": argv,
            "cwd": str(self.folder),
            "env": self.environ() | (environ or {}),
            "out": str(out),
            "err": str(err),
            "at": at,
        }
        began = time.monotonic()
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        print(json.dumps(order), file=zygote.stdin, flush=True)
        pid = int(zygote.stdout.readline())
        waiting = threading.Timer(timeout, self._strike, (pid, signal.SIGKILL, "all"))
        waiting.start()
        striking = None
        if blow and blow.after is not None:
            striking = threading.Timer(blow.after, self._strike, (pid, blow.number, blow.victims))
            striking.start()
        status = int(zygote.stdout.readline())
        seconds = time.monotonic() - began
        overdue = waiting.finished.is_set()
        waiting.cancel()
        struck = False
        if striking is not None:
            struck = striking.finished.is_set()
            striking.cancel()
            striking.join()
        code = None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        if blow and blow.at:
            struck = code in (None, 130, 21)  # SIGTERM ends it in an orderly way
        said = out.read_text() + err.read_text()
        shown = f"exit {code}" if code is not None else f"signal {os.WTERMSIG(status)}"
        self.log.append(
            f"$ deployguard {' '.join(argv)}   [{blow or 'untouched'}] → {shown}, {seconds:.2f} s\n"
            f"{textwrap.indent(said.rstrip(), '    ')}"
        )
        assert not overdue, f"it hung: {argv}"
        return Ended(argv, code, struck, said, seconds)

    def _served(self) -> subprocess.Popen[str]:
        if self._zygote is None or self._zygote.poll() is not None:
            self._zygote = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("boundary.py"))],
                env=self.environ(),
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        return self._zygote

    def _strike(self, pid: int, number: int, victims: str) -> None:
        with suppress(ProcessLookupError, PermissionError):
            if victims == "it":
                os.kill(pid, number)
            elif victims == "group":
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
                self._end(number)

    def _end(self, number: int) -> None:
        for one in self.host.numbers():
            with suppress(ProcessLookupError):
                os.kill(one, number)

    def end_all(self) -> None:
        deadline = time.monotonic() + 20
        while self.host.processes() and time.monotonic() < deadline:
            self._end(signal.SIGKILL)
            time.sleep(0.05)

    def wait_for_programs(self, seconds: float = 60) -> None:
        """What a killed command has left running comes to its end."""
        deadline = time.monotonic() + seconds
        while self.host.processes() and time.monotonic() < deadline:
            time.sleep(0.05)

    # --- what there is -------------------------------------------------------------------------

    def _live(self) -> oracle.Data:
        found = self.database.look().live
        assert found is not None
        return found

    def application(self) -> str:
        up = (self.folder / "up").exists()
        return (self.folder / "version").read_text() if up else "nothing"

    def rows(self) -> list[tuple[str, str, str]]:
        """The runs of the journal, newest first: (id, kind, status)."""
        path = self.folder / ".deployguard" / "journal.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
            if not link.execute("SELECT 1 FROM sqlite_master WHERE name = 'deploys'").fetchall():
                return []
            query = "SELECT id, kind, status FROM deploys ORDER BY started DESC, rowid DESC"
            return link.execute(query).fetchall()

    def options(self, run: str) -> dict[str, object]:
        """What a run was asked for."""
        path = self.folder / ".deployguard" / "journal.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
            found = link.execute("SELECT options FROM deploys WHERE id = ?", [run]).fetchone()
        return dict(json.loads(found[0]))

    def steps(self, run: str) -> list[str]:
        """The steps that a run has begun, each once, the latest last."""
        path = self.folder / ".deployguard" / "journal.db"
        query = "SELECT step FROM events WHERE deploy = ? AND kind = 'intent' ORDER BY seq"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as link:
            return list(dict.fromkeys(one[0] for one in link.execute(query, [run])))

    def unfinished(self) -> list[tuple[str, str, str]]:
        return [one for one in self.rows() if one[2] in ("running", "interrupted", "needs-human")]

    def judge(self, *legal: str, restored: bool = False) -> tuple[str, list[str]]:
        """The end that this is, and what is wrong with it. ``legal``: "before old", "after new" and so on."""
        self.wait_for_programs()
        ends = {}
        for one in legal:
            data, runs = one.split()
            if data in self.golden:
                ends[one] = (self.golden[data], runs)
        said = oracle.Ends(ends, frozenset(self.acknowledged))
        return said.judge(
            self._settled_look(), self.application(), litter=self.host.litter(), restored=restored
        )

    def _settled_look(self) -> oracle.Seen:
        """A server needs a moment to notice that a client is gone."""
        for _ in range(40):
            seen = self.database.look()
            if not any(one.startswith(("a session", "an advisory")) for one in seen.litter):
                break
            time.sleep(0.1)
        return seen

    @contextlib.contextmanager
    def clients(self) -> Iterator[None]:
        """Somebody writes all the while, reconnects after an error, and remembers what was acknowledged."""
        ended = threading.Event()

        def write() -> None:
            number = 0
            while not ended.is_set():
                try:
                    with self._client() as link:
                        while not ended.is_set():
                            number += 1
                            label = f"{self.name} {number}"
                            link.execute(f"INSERT INTO visits (label) VALUES ('{label}')")
                            link.commit()
                            self.acknowledged.add(label)
                            ended.wait(0.03)
                except (psycopg.Error, sqlite3.Error):
                    ended.wait(0.03)

        thread = threading.Thread(target=write)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @contextlib.contextmanager
    def _client(self) -> Iterator[psycopg.Connection[tuple[object, ...]] | sqlite3.Connection]:
        if self.server is None:
            if not (self.folder / "app.db").exists():
                raise sqlite3.OperationalError
            with closing(sqlite3.connect(self.folder / "app.db", timeout=1)) as file:
                yield file
        else:
            url = self.server.url(self.name)
            with closing(psycopg.connect(url, application_name=WRITER, connect_timeout=5)) as link:
                yield link


@contextlib.contextmanager
def arena(folder: Path, plot: str, server: Server | None = None) -> Iterator[Arena]:
    """A production of this plot, prepared and as it was before."""
    made = Arena(folder / "production", server)

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(503 if made.application() in {"nothing", *made.sick} else 200)
            self.end_headers()

        def log_message(self, *given: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    threading.Thread(target=web.serve_forever, args=(0.05,), daemon=True).start()
    try:
        made.prepare(plot, web.server_port)
        made.reset()
        yield made
    finally:
        web.shutdown()
        web.server_close()
        made.close()
