"""The demo application is real: its history runs both ways, and it serves what it says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.docker import RELEASES, SEED, Stack
from tests.support.postgres import Server, free_port

Copy = Callable[..., Path]

EVERY_SERVER = pytest.mark.parametrize(
    "postgres_server", [tree.version for tree in postgres.trees()], indirect=True
)
SQLITE_SEED = """
INSERT INTO rooms (name, capacity, price_cents) VALUES ('attic', 2, 5000), ('cellar', 4, 9000);
INSERT INTO guests (full_name, email, fax) VALUES ('A Guest', 'a@example.org', '+32 9 1');
INSERT INTO bookings (room_id, guest_id, reference, starts_at, ends_at, status, total_cents)
    VALUES (1, 1, 'BK-1', '2026-01-01 15:00', '2026-01-02 11:00', 'confirmed', 5000);
INSERT INTO import_batches (source, row_count) VALUES ('card index', 812);
"""


def environment(url: str, **more: str) -> dict[str, str]:
    return os.environ | {"DATABASE_URL": url, "PYTHONWARNINGS": "error"} | more


def alembic(project: Path, url: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "alembic", *arguments],
        cwd=project,
        env=environment(url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def serving(project: Path, url: str, **more: str) -> Iterator[str]:
    port = free_port()
    argv = [sys.executable, "-m", "uvicorn", "bookings.app:app", "--port", str(port)]
    with subprocess.Popen(argv, cwd=project, env=environment(url, **more)) as process:
        address = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: ask(address + "/health")[0] != 0)
            yield address
        finally:
            process.send_signal(signal.SIGTERM)


def ask(url: str, body: dict[str, object] | None = None) -> tuple[int, object]:
    """(status, JSON); status 0 when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(url, data=data, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return 0, None


def wait_until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.05)


def sqlite(project: Path) -> tuple[str, Path]:
    file = project / "bookings.db"
    return f"sqlite:///{file}", file


WISH: dict[str, object] = {
    "room": "attic",
    "email": "b@example.org",
    "full_name": "Another Guest",
    "starts_at": "2026-03-01T15:00:00+00:00",
    "ends_at": "2026-03-04T11:00:00+00:00",
    "party_size": 2,
}


def test_history_is_linear(copy_bookings: Copy) -> None:
    project = copy_bookings()
    history = alembic(project, sqlite(project)[0], "history").strip().splitlines()
    assert len(history) == 19
    assert "(head)" in history[0]
    assert all(" -> " in line for line in history)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_each_downgrade_puts_the_schema_back(
    copy_bookings: Copy, request: pytest.FixtureRequest, kind: str
) -> None:
    project = copy_bookings()
    lite = kind == "sqlite"
    url = sqlite(project)[0] if lite else request.getfixturevalue("postgres_database")
    (project / "walk.py").write_text(WALK)
    done = subprocess.run(
        [sys.executable, "walk.py"],
        cwd=project,
        env=environment(url),
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=True,
    )
    up, down = json.loads(done.stdout)
    assert sorted(up) == [f"b{number:03}" for number in range(1, 20)]
    assert down == {revision: up[revision] for revision in up if revision != "b019"}


# Goes to each revision and back, one by one, and prints the schema found at each on both ways.
WALK = """
import asyncio, json, sys
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect
from bookings.database import make_engine
from bookings.settings import Settings

def constraint(c):
    return sorted((key, str(value)) for key, value in c.items())

def shape(connection):
    there = inspect(connection)
    found = {}
    for table in there.get_table_names():
        found[table] = [
            sorted(
                [c["name"], str(c["type"]), c["nullable"], bool(c["default"])]
                for c in there.get_columns(table)
            ),
            sorted(constraint(i) for i in there.get_indexes(table)),
            sorted(constraint(i) for i in there.get_unique_constraints(table)),
            sorted(constraint(i) for i in there.get_check_constraints(table)),
            sorted(constraint(i) for i in there.get_foreign_keys(table)),
        ]
    if connection.dialect.name == "postgresql":
        found["enums"] = [constraint(e) for e in there.get_enums()]
    return found

async def look():
    engine = make_engine(Settings.load())
    async with engine.connect() as connection:
        found = await connection.run_sync(shape)
    await engine.dispose()
    return found

config = Config("alembic.ini")
revisions = [s.revision for s in ScriptDirectory.from_config(config).walk_revisions()][::-1]
up, down = {}, {}
for revision in revisions:
    command.upgrade(config, revision)
    up[revision] = asyncio.run(look())
for revision in revisions[-2::-1]:
    command.downgrade(config, revision)
    down[revision] = asyncio.run(look())
json.dump([up, down], sys.stdout)
"""


