"""Every fixture is a project that really runs: up, down, and, where it says so, not with `--sql`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.migrations_fixtures.scenarios import (
    DUMMY,
    Case,
    Warm,
    cases,
    copy_project,
)

CASES = cases()
REVERSIBLE = {"downgrade", "downgrade-loses-data", "nothing-to-undo"}


def having(dialect: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if dialect in case.dialects]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def really_run(warm: Warm, case: Case, dialect: str, folder: Path, url: str) -> None:
    before = copy_project(case, folder / "before", url, complete=False)
    warm.prepare(case, before, url)
    if case.error is not None or (case.without and not case.command):
        return  # broken on purpose: only the part that Alembic can load has run
    project = copy_project(case, folder / "project", url)
    ran = warm.migrate(case, project, url)
    if case.stops_at:
        assert ran.code != 0, f"{case.stops_at} was to fail"
        assert f"-> {case.stops_at}" in ran.output or case.stops_at in ran.output, ran.output
        return
    assert ran.code == 0, ran.output
    undo = {one["undo"] for one in case.expected(dialect, "live")["revisions"]}
    if undo and undo <= REVERSIBLE and not case.command:
        for target in case.current or ("base",):
            ran = warm.run(
                project, url, "alembic", "-n", case.section, "downgrade", target, **case.environment
            )
            assert ran.code == 0, ran.output


@having("sqlite")
def test_the_project_runs_on_sqlite(warm: Warm, case: Case, tmp_path: Path) -> None:
    url = case.url(f"sqlite:///{tmp_path / 'app.db'}")
    really_run(warm, case, "sqlite", tmp_path, url)


@having("postgresql")
def test_the_project_runs_on_postgresql(
    warm: Warm, case: Case, tmp_path: Path, postgres_database: str
) -> None:
    really_run(warm, case, "postgresql", tmp_path, case.url(postgres_database))


# `--sql` takes one revision to start from.
RENDERED = [case for case in CASES if case.revision and len(case.current) < 2]


@pytest.mark.parametrize("case", RENDERED, ids=lambda case: case.name)
def test_alembic_renders_sql_offline_just_where_the_scenario_says_so(
    warm: Warm, case: Case, tmp_path: Path
) -> None:
    rendered = []
    for dialect in case.dialects:
        url = case.url(DUMMY[dialect])
        project = copy_project(case, tmp_path / dialect, url)
        start = case.current[0] if case.current else "base"
        target = case.config.get("migrate", {}).get("command", ["heads"])[-1]
        target = "heads" if case.command else target
        argv = ("alembic", "-n", case.section, "upgrade", f"{start}:{target}", "--sql")
        ran = warm.run(project, url, *argv, **case.environment)
        if ran.code == 0 and "-- Running upgrade" in ran.output:
            rendered.append(dialect)
    assert tuple(rendered) == tuple(d for d in case.dialects if d in case.offline)
