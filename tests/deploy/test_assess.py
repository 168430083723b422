"""The plan: against the database, from a revision, and from git alone."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.config import Config, Environment, load, parse_url
from deployguard.database import connect
from deployguard.deploy.assess import (
    after,
    assess,
    assess_from,
    assess_since,
    project_source,
    upgrade_target,
    would_run,
)
from deployguard.deploy.guard import differences
from deployguard.errors import UsageError
from deployguard.formats.words import headline
from deployguard.model import Plan, Risk
from deployguard.revisions.graph import load as load_graph
from deployguard.revisions.launcher import Compose, Local
from tests.deploy.real import DESTROY, EXPAND, Small, small


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def loaded(project: Small) -> tuple[Config, Environment]:
    config = load(None, project.folder)
    return config, config.environment()


def against_database(project: Small) -> Plan:
    config, environment = loaded(project)
    url = parse_url(project.url, "the test")
    with connect(url, directory=project.folder) as database:
        return assess(config, environment, project.environ(), database)


def git(project: Small, *argv: str) -> None:
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *argv],
        cwd=project.folder,
        check=True,
        capture_output=True,
    )


def test_the_plan_against_the_database_knows_where_it_is(project: Small) -> None:
    project.revision("r2", *EXPAND)
    plan = against_database(project)
    assert (plan.current, plan.heads, plan.risk) == (("r1",), ("r2",), Risk.LOW)
    assert [verdict.revision.id for verdict in plan.verdicts] == ["r2"]
    assert plan.dialect == "sqlite"
    assert against_database(project).digest == plan.digest


def test_nothing_pending_is_a_plan_without_risk(project: Small) -> None:
    plan = against_database(project)
    assert (plan.risk, plan.verdicts, plan.heads) == (None, (), ("r1",))


def test_another_file_is_another_digest(project: Small) -> None:
    project.revision("r2", *EXPAND)
    first = against_database(project).digest
    path = project.folder / "migrations" / "versions" / "r2.py"
    path.write_text(path.read_text() + "\n# reviewed\n")
    assert against_database(project).digest != first


def test_a_plan_from_a_revision_asks_no_database(project: Small) -> None:
    project.revision("r2", *EXPAND)
    project.revision("r3", *DESTROY)
    project.file.unlink()
    plan = assess_from(*loaded(project), {}, "r2")
    assert (plan.current, plan.heads, plan.risk) == (("r2",), ("r3",), Risk.CRITICAL)
    assert "r2 was taken for its revision" in plan.notes[0]
    assert plan.target == "no database"
    assert not project.file.exists()
    everything = assess_from(*loaded(project), {}, "base")
    assert [verdict.revision.id for verdict in everything.verdicts] == ["r1", "r2", "r3"]
    assert "it was taken to be empty" in everything.notes[0]


def test_an_unknown_revision_is_one_clear_error(project: Small) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        assess_from(*loaded(project), {}, "nonsense")


def test_a_plan_since_a_branch_has_what_the_branch_adds(project: Small) -> None:
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    git(project, "checkout", "-b", "work")
    project.revision("r2", *EXPAND)
    git(project, "add", ".")
    git(project, "commit", "-m", "second")
    project.revision("r3", *DESTROY)
    plan = assess_since(*loaded(project), {}, "main")
    assert [verdict.revision.id for verdict in plan.verdicts] == ["r2", "r3"]
    assert (plan.current, plan.heads) == (("r1",), ("r3",))
    assert "main" in plan.notes[0]


def test_two_heads_are_refused_since_a_branch_as_they_are_from_a_revision(project: Small) -> None:
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    git(project, "checkout", "-b", "work")
    project.revision("r2", *EXPAND)
    project.parent = "r1"
    project.revision("other", *DESTROY)
    config, environment = loaded(project)
    for refused in (assess_since, assess_from):
        with pytest.raises(UsageError, match="several heads: ") as raised:
            refused(config, environment, {}, "main" if refused is assess_since else "r1")
        assert "alembic merge" in raised.value.next_commands[0]
    heads = replace(environment.migrate, command=("alembic", "upgrade", "heads"))
    plan = assess_since(config, replace(environment, migrate=heads), {}, "main")
    assert {verdict.revision.id for verdict in plan.verdicts} == {"r2", "other"}


def test_a_branch_that_adds_nothing_says_nothing_of_a_database(project: Small) -> None:
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    assert headline(assess_since(*loaded(project), {}, "main")) == "Nothing was added since main."
    assert headline(assess_from(*loaded(project), {}, "r1")) == "Nothing comes after r1."
    said = headline(against_database(project))
    assert said == "Nothing is pending; the database is at r1."


@pytest.mark.parametrize(
    ("command", "target"),
    [
        (("alembic", "upgrade", "head"), "head"),
        (("alembic", "-x", "a=b", "upgrade", "heads"), "heads"),
        (("flask", "db", "upgrade"), "head"),
        (("alembic", "upgrade", "b014"), "b014"),
        (("./migrate.sh",), "head"),
    ],
)
def test_where_a_command_upgrades_to(command: tuple[str, ...], target: str) -> None:
    assert upgrade_target(command) == target


def test_a_merge_takes_the_rows_of_what_it_merges(project: Small) -> None:
    for name, parent in (("left", "r1"), ("right", "r1"), ("both", ("left", "right"))):
        project.parent = parent  # type: ignore[assignment]
        project.revision(name, "pass", "pass")
    graph = load_graph(project.folder)
    assert after(("r1",), ["left"], graph) == ("left",)
    assert after(("left",), ["right"], graph) == ("left", "right")
    assert after(("r1",), ["left", "right", "both"], graph) == ("both",)


def test_revisions_are_read_where_the_migration_runs(project: Small) -> None:
    config, environment = loaded(project)
    assert isinstance(project_source(config, environment).launcher, Local)
    toml = project.folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace("[migrate]", '[migrate]\nrunner = "compose"'))
    config, environment = loaded(project)
    launcher = project_source(config, environment).launcher
    assert isinstance(launcher, Compose)
    assert launcher.compose[:2] == ("docker", "compose")


def test_what_would_run_is_told_by_the_files_alone(project: Small) -> None:
    project.revision("r2", *EXPAND)
    config, environment = loaded(project)
    before = would_run(config, environment, ("r1",))
    assert before is not None
    assert sorted(before) == ["env.py", "r2"]
    assert before["r2"] == against_database(project).verdicts[0].revision.digest
    assert would_run(config, environment, ("r2",)) == {}
    for name in ("versions/r2.py", "env.py"):
        file = project.folder / "migrations" / name
        file.write_text(file.read_text() + "\n# changed\n")
    after_that = would_run(config, environment, ("r1",))
    assert after_that is not None
    assert all(before[name] != after_that[name] for name in before)


def test_a_helper_of_the_project_is_a_part_of_what_would_run(project: Small) -> None:
    project.revision("r2", *EXPAND)
    file = project.folder / "migrations" / "versions" / "r2.py"
    file.write_text("from shop.data import fill\n" + file.read_text())
    helper = project.folder / "shop" / "data.py"
    helper.parent.mkdir()
    helper.write_text("def fill(): ...\n")
    config, environment = loaded(project)
    before = would_run(config, environment, ("r1",))
    assert before is not None
    assert sorted(before) == ["env.py", "r2", "shop/data.py"]
    helper.write_text("def fill(): drop_everything()\n")
    now = would_run(config, environment, ("r1",))
    assert now is not None
    assert differences({**before}, {**now}) == ("shop/data.py has changed",)


def test_what_would_run_is_not_told_where_env_py_decides_about_the_folders(project: Small) -> None:
    file = project.folder / "migrations" / "env.py"
    decides = "context.configure(connection=connection, version_locations=[os.environ['WHERE']],"
    text = file.read_text().replace("context.configure(connection=connection,", decides)
    file.write_text(text)
    config, environment = loaded(project)
    assert would_run(config, environment, ("r1",)) is None