def test_sqlite_goes_up_and_down_and_up_and_the_models_agree(copy_bookings: Copy) -> None:
    project = copy_bookings()
    url, file = sqlite(project)
    alembic(project, url, "upgrade", "head")
    alembic(project, url, "check")
    alembic(project, url, "downgrade", "base")
    with contextlib.closing(sqlite3.connect(file)) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("alembic_version",)]
    alembic(project, url, "upgrade", "head")
    assert "b019" in alembic(project, url, "current")


@EVERY_SERVER
def test_postgresql_goes_up_and_down_and_up_and_the_models_agree(
    copy_bookings: Copy, postgres_server: Server, postgres_database: str
) -> None:
    project = copy_bookings()
    name = postgres_database.rpartition("/")[2]
    alembic(project, postgres_database, "upgrade", "head")
    alembic(project, postgres_database, "check")
    alembic(project, postgres_database, "downgrade", "base")
    left = postgres_server.sql(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
        " UNION SELECT typname FROM pg_type WHERE typtype = 'e'",
        name,
    )
    assert left == "alembic_version"
    alembic(project, postgres_database, "upgrade", "head")
    assert "b019" in alembic(project, postgres_database, "current")


def test_rows_survive_the_whole_history_on_postgresql(
    copy_bookings: Copy, postgres_server: Server, postgres_database: str
) -> None:
    project = copy_bookings()
    name = postgres_database.rpartition("/")[2]
    alembic(project, postgres_database, "upgrade", RELEASES["v1"])
    postgres_server.sql(SEED.replace(":bookings", "20"), name)
    fingerprint = "SELECT count(*), sum(total_cents), min(reference), max(ends_at) FROM bookings"
    before = postgres_server.sql(fingerprint, name)
    alembic(project, postgres_database, "downgrade", "b008")
    alembic(project, postgres_database, "upgrade", "head")
    assert postgres_server.sql(fingerprint, name) == before
    assert before.startswith("20|")


def test_rows_survive_the_rebuilds_of_tables_on_sqlite(copy_bookings: Copy) -> None:
    project = copy_bookings()
    url, file = sqlite(project)
    alembic(project, url, "upgrade", RELEASES["v1"])
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.executescript(SQLITE_SEED)
    alembic(project, url, "downgrade", "b008")
    alembic(project, url, "upgrade", "head")
    with contextlib.closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT reference, status, total_cents FROM bookings").fetchall()
        with pytest.raises(sqlite3.IntegrityError, match="booking_status"):
            database.execute("UPDATE bookings SET status = 'lost'")
        with pytest.raises(sqlite3.IntegrityError, match="ck_bookings_ends_after_start"):
            database.execute("UPDATE bookings SET ends_at = '2025-01-01 11:00'")
    assert rows == [("BK-1", "confirmed", 5000)]


def test_a_check_that_old_rows_break_stops_after_the_revisions_before_it(
    copy_bookings: Copy, postgres_server: Server, postgres_database: str
) -> None:
    project = copy_bookings()
    name = postgres_database.rpartition("/")[2]
    alembic(project, postgres_database, "upgrade", RELEASES["v1"])
    postgres_server.sql(SEED.replace(":bookings", "2"), name)
    postgres_server.sql("UPDATE bookings SET ends_at = starts_at WHERE id = 1", name)
    with pytest.raises(AssertionError, match="ck_bookings_ends_after_start"):
        alembic(project, postgres_database, "upgrade", "head")
    assert "b015" in alembic(project, postgres_database, "current")


@pytest.mark.parametrize("head", [RELEASES["v1"], RELEASES["v3"]])
def test_application_serves_from_v1s_schema_to_the_newest_on_postgresql(
    copy_bookings: Copy, postgres_server: Server, postgres_database: str, head: str
) -> None:
    project = copy_bookings()
    alembic(project, postgres_database, "upgrade", head)
    postgres_server.sql(
        "INSERT INTO rooms (name, capacity, price_cents) VALUES ('attic', 2, 5000)",
        postgres_database.rpartition("/")[2],
    )
    with serving(project, postgres_database, BOOKINGS_VERSION="1.2.3") as address:
        assert ask(address + "/bookings", WISH)[0] == 201
        assert ask(address + "/bookings", WISH)[0] == 409
        assert ask(address + "/health") == (
            200,
            {"status": "ok", "version": "1.2.3", "bookings": 1},
        )


