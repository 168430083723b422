"""SQLite with foreign_keys=ON: a batch copy takes the rows of other tables with it, whoever turned it on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config import load, parse_url
from deployguard.database import connect
from deployguard.deploy.assess import assess, assess_from
from deployguard.model import Plan, Risk, Way
from tests.deploy.real import Small, small

ON = "PRAGMA foreign_keys=ON"
LISTENER = f"""
from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for({{target}}, "connect")
def turn_on(connection, record):
    cursor = connection.cursor()
    cursor.execute("{ON}")
    cursor.close()
"""
CHILD = 'op.execute("CREATE TABLE child (p INTEGER REFERENCES parent (id) ON DELETE {how})")'
PARENT = 'op.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY, n VARCHAR(20))")'
COPY = """with op.batch_alter_table("parent") as batch:
    batch.alter_column("n", type_=sa.String({}), existing_type=sa.String({}))"""
BEFORE, INSIDE = "engine = create_engine", "    context.configure"


def turned_on(env: str, how: str) -> str:
    if how == "class":
        return env.replace(BEFORE, LISTENER.format(target="Engine") + BEFORE)
    if how == "engine":
        return env.replace("with engine", LISTENER.format(target="engine") + "with engine")
    pragmas = {"connection": [ON], "off again": [ON, "PRAGMA foreign_keys=OFF"]}.get(how, [])
    lines = "".join(f"    connection.exec_driver_sql({one!r})\n" for one in pragmas)
    lines += "    connection.commit()\n" if lines else ""
    after = (
        f"    connection.exec_driver_sql({ON!r})\n" if how in {"off again", "afterwards"} else ""
    )
    return env.replace(INSIDE, lines + INSIDE) + after


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def plans(project: Small, how: str, delete: str = "CASCADE") -> tuple[Plan, Plan]:
    """(the plan against the database, the one from its revision)."""
    env = project.folder / "migrations" / "env.py"
    env.write_text(turned_on(env.read_text(), how))
    project.revision("r2", f"{PARENT}\n{CHILD.format(how=delete)}", "pass")
    project.alembic("upgrade", "head")
    project.sql("INSERT INTO parent VALUES (1, 'a')")
    project.sql("INSERT INTO child VALUES (1)")
    project.revision("r3", COPY.format(50, 20), COPY.format(20, 50))
    config = load(None, project.folder)
    environment, environ = config.environment(), project.environ()
    with connect(parse_url(project.url, "the test"), directory=project.folder) as database:
        live = assess(config, environment, environ, database)
    return live, assess_from(config, environment, environ, "r2")


@pytest.mark.parametrize("how", ["class", "engine", "connection"])
def test_rows_that_go_with_the_copy_are_critical(project: Small, how: str) -> None:
    live, offline = plans(project, how)
    for plan in (live, offline):
        (found,) = [one for one in plan.verdicts[0].findings if one.rule == "DG151"]
        assert found.risk is plan.risk is Risk.CRITICAL
        assert plan.answers.drops.startswith("yes")
        assert plan.answers.bulk_data.startswith("yes")
        assert plan.verdicts[0].undo.way is Way.RESTORE
    assert any(
        "rows of child go with it (CASCADE)" in one.message for one in live.verdicts[0].findings
    )
    project.alembic("upgrade", "head")
    assert project.sql("SELECT count(*) FROM child") == [(0,)]


@pytest.mark.parametrize("how", ["off", "off again", "afterwards"])
def test_what_is_off_while_the_revisions_run_takes_nothing(project: Small, how: str) -> None:
    for plan in plans(project, how):
        assert "DG151" not in {one.rule for one in plan.verdicts[0].findings}
    project.alembic("upgrade", "head")
    assert project.sql("SELECT count(*) FROM child") == [(1,)]


def test_a_reference_without_an_action_makes_the_copy_fail(project: Small) -> None:
    live, _ = plans(project, "connection", "NO ACTION")
    (found,) = [one for one in live.verdicts[0].findings if one.rule == "DG151"]
    assert found.risk is Risk.HIGH
