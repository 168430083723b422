"""The project's own command and env.py are run; what cannot run there is read without them, and said."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from deployguard.errors import UsageError
from deployguard.model import Body, Evidence, Json, Opaque
from deployguard.revisions.launcher import Local
from deployguard.revisions.reader import ProjectSource, ReadRequest, read
from tests.revisions.projects import (
    ENV,
    INI,
    URLS,
    chain,
    detail,
    named,
    opaque,
    project,
    reading,
    revision,
    sql,
)

pytestmark = pytest.mark.usefixtures("oldest_and_ours")

CREATE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'
MANAGE = "import sys\nfrom alembic.config import main\nmain(['upgrade', sys.argv[1]])\n"


@pytest.mark.parametrize(
    "command",
    [
        ("alembic", "upgrade", "head"),
        ("python", "-m", "alembic", "upgrade", "head"),
        ("uv", "run", "--frozen", "alembic", "-c", "alembic.ini", "upgrade", "head"),
        ("env", "A=b", "python3", "-u", "manage.py", "head"),
        ("./manage.py", "head"),
    ],
)
def test_the_projects_own_command_is_run(tmp_path: Path, command: tuple[str, ...]) -> None:
    folder = chain(tmp_path, CREATE)
    (folder / "manage.py").write_text(MANAGE)
    found = reading(folder, command=command)
    assert named(found, "r1").evidence is Evidence.RECORDED
    assert len(named(found, "r1").up.statements) == 1


def test_a_command_that_is_not_python_is_read_through_alembic(tmp_path: Path) -> None:
    folder = chain(tmp_path, CREATE)
    script = folder / "migrate.sh"
    script.write_text("#!/bin/sh\nexec alembic upgrade head\n")
    script.chmod(0o755)
    found = reading(folder, command=("./migrate.sh",))
    assert named(found, "r1").evidence is Evidence.RECORDED
    assert any("./migrate.sh is not a Python program" in note for note in found.notes)


def test_without_its_settings_env_py_is_left_out_and_that_is_said(tmp_path: Path) -> None:
    env = "from shop.settings import settings\n" + ENV
    found = reading(chain(tmp_path, CREATE, env=env))
    one = named(found, "r1")
    assert one.evidence is Evidence.RECORDED_WITHOUT_ENV
    assert len(one.up.statements) == 1
    assert any(
        "env.py line 1: ModuleNotFoundError: No module named 'shop'" in n for n in found.notes
    )


def test_the_transactions_of_an_env_that_cannot_run_are_read_from_its_text(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, CREATE, env="import nothing_here\n" + ENV))
    assert named(found, "r1").up.own_transaction


def test_an_interpreter_without_alembic_leaves_the_source(tmp_path: Path) -> None:
    folder = chain(tmp_path, CREATE, 'op.execute("DELETE FROM t")')
    found = reading(folder, launcher=Local((sys.executable, "-S")))
    assert {one.evidence for one in found.revisions} == {Evidence.SOURCE}
    for one in found.revisions:
        assert "[read] python" in detail(one.up, Opaque.FAILED)
    assert Opaque.UNSEEN_WRITES in opaque(named(found, "r2").up)


def test_an_interpreter_that_is_not_there_leaves_the_source(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, CREATE), launcher=Local(("/no/such/python",)))
    assert named(found, "r1").evidence is Evidence.SOURCE
    assert "/no/such/python" in found.notes[-1]


def test_a_url_of_another_database_in_the_ini_gives_way_to_the_environments(tmp_path: Path) -> None:
    env = ENV.replace(
        'create_engine(os.environ["DATABASE_URL"])',
        'create_engine(context.config.get_main_option("sqlalchemy.url"))',
    )
    folder = chain(tmp_path, CREATE, env=env, ini=INI.replace("driver://", "sqlite:///x.db?"))
    found = reading(folder)
    assert "SERIAL" in sql(named(found, "r1").up)[0]
    assert any("sqlite" in note for note in found.notes)
    assert not (folder / "x.db").exists()


def test_a_version_table_other_than_the_one_that_was_asked_is_an_error(tmp_path: Path) -> None:
    env = ENV.replace("connection=connection,", 'connection=connection, version_table="mine",')
    request = ReadRequest(
        "postgresql",
        URLS["postgresql"],
        "DATABASE_URL",
        catalogue={},
        version_table="alembic_version",
    )
    source = ProjectSource(chain(tmp_path, CREATE, env=env), launcher=Local((sys.executable,)))
    with pytest.raises(UsageError, match='version_table = "mine"'):
        read(source, request)


def test_a_missing_application_is_failed_or_a_helper_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    files = {
        "r1": revision("r1", None, CREATE),
        "r2": revision("r2", "r1", "fill(op.get_bind())", head="from shop.data import fill"),
        "r3": revision("r3", "r2", "from shop import data\ndata.fill()"),
        "r4": revision(
            "r4", "r3", "x = fill()\nop.drop_table(x)", head="from shop.data import fill"
        ),
        "r5": revision("r5", "r4", "op.drop_table('t')"),
    }
    found = reading(project(tmp_path, files))
    assert [opaque(one.up) for one in found.revisions] == [
        {},
        {Opaque.APPLICATION_HELPER: 12},
        {Opaque.FAILED: 12},
        {Opaque.FAILED: 4},
        {},
    ]
    assert named(found, "r2").evidence is Evidence.SOURCE
    assert named(found, "r5").evidence is Evidence.RECORDED


def test_an_application_helper_that_can_be_imported_is_read(tmp_path: Path) -> None:
    files = {
        "r1": revision("r1", None, "fill(op)", head="from shop.data import fill"),
        "shop/__init__.py": "",
        "shop/data.py": 'def fill(op):\n    op.execute("DELETE FROM t")\n',
    }
    up = named(reading(project(tmp_path, files)), "r1").up
    assert sql(up) == ["DELETE FROM t"]
    assert (up.statements[0].line, opaque(up)) == (12, {})


def test_a_syntax_error_spoils_one_revision_only(tmp_path: Path) -> None:
    broken = revision("r2", "r1", "op.execute(")
    files = {
        "r1": revision("r1", None, CREATE),
        "r2": broken,
        "r3": revision("r3", "r2", 'op.drop_table("t")'),
    }
    found = reading(project(tmp_path, files), "sqlite")
    assert set(opaque(named(found, "r2").up)) == {Opaque.FAILED}
    assert sql(named(found, "r3").up) == ["DROP TABLE t"]


def test_bodies_say_whether_there_is_a_way_back(tmp_path: Path) -> None:
    text = revision("r4", "r3", "pass")
    files = {
        "r1": revision("r1", None, CREATE, "'''nothing to do'''\nprint('bye')"),
        "r2": revision("r2", "r1", "pass", "raise RuntimeError('no way back')"),
        "r3": revision("r3", "r2", "pass", 'op.execute("SELECT 1")'),
        "r4": text[: text.index("def downgrade")],
    }
    found = reading(project(tmp_path, files))
    assert [one.down.body for one in found.revisions] == [
        Body.EMPTY,
        Body.RAISES,
        Body.PRESENT,
        Body.MISSING,
    ]


def test_nothing_pending_starts_no_interpreter(tmp_path: Path) -> None:
    def run(*_args: object, **_kwargs: object) -> object:
        raise AssertionError("a child was started")

    source = ProjectSource(chain(tmp_path, CREATE), launcher=Local((sys.executable,)))
    found = read(source, ReadRequest("sqlite", URLS["sqlite"], current=("r1",)), run=run)
    assert (found.revisions, found.heads) == ((), ("r1",))


def test_nothing_is_written_into_the_project(tmp_path: Path) -> None:
    folder = chain(tmp_path, CREATE, 'op.add_column("t", sa.Column("x", sa.Text))')
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    reading(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


ELSEWHERE = ENV.replace(
    "engine = create_engine",
    'context.script.version_locations = [os.path.join(context.script.dir, os.environ["SIDE"])]\n'
    "engine = create_engine",
)


def elsewhere(folder: Path) -> Path:
    files = {
        "migrations/left/r1.py": revision("r1", None, CREATE),
        "migrations/left/r2.py": revision("r2", "r1", 'op.drop_table("t")'),
        "migrations/right/x1.py": revision("x1", None, "pass"),
    }
    return project(folder, files, env=ELSEWHERE)


def test_folders_that_only_env_py_knows_are_found_through_it(tmp_path: Path) -> None:
    environ = {**os.environ, "SIDE": "left"}
    catalogue: Json = {"dialect": "postgresql", "tables": []}
    found = reading(
        elsewhere(tmp_path),
        current=("r1",),
        catalogue=catalogue,
        environ=environ,
        pass_environment=("SIDE",),
    )
    assert [(one.id, one.path) for one in found.revisions] == [("r2", "migrations/left/r2.py")]
    assert sql(named(found, "r2").up) == ["DROP TABLE t"]
    assert found.heads == ("r2",)


def test_folders_are_guessed_by_dialect_when_env_py_cannot_run(tmp_path: Path) -> None:
    files = {
        "migrations/versions/postgresql/r1.py": revision("r1", None, CREATE),
        "migrations/versions/postgresql/r2.py": revision("r2", "r1", 'op.drop_table("t")'),
        "migrations/versions/sqlite/x1.py": revision("x1", None, CREATE),
        "migrations/versions/sqlite/x2.py": revision("x2", "x1", "pass"),
    }
    env = "from shop.settings import folders\n" + ELSEWHERE
    folder = project(tmp_path, files, env=env)
    found = reading(folder, current=("r1",))
    assert [one.id for one in found.revisions] == ["r2"]
    assert sql(named(found, "r2").up) == ["DROP TABLE t"]
    assert named(found, "r2").evidence is Evidence.RECORDED_WITHOUT_ENV
    assert any("without it, all in postgresql were taken" in note for note in found.notes)
    assert [one.id for one in reading(folder, "sqlite").revisions] == ["x1", "x2"]
    with pytest.raises(UsageError, match=r"env\.py decides in which folders"):
        reading(folder, current=("r2",))


def test_without_env_py_nothing_pending_is_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"env\.py decides in which folders.*KeyError.*SIDE"):
        reading(elsewhere(tmp_path))


def test_an_empty_history_is_not_taken_for_one_elsewhere(tmp_path: Path) -> None:
    assert reading(project(tmp_path, {}), launcher=Local(("/no/such/python",))).revisions == ()


ASYNC_ENV = """\
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine
from shop.settings import settings

