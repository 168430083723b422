"""The story of scripts/quickstart: a deploy that goes through, one that must be approved, one that comes back.

Everything in it is real: the bookings application of migrations_fixtures served by uvicorn, its Alembic history, a
SQLite database with rows. Releases are staged by copying the application with its history up to a revision.
"""

import json
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
from pathlib import Path

FIXTURE = Path(__file__).resolve().parent.parent / "migrations_fixtures" / "bookings"
COLOUR = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

CONFIG = """\
[project]
name = "bookings"

[migrate]
command = ["alembic", "upgrade", "head"]

[target]                         # any commands will do: systemctl, a script, …
kind = "commands"
update = [[{python}, {ship}, "update"]]
rollback = [[{python}, {ship}, "back"]]
stop = [[{python}, {ship}, "stop"]]
start = [[{python}, {ship}, "start"]]
version = [{python}, {ship}, "version"]

[health]
urls = ["http://127.0.0.1:{port}/health"]
deadline = 4
interval = 0.3

[environments.production]
database_url_env = "DATABASE_URL"
"""

# Brings a release into service: the checkout is copied to `live`, the former one kept, the server restarted.
SHIP = """\
import os, pathlib, shutil, signal, subprocess, sys, time, urllib.error, urllib.request

here = pathlib.Path(__file__).parent
live, previous, pidfile = here / "live", here / "live.previous", here / "server.pid"

def stop():
    if pidfile.exists():
        pid = int(pidfile.read_text())
        try:
            os.kill(pid, signal.SIGTERM)
            for _ in range(100):
                os.kill(pid, 0)
                time.sleep(0.05)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        pidfile.unlink()

def start():
    environ = dict(os.environ, BOOKINGS_BROKEN="1" if (live / "BROKEN").exists() else "")
    port = (here / "port").read_text()
    with open(here / "server.log", "ab") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "bookings.app:app", "--port", port],
            cwd=live, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )
    pidfile.write_text(str(server.pid))
    for _ in range(200):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)

what = sys.argv[1]
if what == "version":
    print((live / "VERSION").read_text().strip() if live.exists() else "nothing")
elif what == "stop":
    stop()
else:
    stop()
    if what == "update":
        shutil.rmtree(previous, ignore_errors=True)
        if live.exists():
            live.rename(previous)
        shutil.copytree(here / "checkout", live)
    elif what == "back" and previous.exists():
        shutil.rmtree(live)
        previous.rename(live)
    start()
"""

SEED = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
INSERT INTO guests (full_name, email, fax)
SELECT 'Guest ' || i, 'guest' || i || '@example.com', CASE WHEN i % 4 = 0 THEN '+32 9 ' || i END FROM n;
INSERT INTO venues (name, city) VALUES ('Old Mill', 'Ghent');
INSERT INTO rooms (name, capacity, price_cents, venue_id)
VALUES ('Attic', 2, 9000, 1), ('Garden', 4, 12000, 1), ('River', 3, 11000, 1);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
INSERT INTO bookings (room_id, guest_id, reference, starts_at, ends_at, status, total_cents, party_size)
SELECT 1 + i % 3, 1 + i % 400, 'BK-' || i, datetime('2026-01-01', '+' || i || ' days'),
       datetime('2026-01-01', '+' || (i + 1) || ' days'), 'confirmed', 12000, 2 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
INSERT INTO import_batches (source, row_count) SELECT 'the old system', 20 FROM n;
"""


# The release of the third deploy. SQLite copies the whole table to add a constraint, there and back.
LAST_REVISION = '''\
"""Limit a party to twenty guests.

