"""The doctor asks what a deploy would ask, of a real project, a real server, and says what is not as it must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deployguard.deploy import doctor
from deployguard.deploy.doctor import Diagnosis, Finding
from deployguard.deploy.world import World
from deployguard.state import Kind
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.real import Small, small
from tests.deploy.test_real_postgres import Postgres
from tests.deploy.test_real_sqlite import world_of

postgres = real_postgres.project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def looked(world: World) -> dict[str, Diagnosis]:
    return {one.name: one for one in doctor.examine(world)}


def test_a_project_that_can_be_deployed_has_nothing_wrong(project: Small) -> None:
    found = looked(world_of(project))
    assert {name for name, one in found.items() if one.found is Finding.WRONG} == set()
    assert found["revisions"].said == "the newest is r1"
    assert found["migrations"].said == "can be run (local)"
    assert found["health"].said == "1 checks are configured"
    assert found["off-site"].found is Finding.LOOK  # said, and no reason to stop
    assert "clock" not in found  # there is no server


def test_each_thing_that_is_wrong_is_told_and_the_others_are_still_looked_at(
    project: Small,
) -> None:
    world = world_of(project)
    (project.folder / "alembic.ini").unlink()
    (project.folder / ".deployguard").mkdir(exist_ok=True)
    (project.folder / ".deployguard" / "backups").write_text("in the way")
    found = looked(world)
    assert found["migrations"].found is Finding.WRONG
    assert found["backups"].found is Finding.WRONG
    assert found["health"].found is Finding.WELL


def test_an_unfinished_deploy_is_the_first_thing_to_see(project: Small) -> None:
    world = world_of(project)
    run = world.journal.begin("development", Kind.DEPLOY, "ann")
    assert run.id in looked(world)["state folder"].said
    assert looked(world)["state folder"].commands == ("deployguard status --env development",)


def test_the_clock_of_a_real_server_is_compared_with_ours(postgres: Postgres) -> None:
    world = postgres.world()
    found = looked(world)
    assert found["database"].found is Finding.WELL
    assert found["clock"].found is Finding.WELL
    late = replace(world, clock=lambda: world.clock() + timedelta(minutes=3))
    assert looked(late)["clock"].found is Finding.LOOK
    assert "s apart; approvals expire by ours" in looked(late)["clock"].said
    early = replace(world, clock=lambda: world.clock() - timedelta(minutes=3))
    assert looked(early)["clock"].found is Finding.LOOK


def test_a_server_that_is_down_is_told_without_its_password(
    project: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "url", "postgresql://app:canary-of-doctor@127.0.0.1:1/app")
    found = looked(world_of(project))
    assert found["database"].found is Finding.WRONG
    assert found["health"].found is Finding.WELL
    assert not any("canary-of-doctor" in one.said for one in found.values())