async def run():
    async with create_async_engine(settings.url).connect() as connection:
        await connection.run_sync(migrate)

asyncio.run(run())
"""


def test_without_an_asynchronous_env_py_its_coroutines_still_run(tmp_path: Path) -> None:
    body = """
    async def fill(connection):
        await connection.execute(sa.text("UPDATE t SET id = 2"))
    op.run_async(fill)
    """
    two = named(reading(chain(tmp_path, CREATE, body, env=ASYNC_ENV)), "r2")
    assert two.evidence is Evidence.RECORDED_WITHOUT_ENV
    assert sql(two.up) == ["UPDATE t SET id = 2"]
    assert opaque(two.up) == {}
    assert two.up.statements[0].line == 13


LOGGING = """
[loggers]
keys = root
[handlers]
keys = only
[formatters]
keys =
[logger_root]
level = INFO
handlers = only
[handler_only]
class = {kind}
args = {arguments}
"""


@pytest.mark.parametrize(
    ("kind", "arguments", "noted"),
    [
        ("FileHandler", "('migrations.log', 'w')", False),
        ("FileHandler", "('/nowhere/of/ours/migrations.log',)", False),
        ("shop.logs.Handler", "()", True),
    ],
)
def test_logging_that_only_production_has_keeps_no_env_py_from_running(
    tmp_path: Path, kind: str, arguments: str, noted: bool
) -> None:
    log = tmp_path / "migrations.log"
    log.write_text("what was there")
    env = "from logging.config import fileConfig\nfrom alembic import context\n"
    env += "fileConfig(context.config.config_file_name)\n"
    ini = INI + LOGGING.format(kind=kind, arguments=arguments)
    found = reading(chain(tmp_path, CREATE, env=env + ENV, ini=ini))
    assert named(found, "r1").evidence is Evidence.RECORDED
    assert any("No module named 'shop'" in note for note in found.notes) is noted
    assert log.read_text() == "what was there"


def test_a_lock_that_env_py_tries_to_take_is_free(tmp_path: Path) -> None:
    env = ENV.replace(
        "    context.configure(",
        "    from sqlalchemy import text\n"
        '    if not connection.execute(text("SELECT pg_try_advisory_lock(7)")).scalar():\n'
        '        raise SystemExit("somebody else migrates")\n'
        "    context.configure(",
    )
    assert named(reading(chain(tmp_path, CREATE, env=env)), "r1").evidence is Evidence.RECORDED


def test_a_failure_without_a_line_has_that_of_the_function(tmp_path: Path) -> None:
    text = revision("r1", None, CREATE).replace("def upgrade()", "def upgrade(tenant)")
    up = named(reading(project(tmp_path, {"r1": text})), "r1").up
    assert opaque(up) == {Opaque.FAILED: up.line}
    assert up.line
