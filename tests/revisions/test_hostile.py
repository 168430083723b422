"""A revision that loops, exits, prints or reaches outside is reported, and the others are still read."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from deployguard.model import Evidence, Opaque
from deployguard.revisions import recording
from deployguard.revisions.launcher import Local
from tests.revisions.projects import chain, detail, named, opaque, reading, sql

pytestmark = pytest.mark.usefixtures("oldest_and_ours")

CREATE = 'op.create_table("t1", sa.Column("id", sa.Integer, primary_key=True))'
ADD = 'op.add_column("t1", sa.Column("note", sa.Text()))'


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "REVISION_SECONDS", 1.0)


@pytest.mark.parametrize(
    ("hostile", "says"),
    [
        ("while True:\n    pass", "no end after"),
        (
            "while True:\n    try:\n        pass\n    except Exception:\n        pass",
            "no end after",
        ),
        ("import sys\nsys.exit(3)", "sys.exit(3)"),
        ("import os\nos._exit(4)", "os._exit(4)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "ends the process"),
        ('raise RuntimeError("not today")', "not today"),
        ("undefined_name()", "undefined_name"),
        ("def again():\n    again()\nagain()", "RecursionError"),
    ],
)
@pytest.mark.usefixtures("impatient")
def test_what_does_not_end_well_is_failed_and_the_next_is_read(
    tmp_path: Path, hostile: str, says: str
) -> None:
    found = reading(chain(tmp_path, CREATE, hostile, ADD))
    assert [one.id for one in found.revisions] == ["r1", "r2", "r3"]
    failed = named(found, "r2").up
    assert Opaque.FAILED in opaque(failed)
    assert says in detail(failed, Opaque.FAILED)
    assert sql(named(found, "r3").up) == ["ALTER TABLE t1 ADD COLUMN note TEXT"]
    assert opaque(named(found, "r3").up) == {}


def test_a_revision_that_never_stops_talking_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "STATEMENTS", 50)
    found = reading(chain(tmp_path, 'while True:\n    op.execute("SELECT 1")', CREATE))
    assert "more than 50 statements" in detail(named(found, "r1").up, Opaque.FAILED)
    assert len(named(found, "r2").up.statements) == 1


@pytest.mark.parametrize("block", ["if True:", "with op.get_context().autocommit_block():"])
def test_a_stop_in_the_middle_of_a_statement_costs_one_revision_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: str
) -> None:
    monkeypatch.setattr(recording, "STATEMENTS", 50)
    endless = f'{block}\n    while True:\n        op.execute("SELECT 1")'
    found = reading(chain(tmp_path, CREATE, endless, ADD, "op.drop_table('t1')"))
    assert "more than 50 statements" in detail(named(found, "r2").up, Opaque.FAILED)
    assert sql(named(found, "r3").up) == ["ALTER TABLE t1 ADD COLUMN note TEXT"]
    assert sql(named(found, "r4").up) == ["DROP TABLE t1"]
    assert opaque(named(found, "r4").up) == {}


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t2 SELECT id FROM t1 LIMIT 500 OFFSET :n",
        "UPDATE t1 SET id = 1 WHERE id IN (SELECT id FROM t1 LIMIT 10 OFFSET :n)",
        "DELETE FROM t1 WHERE id > :n",
    ],
)
def test_a_loop_over_portions_ends(tmp_path: Path, statement: str) -> None:
    body = f"""
        n = 0
        while True:
            done = op.get_bind().execute(sa.text({statement!r}), {{"n": n}})
            if done.rowcount <= 0:
                break
            n += 500
    """
    up = named(reading(chain(tmp_path, CREATE, body, ADD)), "r2").up
    assert Opaque.FAILED not in opaque(up)
    assert 1 <= len(up.statements) <= 1_000


def test_a_failure_has_the_line_of_the_revision(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, CREATE + '\nraise RuntimeError("no")'))
    assert opaque(named(found, "r1").up)[Opaque.FAILED] == 13


@pytest.mark.usefixtures("impatient")
def test_the_whole_reading_has_a_limit(tmp_path: Path) -> None:
    env = "import time\ntime.sleep(60)\n"
    started = time.monotonic()
    found = reading(chain(tmp_path, CREATE, env=env), timeout=2)
    assert time.monotonic() - started < 20
    assert named(found, "r1").evidence is Evidence.SOURCE
    assert "2 seconds" in detail(named(found, "r1").up, Opaque.FAILED)


def test_noise_on_stdout_is_not_taken_for_events(tmp_path: Path) -> None:
    noise = (
        'import os\nprint("{\\"e\\": \\"end\\"}")\nos.write(1, b"\\x00\\xff no newline")\n' + CREATE
    )
    found = reading(chain(tmp_path, noise, ADD))
    assert len(named(found, "r1").up.statements) == 1
    assert len(named(found, "r2").up.statements) == 1


@pytest.mark.parametrize(
    ("reaches", "for_what"),
    [
        ('import socket\nsocket.create_connection(("127.0.0.1", 9))', "the network"),
        ('import urllib.request\nurllib.request.urlopen("http://127.0.0.1:9/")', "the network"),
        ('import sqlite3\nsqlite3.connect("real.db")', "a SQLite file"),
        ('import subprocess\nsubprocess.run(["true"])', "another program"),
        ('import os\nos.remove("alembic.ini")', "files"),
        ('open("written.txt", "w")', "written.txt"),
    ],
)
def test_doors_to_the_outside_are_shut(tmp_path: Path, reaches: str, for_what: str) -> None:
    found = reading(chain(tmp_path, reaches, "pass"))
    up = named(found, "r1").up
    assert for_what in detail(up, Opaque.EXTERNAL_INPUT)
    assert Opaque.FAILED in opaque(up)
    assert not (tmp_path / "real.db").exists()
    assert not (tmp_path / "written.txt").exists()
    assert (tmp_path / "alembic.ini").exists()


def test_a_file_that_is_read_is_external_input(tmp_path: Path) -> None:
    (tmp_path / "seed.sql").write_text("INSERT INTO t1 VALUES (1)")
    found = reading(
        chain(tmp_path, CREATE, 'with open("seed.sql") as file:\n    op.execute(file.read())')
    )
    up = named(found, "r2").up
    assert sql(up) == ["INSERT INTO t1 VALUES (1)"]
    assert "seed.sql" in detail(up, Opaque.EXTERNAL_INPUT)


def test_only_what_was_promised_is_in_the_environment(tmp_path: Path) -> None:
    body = (
        "import os\n"
        'for name in ("DATABASE_URL", "SECRET", "PASSED", "OTHER_DATABASE"):\n'
        "    op.execute(\"COMMENT ON TABLE t IS '%s %s'\" % (name, os.environ.get(name)))"
    )
    environ = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": "postgresql://app:hunter2@db.example/app",
        "SECRET": "hunter2",
        "PASSED": "yes",
        "OTHER_DATABASE": "postgresql://app:hunter2@db.example/other",
    }
    found = reading(
        chain(tmp_path, body), environ=environ, pass_environment=("PASSED", "OTHER_DATABASE")
    )
    said = sql(named(found, "r1").up)
    assert said[1:3] == [
        "COMMENT ON TABLE t IS 'SECRET None'",
        "COMMENT ON TABLE t IS 'PASSED yes'",
    ]
    assert "hunter2" not in repr(found)


class Leaky(Local):
    """As a container does: its environment has more than it was given."""

    def environment(self, wanted: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
        return {**outer, **wanted}


def test_the_child_strips_an_environment_that_has_too_much(tmp_path: Path) -> None:
    body = "import os\nop.execute(\"COMMENT ON TABLE t IS '%s'\" % sorted(os.environ.items()))"
    environ = {**os.environ, "SECRET": "hunter2", "DB": "postgresql://a:hunter2@h/x"}
    found = reading(
        chain(tmp_path, body),
        environ=environ,
        pass_environment=("DB",),
        launcher=Leaky((sys.executable,)),
    )
    assert "DB" in sql(named(found, "r1").up)[0]
    assert "hunter2" not in repr(found)


def test_a_secret_that_env_py_needs_is_not_told(tmp_path: Path) -> None:
    body = """
        import os
        op.execute("CREATE ROLE app PASSWORD '%s'" % os.environ["APP_PASSWORD"])
        op.execute("COMMENT ON TABLE t IS '%s'" % os.environ["BROKER"])
        op.execute("COMMENT ON TABLE t IS '%s'" % os.environ["SCHEMA"])
        raise RuntimeError(os.environ["APP_PASSWORD"])
    """
    environ = {
        "PATH": os.environ["PATH"],
        "APP_PASSWORD": 'hun"ter2',
        "BROKER": "amqp://me:hunter3@host/",
        "SCHEMA": "tenant",
    }
    found = reading(
        chain(tmp_path, body),
        environ=environ,
        pass_environment=("APP_PASSWORD", "BROKER", "SCHEMA"),
    )
    said = sql(named(found, "r1").up)
    assert said[2] == "COMMENT ON TABLE t IS 'tenant'"
    assert said[1] == "COMMENT ON TABLE t IS 'amqp://me:***@host/'"
    assert "ter2" not in repr(found)


def test_values_of_rows_are_not_told(tmp_path: Path) -> None:
    body = """
        users = sa.table("users", sa.column("name", sa.String))
        op.bulk_insert(users, [{"name": "sensitive one"}, {"name": "sensitive two"}])
        op.get_bind().execute(users.insert().values(name="sensitive three"))
        op.get_bind().execute(sa.text("UPDATE users SET name = :n"), {"n": "sensitive four"})
    """
    found = reading(chain(tmp_path, body))
    assert len(named(found, "r1").up.statements) == 3
    assert "sensitive" not in repr(found)
