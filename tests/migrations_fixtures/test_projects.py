"""Every fixture is a project that really runs: up, down, and, where it says so, not with `--sql`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.migrations_fixtures.scenarios import (
    DUMMY,
    Alembic,
    Case,
    cases,
    copy_project,
    warm_alembic,
)

CASES = cases()
REVERSIBLE = {"downgrade", "downgrade-loses-data", "nothing-to-undo"}


@pytest.fixture(scope="session")
def alembic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alembic]:
    with warm_alembic(tmp_path_factory.mktemp("alembic")) as warm:
        yield warm


def having(dialect: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if dialect in case.dialects]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def really_run(alembic: Alembic, case: Case, dialect: str, folder: Path, url: str) -> None:
    before = copy_project(case, folder / "before", url, complete=False)
    alembic.prepare(case, before, url)
    if case.error is not None or (case.without and not case.command):
        return  # broken on purpose: only the part that Alembic can load has run
    project = copy_project(case, folder / "project", url)
    ran = alembic.migrate(case, project, url)
    if case.stops_at:
        assert ran.code != 0, f"{case.stops_at} was to fail"
        assert f"-> {case.stops_at}" in ran.output or case.stops_at in ran.output, ran.output
        return
    assert ran.code == 0, ran.output
    undo = {one["undo"] for one in case.expected(dialect, "live")["revisions"]}
    if undo and undo <= REVERSIBLE and not case.command:
        for target in case.current or ("base",):
            ran = alembic.run(project, url, "alembic", "downgrade", target, **case.environment)
            assert ran.code == 0, ran.output


@having("sqlite")
def test_the_project_runs_on_sqlite(alembic: Alembic, case: Case, tmp_path: Path) -> None:
    url = case.url(f"sqlite:///{tmp_path / 'app.db'}")
    really_run(alembic, case, "sqlite", tmp_path, url)


@having("postgresql")
def test_the_project_runs_on_postgresql(
    alembic: Alembic, case: Case, tmp_path: Path, postgres_database: str
) -> None:
    really_run(alembic, case, "postgresql", tmp_path, case.url(postgres_database))


# `--sql` takes one revision to start from.
RENDERED = [case for case in CASES if case.revision and len(case.current) < 2]


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: case.name)
def test_alembic_renders_sql_offline_just_where_the_scenario_says_so(
    alembic: Alembic, case: Case, tmp_path: Path
) -> None:
    rendered = []
    for dialect in case.dialects:
        url = case.url(DUMMY[dialect])
        project = copy_project(case, tmp_path / dialect, url)
        start = case.current[0] if case.current else "base"
        target = case.config.get("migrate", {}).get("command", ["heads"])[-1]
        target = "heads" if case.command else target
        argv = ("alembic", "upgrade", f"{start}:{target}", "--sql")
        ran = alembic.run(project, url, *argv, **case.environment)
        if ran.code == 0 and "-- Running upgrade" in ran.output:
            rendered.append(dialect)
    assert tuple(rendered) == tuple(d for d in case.dialects if d in case.offline)