def test_worker_confirms_a_booking_and_stops_on_sigterm(copy_bookings: Copy) -> None:
    project = copy_bookings()
    url, file = sqlite(project)
    alembic(project, url, "upgrade", "head")
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO rooms (name, capacity, price_cents) VALUES ('attic', 2, 500)")
    heartbeat = project / "alive"
    beats = {"BOOKINGS_POLL_SECONDS": "0.05", "BOOKINGS_HEARTBEAT": str(heartbeat)}
    argv = [sys.executable, "-m", "bookings.worker"]
    with subprocess.Popen(argv, cwd=project, env=environment(url, **beats)) as worker:
        with serving(project, url) as address:
            status, booking = ask(address + "/bookings", WISH)
            assert (status, booking["status"], booking["total_cents"]) == (201, "pending", 1000)
            wait_until(lambda: ask(address + "/bookings/1")[1]["status"] == "confirmed")
        check = [sys.executable, "-m", "bookings.heartbeat"]
        alive_env = environment(url, **beats)
        alive = subprocess.run(check, cwd=project, env=alive_env, check=False)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(timeout=10) == 0
    assert alive.returncode == 0
    heartbeat.unlink()
    assert subprocess.run(check, cwd=project, env=alive_env, check=False).returncode == 1


def test_health_is_503_without_a_schema_and_when_told_to_be_broken(copy_bookings: Copy) -> None:
    project = copy_bookings()
    url, _ = sqlite(project)
    with serving(project, url) as address:
        status, answer = ask(address + "/health")
        assert (status, answer["reason"]) == (503, "OperationalError")
    alembic(project, url, "upgrade", "head")
    with serving(project, url, BOOKINGS_BROKEN="1") as address:
        assert ask(address + "/health")[0] == 503


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (WISH | {"room": "no such room"}, 404),
        (WISH | {"starts_at": "yesterday"}, 400),
        (WISH | {"starts_at": "2026-03-01T15:00:00"}, 400),
        (WISH | {"ends_at": WISH["starts_at"]}, 400),
        ({}, 400),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(
    copy_bookings: Copy, body: dict[str, object], status: int
) -> None:
    project = copy_bookings()
    url, _ = sqlite(project)
    alembic(project, url, "upgrade", "head")
    with serving(project, url) as address:
        assert ask(address + "/bookings", body)[0] == status


@pytest.mark.parametrize("url", ["", "mysql://localhost/x"])
def test_a_missing_or_unknown_database_url_is_named(copy_bookings: Copy, url: str) -> None:
    with pytest.raises(AssertionError, match="SettingsError: DATABASE_URL"):
        alembic(copy_bookings(), url, "current")


@pytest.mark.docker
def test_stack_serves_through_nginx_and_its_database_is_not_published(
    bookings_stack: Stack,
) -> None:
    stack = bookings_stack
    assert ask(stack.url + "/health") == (200, {"status": "ok", "version": "v1", "bookings": 20})
    assert stack.rows()["bookings"] == 20
    assert stack.revision() == "b013"
    assert len(stack.containers("web")) == 2
    assert "5432/tcp" in stack.compose("ps", "--format", "{{.Ports}}", "postgres")
    assert "->5432" not in stack.compose("ps", "--format", "{{.Ports}}", "postgres")


@pytest.mark.docker
def test_stack_moves_to_a_newer_release_and_finds_its_new_replicas(bookings_stack: Stack) -> None:
    stack = bookings_stack
    before = stack.rows()
    stack.tag = "v2"
    stack.migrate()
    stack.compose("up", "-d", "--wait", "--no-deps", "--no-build", "web", "worker")
    wait_until(lambda: ask(stack.url + "/health") == (200, VERSION_2))
    assert stack.revision() == "b014"
    assert stack.rows() == before


VERSION_2 = {"status": "ok", "version": "v2", "bookings": 20}


@pytest.mark.docker
def test_broken_image_never_becomes_healthy(bookings_stack: Stack) -> None:
    stack = bookings_stack
    stack.tag = "broken"
    with pytest.raises(RuntimeError, match="unhealthy"):
        stack.compose("up", "-d", "--wait", "--no-deps", "--no-build", "web")
    assert ask(stack.url + "/health")[0] == 503