Revises: b018
"""

from alembic import op

revision = "b019"
down_revision = "b018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.create_check_constraint("ck_bookings_party_size", "party_size <= 20")


def downgrade() -> None:
    with op.batch_alter_table("bookings") as batch:
        batch.drop_constraint("ck_bookings_party_size", type_="check")
'''


NEXT = """\
  .venv/bin/deployguard explain DG102   what a rule knows
  cd PROJECT && deployguard init        deployguard.toml for a project of yours
  deployguard check --since main        judge a branch, without a database
  README.md                             five minutes with a project of yours"""


class Story:
    """The folder that everything happens in, and the commands that are shown and run there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkout = root / "checkout"
        self.database = root / "bookings.db"
        self.environ = {
            **os.environ,
            "DATABASE_URL": f"sqlite+aiosqlite:///{self.database}",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "BOOKINGS_VERSION", "BOOKINGS_BROKEN"):
            self.environ.pop(name, None)

    def stage(self, version: str, head: str, *, broken: bool = False) -> None:
        """Put a release into the checkout: the application with its history up to ``head``."""
        for name in ("bookings", "migrations", "alembic.ini", "requirements.txt"):
            source, target = FIXTURE / name, self.checkout / name
            shutil.rmtree(target, ignore_errors=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)
        for file in (self.checkout / "migrations" / "versions").glob("b*.py"):
            if file.name.partition("_")[0] > head:
                file.unlink()
        (self.checkout / "VERSION").write_text(version + "\n")
        (self.checkout / "BROKEN").unlink(missing_ok=True)
        if broken:
            (self.checkout / "BROKEN").touch()

    def prepare(self) -> None:
        """Release 1.0 is in production, with rows."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.checkout.mkdir()
        (self.root / "port").write_text(str(port))
        (self.root / "ship.py").write_text(SHIP)
        self.stage("1.0", "b013")
        words = {
            "python": json.dumps(sys.executable),
            "ship": json.dumps(str(self.root / "ship.py")),
        }
        (self.checkout / "deployguard.toml").write_text(CONFIG.format(port=port, **words))
        self.run(sys.executable, "-m", "alembic", "upgrade", "head")
        with sqlite3.connect(self.database) as connection:
            connection.executescript(SEED)
        connection.close()
        self.run(sys.executable, str(self.root / "ship.py"), "update")

    def run(self, *argv: str) -> str:
        """Run something that is not part of the story."""
        done = subprocess.run(
            argv, cwd=self.checkout, env=self.environ, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(argv)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def deployguard(self, *arguments: str, expect: int = 0) -> None:
        """Show a deployguard command, run it for people to read, and check its exit code."""
        sys.stdout.write("\n" + paint(f"$ deployguard {shlex.join(arguments)}", "1;36") + "\n\n")
        sys.stdout.flush()
        done = subprocess.run(
            [sys.executable, "-m", "deployguard", *arguments],
            cwd=self.checkout,
            env=self.environ,
            stdin=subprocess.DEVNULL,  # as in a pipeline: there is nobody to ask
            check=False,
        )
        say(f"(exit code {done.returncode})", "2")
        if done.returncode != expect:
            log = self.root / "server.log"
            print(log.read_text()[-2000:] if log.exists() else "")
            raise SystemExit(f"quickstart: expected exit code {expect}")

    def digest(self) -> str:
        """What an approver would copy from the plan."""
        document = json.loads(self.check_json())
        return str(document["digest"])

    def check_json(self) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "deployguard", "check", "--format", "json"],
            cwd=self.checkout,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    def counts(self) -> dict[str, int]:
        """Exact rows per table."""
        connection = sqlite3.connect(self.database)
        try:
            tables = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' "
                "AND name NOT LIKE 'sqlite_%' AND name <> 'alembic_version' ORDER BY name"
            ).fetchall()
            return {
                table: int(connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])
                for (table,) in tables
            }
        finally:
            connection.close()

    def serving(self) -> str:
        """What /health says."""
        port = (self.root / "port").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return str(answer.read().decode())


def paint(text: str, code: str) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def say(text: str, code: str = "") -> None:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    for part in text.split("\n"):
        for line in textwrap.wrap(part, width, break_long_words=False) or [""]:
            print(paint(line, code) if code else line)
    sys.stdout.flush()


def title(text: str) -> None:
    print()
    say("─" * 60 if (sys.stdout.encoding or "").lower().startswith("utf") else "-" * 60, "2")
    say(text, "1")


def show_counts(label: str, counts: dict[str, int]) -> None:
    listed = "  ".join(f"{table} {rows}" for table, rows in counts.items())
    print(paint(f"{label}: {listed}", "33"), flush=True)


def tell(story: Story) -> None:
    say("deployguard in three deploys", "1")
    say(
        "The bookings application runs in production: release 1.0, SQLite, a real web server. "
        f"Everything happens in {story.root}."
    )
    story.prepare()
    say(f"/health says {story.serving()}")
    show_counts("rows", story.counts())

    title("1. A release that only adds a column goes through by itself")
    story.stage("1.1", "b014")
    story.deployguard("deploy", "--auto-migrate", "--health-check")
    say(f"/health says {story.serving()}")

    title("2. A release that drops a column must be approved, and backed up first")
    story.stage("1.2", "b018")
    story.deployguard("deploy", "--auto-migrate", "--health-check", expect=11)
    say(
        "Nothing has changed. Somebody reads the plan above and approves exactly it, by its digest:"
    )
    story.deployguard(
        *("deploy", "--auto-migrate", "--health-check", "--approve", story.digest()),
        *("--reason", "the fax numbers are exported"),
    )
    say(f"/health says {story.serving()}")

    title("3. A release that rebuilds a table, and whose health check fails, comes back")
    before = story.counts()
    show_counts("rows before", before)
    story.stage("1.3", "b018", broken=True)
    (story.checkout / "migrations" / "versions" / "b019_limit_parties.py").write_text(LAST_REVISION)
    story.deployguard("deploy", "--auto-migrate", "--health-check", expect=21)
    after = story.counts()
    show_counts("rows before", before)
    show_counts("rows after ", after)
    say(f"/health says {story.serving()}")
    if after != before:
        raise SystemExit("quickstart: rows are missing")

    title("What is kept")
    story.deployguard("history")
    story.deployguard("backup", "list")


def ending(seconds: float) -> None:
    title(f"That was it, in {seconds:.0f} seconds. What to try next")
    for line in NEXT.splitlines():
        print(line)


def main() -> None:
    began = time.monotonic()
    root = Path(tempfile.mkdtemp(prefix="deployguard-quickstart-"))
    story = Story(root)
    try:
        tell(story)
    finally:
        if (root / "ship.py").exists():
            story.run(sys.executable, str(root / "ship.py"), "stop")
        if not os.environ.get("DEPLOYGUARD_KEEP"):
            shutil.rmtree(root)
    ending(time.monotonic() - began)


if __name__ == "__main__":
    main()
