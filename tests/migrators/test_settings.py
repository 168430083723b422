"""Each driver's session gets our name and time limits, and what the project set stays."""

import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.config import MigrateConfig
from deployguard.migrators import Job
from deployguard.migrators.settings import HOOK, session_environment
from tests.support.postgres import Server

JOB = Job("d7", "upgrade", statement_timeout=90, client_check=2)
CONFIG = MigrateConfig(lock_timeout=4)


def test_the_name_and_the_limits_are_added_after_what_is_there() -> None:
    added = session_environment(CONFIG, JOB, {"PGOPTIONS": "-c search_path=x"}, hook=None)
    assert added == {
        "PGAPPNAME": "deployguard:d7",
        "PGOPTIONS": "-c search_path=x -c lock_timeout=4s -c statement_timeout=90s "
        "-c client_connection_check_interval=2s",
    }


def test_a_limit_of_zero_is_left_to_the_server() -> None:
    bare = Job("d7", "upgrade")
    assert session_environment(CONFIG, bare, {}, hook=None)["PGOPTIONS"] == "-c lock_timeout=4s"
    free = Job("d7", "upgrade", lock_timeout=0)
    assert session_environment(CONFIG, free, {}, hook=None)["PGOPTIONS"] == ""


def test_the_projects_own_path_stays_behind_the_hook() -> None:
    added = session_environment(CONFIG, JOB, {"PYTHONPATH": "/app:/lib"}, hook="/h")
    assert added["PYTHONPATH"] == "/h:/app:/lib"
    assert json.loads(added["DEPLOYGUARD_SESSION"]) == {
        "application_name": "deployguard:d7",
        "lock_timeout": "4s",
        "statement_timeout": "90s",
        "client_connection_check_interval": "2s",
    }


SHOW = ", ".join(
    f"current_setting('{name}')"
    for name in (
        "application_name",
        "lock_timeout",
        "statement_timeout",
        "client_connection_check_interval",
    )
)
SYNC = """
    import os
    from sqlalchemy import create_engine, text
    with create_engine(os.environ["URL"]).connect() as c:
        c.rollback()
        print(*c.execute(text("SELECT {show}")).one())
"""
ASYNC = """
    import asyncio, os
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine
    async def main():
        args = {{"server_settings": {{"application_name": "bookings", "work_mem": "5MB"}}}}
        engine = create_async_engine(os.environ["URL"], connect_args=args)
        async with engine.connect() as c:
            print(*(await c.execute(text("SELECT {show}"))).one())
        await engine.dispose()
    asyncio.run(main())
"""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


def python(code: str, **environ: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("driver", "code"),
    [("psycopg", SYNC), ("psycopg2", SYNC), ("pg8000", SYNC), ("asyncpg", ASYNC)],
)
def test_every_driver_has_the_settings_in_its_session(
    postgres_database: str, driver: str, code: str
) -> None:
    url = postgres_database.replace("postgresql://", f"postgresql+{driver}://")
    added = session_environment(CONFIG, JOB, os.environ, hook=str(HOOK))
    shown = python(code.format(show=SHOW), URL=url, **added)
    assert shown == "deployguard:d7 4s 90s 2s"


KILLED = """
    import os, sys
    from sqlalchemy import create_engine, text
    engine = create_engine(os.environ["URL"], isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        print("works", flush=True)
        c.execute(text("CREATE TABLE late AS SELECT 1 AS one FROM pg_sleep(300)"))
"""


def test_a_statement_whose_client_was_killed_is_ended_and_not_committed(
    postgres_server: Server, postgres_database: str
) -> None:
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://")
    job = Job("d7", "upgrade", client_check=1)
    added = session_environment(CONFIG, job, os.environ, hook=str(HOOK))
    database = postgres_database.rpartition("/")[2]
    at_work = f"""SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'active'
        AND application_name = 'deployguard:d7'"""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED)],
        env=os.environ | added | {"URL": url},
        stdout=subprocess.PIPE,
    ) as child:
        until(lambda: postgres_server.sql(at_work) == "1")
        child.kill()
    until(lambda: postgres_server.sql(at_work) == "0")
    assert postgres_server.sql("SELECT to_regclass('late') IS NULL", database) == "t"


def test_the_projects_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins; builtins.THEIRS = 'ran'")
    added = session_environment(CONFIG, JOB, {"PYTHONPATH": str(tmp_path)}, hook=str(HOOK))
    code = "import sys; print(THEIRS, sys.modules['sitecustomize'].__file__)"
    assert python(code, **added) == f"ran {tmp_path / 'sitecustomize.py'}"


def test_an_error_in_the_projects_sitecustomize_is_theirs(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import no_such_module")
    added = session_environment(CONFIG, JOB, {"PYTHONPATH": str(tmp_path)}, hook=str(HOOK))
    done = subprocess.run(
        [sys.executable, "-c", "print('on')"],
        env=os.environ | added,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "on\n"
    assert "no_such_module" in done.stderr


def test_a_driver_that_is_not_what_we_know_is_left_alone_and_said(tmp_path: Path) -> None:
    (tmp_path / "asyncpg.py").write_text("VERSION = 'strange'")
    added = session_environment(CONFIG, JOB, {"PYTHONPATH": str(tmp_path)}, hook=str(HOOK))
    done = subprocess.run(
        [sys.executable, "-c", "import asyncpg; print(asyncpg.VERSION)"],
        env=os.environ | added,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "strange\n"
    assert done.stderr.startswith("deployguard: asyncpg is left as it is: ")


def test_the_hook_is_silent_where_no_driver_is_imported() -> None:
    added = session_environment(CONFIG, JOB, {}, hook=str(HOOK))
    assert python("import json; print('plain')", **added) == "plain"
