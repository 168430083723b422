"""An env.py that migrates another database than the one that was asked is found out before anything is changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deployguard.config import load
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.wiring import wire
from deployguard.errors import UsageError
from deployguard.gate import Mode
from deployguard.model import Plan
from tests.deploy.fakes import Recorder
from tests.deploy.real import EXPAND, Small, small


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_database: str) -> Iterator[Small]:
    with small(tmp_path, url=postgres_database.replace("postgresql:", "postgresql+psycopg:")) as it:
        yield it


def says(project: Small, url: str) -> None:
    """From now on env.py takes its URL from this piece of code."""
    file = project.folder / "migrations" / "env.py"
    text = file.read_text()
    assert 'os.environ["DATABASE_URL"]' in text
    file.write_text(text.replace('os.environ["DATABASE_URL"]', url))


def plan_of(project: Small) -> Plan:
    config = load(None, project.folder)
    world = wire(
        config, config.environment(), reporter=Recorder(), by="ann", environ=project.environ()
    )
    try:
        return world.assess()
    finally:
        world.journal.close()


def deploy(project: Small) -> None:
    config = load(None, project.folder)
    world = wire(
        config, config.environment(), reporter=Recorder(), by="ann", environ=project.environ()
    )
    try:
        saga.deploy(world, DeployOptions(mode=Mode.AUTO))
    finally:
        world.journal.close()


def test_a_database_of_its_own_is_refused_and_nothing_has_changed(project: Small) -> None:
    project.revision("r2", *EXPAND)
    other = project.folder / "other.db"
    says(project, f'"sqlite:///{other}"')
    plan = plan_of(project)
    assert str(other) in plan.elsewhere
    assert plan.notes[0] == plan.elsewhere, "it is the first thing that check says"
    with pytest.raises(UsageError, match=r"other\.db") as caught:
        deploy(project)
    assert "take the URL from DATABASE_URL" in caught.value.message
    assert "Nothing changed." in caught.value.state
    assert not other.exists()
    with closing(sqlite3.connect(project.file)) as link:
        assert link.execute("SELECT version_num FROM alembic_version").fetchall() == [("r1",)]


def test_another_server_is_refused(on_postgres: Small, postgres_database: str) -> None:
    on_postgres.revision("r2", *EXPAND)
    says(on_postgres, '"postgresql+psycopg://app:hunter2@other.example.org/shop"')
    with pytest.raises(UsageError, match=r"postgresql://other\.example\.org/shop") as caught:
        deploy(on_postgres)
    assert "hunter2" not in caught.value.message
    with psycopg.connect(postgres_database) as link:
        assert link.execute("SELECT version_num FROM alembic_version").fetchall() == [("r1",)]


def test_another_kind_of_database_is_refused(on_postgres: Small) -> None:
    on_postgres.revision("r2", *EXPAND)
    other = on_postgres.folder / "local.db"
    says(on_postgres, f'"sqlite:///{other}"')
    with pytest.raises(UsageError, match="sqlite:///"):
        deploy(on_postgres)
    assert not other.exists()


def test_another_database_of_the_same_server_is_refused(on_postgres: Small) -> None:
    on_postgres.revision("r2", *EXPAND)
    says(on_postgres, 'os.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/postgres"')
    with pytest.raises(UsageError, match="/postgres"):
        deploy(on_postgres)


def test_the_same_database_by_another_way_is_fine(on_postgres: Small) -> None:
    """env.py may have the address from its own settings, as long as it is the same one."""
    on_postgres.revision("r2", *EXPAND)
    says(on_postgres, repr(on_postgres.url.replace("+psycopg", "+psycopg2")))
    assert plan_of(on_postgres).elsewhere == ""


def test_an_address_that_is_put_together_is_found_with_pass_environment(
    on_postgres: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_postgres.revision("r2", *EXPAND)
    place, _, name = on_postgres.url.rpartition("@")[2].partition("/")
    host, _, port = place.partition(":")
    says(
        on_postgres,
        '"postgresql+psycopg://a@%s:%s/%s" % (os.environ.get("DB_HOST", "localhost"),'
        ' os.environ.get("DB_PORT", "5432"), os.environ.get("DB_NAME", "app"))',
    )
    assert "localhost:5432/app" in plan_of(on_postgres).elsewhere
    toml = on_postgres.folder / "deployguard.toml"
    names = '\n[read]\npass_environment = ["DB_HOST", "DB_PORT", "DB_NAME"]\n'
    toml.write_text(toml.read_text() + names)
    for key, value in (("DB_HOST", host), ("DB_PORT", port), ("DB_NAME", name)):
        monkeypatch.setenv(key, value)
    assert plan_of(on_postgres).elsewhere == ""


def test_the_evidence_outlives_a_reading_that_was_kept(project: Small) -> None:
    project.revision("r2", *EXPAND)
    says(project, f'"sqlite:///{project.folder / "other.db"}"')
    config = load(None, project.folder)
    for _ in range(2):
        world = wire(
            config,
            config.environment(),
            reporter=Recorder(),
            by="ann",
            environ=project.environ(),
            cached=True,
        )
        assert "other.db" in world.assess().elsewhere
        world.journal.close()


def test_a_project_that_makes_its_own_connections_is_not_accused(on_postgres: Small) -> None:
    on_postgres.revision("r2", *EXPAND)
    says(on_postgres, '"postgresql+psycopg://", creator=lambda: None')
    assert plan_of(on_postgres).elsewhere == ""
