"""Each revision is told as it goes, and has a transaction of its own wherever env.py leaves that open."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deployguard.config import MigrateConfig
from deployguard.migrators import Job, LocalMigrator
from deployguard.migrators.revisions import Stride, stride
from deployguard.process import Redactor

REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = {name!r}, {parent!r}
def upgrade():
    op.create_table("t_{name}", sa.Column("id", sa.Integer))
    {more}
def downgrade():
    op.drop_table("t_{name}")
"""
SYNC = """
import os
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine(os.environ["URL"], poolclass=pool.NullPool)
with engine.{opens}() as connection:
    context.configure(connection=connection{argument})
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC = """
import asyncio, os
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine
def go(connection):
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
async def main():
    engine = create_async_engine(os.environ["URL"], poolclass=pool.NullPool)
    async with engine.{opens}() as connection:
        await connection.run_sync(go)
    await engine.dispose()
asyncio.run(main())
"""
LIMITS = (
    "application_name",
    "lock_timeout",
    "statement_timeout",
    "client_connection_check_interval",
)
DRIVERS = {"psycopg": SYNC, "psycopg2": SYNC, "pg8000": SYNC, "asyncpg": ASYNC}


class Project:
    """Three revisions, of which the second fails when ``fails`` is there."""

    def __init__(self, folder: Path, url: str, env: str) -> None:
        self.folder, self.url = folder, url
        versions = folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (folder / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
        (folder / "migrations" / "env.py").write_text(env)
        broken = "import os; assert not os.path.exists('fails'), 'it fails'"
        asked = ", ".join(f"current_setting('{name}')" for name in LIMITS)
        show = f"""print("limits", *op.get_bind().exec_driver_sql("SELECT {asked}").one())"""
        for name, parent, more in (("r1", None, show), ("r2", "r1", broken), ("r3", "r2", "")):
            text = REVISION.format(name=name, parent=parent, more=more)
            (versions / f"{name}.py").write_text(text)

    def run(self, direction: str = "upgrade", **settings: object) -> tuple[bool, list[str]]:
        config = MigrateConfig(
            command=(sys.executable, "-m", "alembic", "upgrade", "head"),
            downgrade_command=(sys.executable, "-m", "alembic", "downgrade", "{revision}"),
            **settings,  # type: ignore[arg-type]
        )
        environ = {**os.environ, "URL": self.url}
        migrator = LocalMigrator(config, self.folder, self.folder / "s", environ, Redactor())
        job = Job(
            "d1",
            direction,  # type: ignore[arg-type]
            "base",
            timeout=120,
            statement_timeout=60,
            client_check=2,
        )
        lines: list[str] = []
        ended = migrator.follow(migrator.start(job), lines.append)
        return ended.ok, lines

    def strides(self, lines: list[str]) -> list[tuple[str, str]]:
        found = [one for one in map(stride, lines) if one is not None]
        return [(one.title, one.how) for one in found]

    def tables(self) -> list[str]:
        plain = "postgresql://" + self.url.partition("://")[2]
        with psycopg.connect(plain) as link:
            rows = link.execute(
                "SELECT tablename FROM pg_tables WHERE tablename ~ '^t_' ORDER BY 1"
            )
            return [name for (name,) in rows]


Make = Callable[..., Project]


@pytest.fixture
def make(tmp_path: Path, postgres_database: str) -> Make:
    def project(driver: str = "psycopg", opens: str = "connect", argument: str = "") -> Project:
        url = postgres_database.replace("postgresql://", f"postgresql+{driver}://")
        env = DRIVERS[driver].format(opens=opens, argument=argument)
        return Project(tmp_path, url, env)

    return project


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_went_in_before_a_revision_failed_stays_in_with_every_driver(
    make: Make, driver: str
) -> None:
    project = make(driver)
    (project.folder / "fails").touch()
    ok, lines = project.run()
    assert not ok
    assert project.strides(lines) == [
        ("base → r1", "begins"),
        ("base → r1", "committed"),
        ("r1 → r2", "begins"),
    ]
    assert project.tables() == ["t_r1"]
    # read inside the revision, in the session and transaction that does the work
    assert "limits deployguard:d1 5s 1min 2s" in lines


def test_a_downgrade_is_told_and_committed_revision_by_revision(make: Make) -> None:
    project = make()
    assert project.run()[0]
    ok, lines = project.run("downgrade")
    assert ok
    assert project.strides(lines)[1::2] == [
        ("r3 → r2", "committed"),
        ("r2 → r1", "committed"),
        ("r1 → base", "committed"),
    ]
    assert project.tables() == []


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"argument": ", transaction_per_migration=False"}, "transaction_per_migration is not set"),
        ({"opens": "begin"}, "env.py begins it itself"),
        ({"driver": "asyncpg", "opens": "begin"}, "env.py begins it itself"),
    ],
)
def test_a_project_that_wants_one_transaction_keeps_it_and_it_is_said(
    make: Make, choice: dict[str, str], why: str
) -> None:
    project = make(**choice)
    (project.folder / "fails").touch()
    ok, lines = project.run()
    assert not ok
    assert project.strides(lines)[1] == ("base → r1", "done")
    assert f"deployguard: all revisions run in one transaction: {why}" in lines
    assert project.tables() == []


def test_the_configuration_can_leave_it_to_env_py(make: Make) -> None:
    project = make()
    (project.folder / "fails").touch()
    ok, lines = project.run(transaction_per_revision=False)
    assert not ok
    assert project.strides(lines)[1] == ("base → r1", "done")
    assert project.tables() == []


def test_an_alembic_that_is_not_what_we_know_is_left_alone_and_said(tmp_path: Path) -> None:
    package = tmp_path / "alembic" / "runtime"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "environment.py").write_text("class EnvironmentContext:\n    configure = None\n")
    from deployguard.migrators.settings import HOOK, session_environment

    existing = {"PYTHONPATH": str(tmp_path)}
    added = session_environment(MigrateConfig(), Job("d1", "upgrade"), existing, hook=str(HOOK))
    code = "import alembic.runtime.environment as e; print(e.EnvironmentContext.configure)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | added,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "None\n"
    assert done.stderr.startswith("deployguard: alembic.runtime.environment is left as it is: ")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("deployguard: upgrade a -> b begins", Stride("upgrade", "a", "b", "begins")),
        (
            "deployguard: upgrade  -> a committed after 1.204 s",
            Stride("upgrade", "", "a", "committed", 1.204),
        ),
        (
            "deployguard: downgrade a ->  done after 0.010 s",
            Stride("downgrade", "a", "", "done", 0.01),
        ),
        (
            "deployguard: upgrade a, b -> c committed after 0.500 s",
            Stride("upgrade", "a, b", "c", "committed", 0.5),
        ),
        (
            "INFO  [alembic.runtime.migration] Running upgrade a -> b, Add x -> y, for z",
            Stride("upgrade", "a", "b", "begins", ours=False),
        ),
        ("deployguard: stopped after 3 seconds", None),
        ("INFO  [alembic.runtime.migration] Will assume transactional DDL.", None),
    ],
)
def test_lines_of_the_hook_and_of_alembic_are_understood_and_no_others(
    line: str, told: Stride | None
) -> None:
    assert stride(line) == told
