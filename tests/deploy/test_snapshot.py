"""A check against a file of facts says what a check against the database itself says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from deployguard.config import load, parse_url
from deployguard.database import connect
from deployguard.database.facts_file import Snapshot, document, parse
from deployguard.deploy.assess import assess
from deployguard.deploy.snapshot import assess_facts, take
from deployguard.errors import UsageError
from deployguard.formats import render
from deployguard.formats.words import headline
from deployguard.model import Evidence, Plan, Risk
from tests.deploy.real import DESTROY, EXPAND, Small, small
from tests.deploy.test_assess import git

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
INDEX = ("""op.create_index("rooms_name", "rooms", ["name"])""", "pass")
GUARDED = (
    """if not sa.inspect(op.get_bind()).has_table("rooms"):
    op.drop_table("rooms")""",
    "pass",
)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


@pytest.fixture
def on_postgres(tmp_path: Path, postgres_database: str) -> Iterator[Small]:
    with small(tmp_path, url=postgres_database.replace("postgresql:", "postgresql+psycopg:")) as it:
        yield it


def live(project: Small) -> tuple[Plan, Snapshot]:
    config = load(None, project.folder)
    environment = config.environment()
    with connect(parse_url(project.url, "the test"), directory=project.folder) as database:
        snapshot = take(config, environment, database, NOW)
        plan = assess(config, environment, project.environ(), database)
    return plan, parse(render(document(snapshot)), "facts.json")


def offline(project: Small, snapshot: Snapshot, **asked: object) -> Plan:
    config = load(None, project.folder)
    values: dict[str, object] = {"name": "facts.json", "now": NOW, **asked}
    config = replace(config, project=replace(config.project, dialect=snapshot.facts.dialect))
    return assess_facts(config, config.environment(), {}, snapshot, **values)  # type: ignore[arg-type]


def same(plan: Plan, other: Plan) -> None:
    assert plan.verdicts == other.verdicts
    assert (plan.current, plan.heads, plan.answers) == (other.current, other.heads, other.answers)


def test_a_file_gives_the_verdicts_of_the_sqlite_database(project: Small) -> None:
    for name, revision in (("r2", INDEX), ("r3", GUARDED), ("r4", DESTROY)):
        project.revision(name, *revision)
    plan, snapshot = live(project)
    project.file.unlink()
    same(plan, offline(project, snapshot))
    assert [one.risk for one in plan.verdicts][::2] == [Risk.LOW, Risk.CRITICAL]
    assert plan.verdicts[1].revision.evidence is Evidence.RECORDED
    assert plan.verdicts[1].risk is Risk.LOW, "the catalogue decided: the table is there"


@pytest.mark.parametrize("postgres_server", [15, 16, 18], indirect=True)
def test_a_file_gives_the_verdicts_of_the_postgresql_database(
    on_postgres: Small, postgres_database: str
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(b"INSERT INTO rooms (name) SELECT repeat('x', 200) FROM generate_series(1, 9)")
        link.execute(b"ALTER TABLE rooms ALTER size TYPE varchar(10)")
    retype = """op.alter_column("rooms", "size", type_=sa.String(20))"""
    for name, revision in (("r2", INDEX), ("r3", (retype, "pass")), ("r4", DESTROY)):
        on_postgres.revision(name, *revision)
    plan, snapshot = live(on_postgres)
    same(plan, offline(on_postgres, snapshot))
    assert [one.risk for one in plan.verdicts] == [Risk.LOW, Risk.LOW, Risk.CRITICAL]
    rules = {finding.rule for finding in plan.verdicts[1].findings}
    assert rules == {"DG601"}, "the old type is in the catalogue: a wider one is free"


def test_the_notes_say_what_the_facts_are_of_and_when_they_are_stale(project: Small) -> None:
    project.revision("r2", *EXPAND)
    _, snapshot = live(project)
    fresh = offline(project, snapshot).notes
    assert "from facts.json, the facts of development (app.db) at 2026-02-18 10:30 UTC" in fresh[0]
    assert not [note for note in fresh if "old" in note]
    week = offline(project, snapshot, now=NOW + timedelta(days=7)).notes
    assert any("7 days old" in note for note in week)
    assert not any("old:" in n for n in offline(project, snapshot, now=NOW + timedelta(6)).notes)
    early = offline(project, snapshot, now=NOW - timedelta(hours=1)).notes
    assert any("future" in note for note in early)
    toml = project.folder / "deployguard.toml"
    toml.write_text(toml.read_text() + "\n[read]\nfacts_days = 30\n")
    later = offline(project, snapshot, now=NOW + timedelta(days=20)).notes
    assert not any("days old" in note for note in later)


def test_the_digest_does_not_depend_on_when_the_facts_were_taken(project: Small) -> None:
    project.revision("r2", *EXPAND)
    _, snapshot = live(project)
    first = offline(project, snapshot).digest
    assert offline(project, replace(snapshot, made=NOW - timedelta(days=3))).digest == first


def test_a_start_chooses_among_what_is_pending_there(project: Small) -> None:
    for name, revision in (("r2", EXPAND), ("r3", INDEX), ("r4", DESTROY)):
        project.revision(name, *revision)
    _, snapshot = live(project)
    plan = offline(project, snapshot, start="r3")
    assert [one.revision.id for one in plan.verdicts] == ["r4"]
    assert (plan.current, plan.heads) == (("r3",), ("r4",))
    with pytest.raises(UsageError, match="is past base"):
        offline(project, snapshot, start="base")


def test_only_what_a_branch_adds_is_judged_against_the_facts(project: Small) -> None:
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    git(project, "checkout", "-b", "work")
    _, before = live(project)
    project.revision("r2", *EXPAND)
    project.revision("r3", *INDEX)
    plan = offline(project, before, since="main")
    assert [one.revision.id for one in plan.verdicts] == ["r2", "r3"]
    assert plan.verdicts[1].risk is Risk.LOW
    project.alembic("upgrade", "r2")
    _, ahead = live(project)
    plan = offline(project, ahead, since="main")
    assert [one.revision.id for one in plan.verdicts] == ["r3"]
    assert any("Already in the database of the facts: r2" in note for note in plan.notes)


def test_what_is_pending_apart_from_the_branch_is_not_denied(project: Small) -> None:
    _, snapshot = live(project)
    assert headline(offline(project, snapshot)).endswith("the database of the facts was at r1.")
    project.revision("r2", *EXPAND)
    project.revision("r3", *INDEX)
    git(project, "init", "-b", "main")
    git(project, "add", ".")
    git(project, "commit", "-m", "first")
    said = "Nothing that was added since main is pending; 2 other revisions are."
    assert headline(offline(project, snapshot, since="main")) == said
    said = "Nothing that follows r3 is pending; 2 other revisions are."
    assert headline(offline(project, snapshot, start="r3")) == said


def test_facts_of_something_else_are_refused(project: Small) -> None:
    _, snapshot = live(project)
    other = replace(snapshot, facts=replace(snapshot.facts, dialect="mysql"))
    config = load(None, project.folder)
    with pytest.raises(UsageError, match="mysql database, but this check is for postgresql"):
        assess_facts(config, config.environment(), {}, other, name="f", now=NOW)
    with pytest.raises(UsageError, match="version_table is alembic_version"):
        offline(project, replace(snapshot, version_table="tenant.versions"))
    with pytest.raises(UsageError, match="nowhere"):
        offline(project, replace(snapshot, current=("nowhere",)))


def test_a_table_that_somebody_has_locked_is_not_waited_for(
    on_postgres: Small, postgres_database: str
) -> None:
    on_postgres.revision("r2", *INDEX)
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(b"INSERT INTO rooms (name) VALUES ('a')")
    config = load(None, on_postgres.folder)
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE")
        with connect(parse_url(on_postgres.url, "x"), directory=on_postgres.folder) as database:
            plan = assess(config, config.environment(), on_postgres.environ(), database)
    assert [one.risk for one in plan.verdicts] == [Risk.MEDIUM], "unknown is not small"
    assert any("The size of rooms is not known" in note for note in plan.notes)
    assert any("replayed from the history instead" in note for note in plan.notes)
