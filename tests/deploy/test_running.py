"""A migration that still runs: nothing is called undone, and nothing is taken back, while it may yet commit."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import EnvironmentUnreachable, NeedsHuman, Refused, RolledBack
from deployguard.migrators.base import Exit, Started
from deployguard.state import Status
from tests.deploy.asking import AUTO, last, untouched
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    PENDING,
    V1,
    Production,
    make_world,
)
from tests.deploy.plans import CREATE, verdict
from tests.deploy.production import FakeMigrator
from tests.deploy.test_kill import killed_at

CONTRACTING = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))


def left_running(folder: Path, production: Production) -> None:
    """A deploy whose process was killed while its migration goes on by itself."""
    production.script(upgrade="runs")
    at = ("migrate", "after-note")
    assert killed_at(folder, at, lambda world: saga.deploy(world, AUTO), PENDING, nth=2)


def ends_well(production: Production) -> None:
    """The migration commits and ends, whoever watches it."""
    [name] = production["runs"]  # type: ignore[misc]
    rows = {**production["rows"], "notes": 0}  # type: ignore[dict-item]
    production.change(revision=[AFTER], schema="new", rows=rows, runs={name: [0, []]})


def test_a_rollback_is_refused_while_the_migration_runs(
    tmp_path: Path, production: Production
) -> None:
    left_running(tmp_path, production)
    effects = production.effects()
    world = make_world(tmp_path)
    with pytest.raises(Refused, match="still runs, and what it does will be committed") as caught:
        saga.rollback(world, RollbackOptions())
    assert caught.value.next_commands[-1] == "deployguard resume --env production"
    assert production.effects() == effects, "it was told that nothing was changed"
    assert world.journal.unfinished("production") is not None
    for ask in (RollbackOptions(to=BEFORE), RollbackOptions(restore=True)):
        with pytest.raises(Refused, match="still runs"):
            saga.rollback(world, ask)


def test_a_rollback_after_the_migration_has_ended_takes_back_what_it_did(
    tmp_path: Path, production: Production
) -> None:
    left_running(tmp_path, production)
    ends_well(production)
    world = make_world(tmp_path)
    assert saga.rollback(world, RollbackOptions()).status is Status.DONE
    untouched(production)
    assert production["runs"] == {}, "what was left of it is removed"
    assert world.journal.unfinished("production") is None


def test_a_resume_watches_it_again(tmp_path: Path, production: Production) -> None:
    left_running(tmp_path, production)
    ends_well(production)
    assert saga.resume(make_world(tmp_path)).status is Status.DONE
    assert production["revision"] == [AFTER]


def test_a_rollback_ends_no_session_before_its_first_change(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    production.script(upgrade="fails", survivors=["4711"], terminate="impossible")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    production.script(terminate="possible")
    with pytest.raises(Refused, match="still work for the migration"):
        saga.rollback(world, RollbackOptions())
    assert production.says("survivors") == ["4711"]
    with pytest.raises(RolledBack):
        saga.resume(world)
    assert production.says("survivors") == []
    untouched(production)


def with_migrator(world: World, follow: Callable[[FakeMigrator], None]) -> World:
    class Unwatched(FakeMigrator):
        def follow(self, started: Started, on_line: Callable[[str], None]) -> Exit:
            follow(self)
            return super().follow(started, on_line)

    assert isinstance(world.migrator, FakeMigrator)
    return dataclasses.replace(world, migrator=Unwatched(world.migrator.world))


def disk_full(migrator: FakeMigrator) -> None:
    raise OSError(28, "No space left on device")


def engine_away(migrator: FakeMigrator) -> None:
    raise EnvironmentUnreachable("No Docker engine answers.")


@pytest.mark.parametrize("failure", [disk_full, engine_away])
def test_a_migration_that_cannot_be_watched_is_neither_failed_nor_taken_back(
    tmp_path: Path, production: Production, failure: Callable[[FakeMigrator], None]
) -> None:
    production.script(upgrade="runs")
    world = with_migrator(make_world(tmp_path), failure)
    with pytest.raises(NeedsHuman, match="could not be watched any longer") as caught:
        saga.deploy(world, AUTO)
    assert "may" in caught.value.state
    assert production.effects() == ["upgrade runs"]
    assert last(world) is Status.NEEDS_HUMAN
    ends_well(production)
    assert saga.resume(make_world(tmp_path)).status is Status.DONE
    assert production["revision"] == [AFTER]


def test_a_migration_that_has_ended_is_judged_although_its_log_cannot_be_kept(
    tmp_path: Path, production: Production
) -> None:
    production.script(upgrade="fails")
    world = with_migrator(make_world(tmp_path), disk_full)
    with pytest.raises(NeedsHuman):  # the log of what is left cannot be kept either
        saga.deploy(world, AUTO)
    with pytest.raises(RolledBack):
        saga.resume(make_world(tmp_path))
    untouched(production)
    assert production["runs"] == {}


def test_a_second_rollback_is_refused_while_the_first_ones_downgrade_runs(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=CONTRACTING)
    name = saga.deploy(world, AUTO).deploy
    world.journal.close()
    production.script(downgrade="runs")
    at = ("downgrade", "after-note")

    def back(world: World) -> object:
        return saga.rollback(world, RollbackOptions(name))

    assert killed_at(tmp_path, at, back, CONTRACTING, nth=2)
    world = make_world(tmp_path, pending=CONTRACTING)
    with pytest.raises(Refused, match="still runs"):
        saga.rollback(world, RollbackOptions(name))
    production.script(downgrade="ok")
    [run] = production["runs"]  # type: ignore[misc]
    production.change(
        revision=[BEFORE], schema="old", rows={"rooms": 3}, runs={run: [0, ["Running downgrade"]]}
    )
    assert saga.resume(world).status is Status.DONE
    untouched(production)
    assert production["release"] == V1


def test_a_hiccup_while_tidying_up_does_not_make_a_failure_of_a_success(
    tmp_path: Path, production: Production
) -> None:
    class Untidy(FakeMigrator):
        def tidy(self, started: Started) -> None:
            raise EnvironmentUnreachable("No Docker engine answers.")

    world = dataclasses.replace(make_world(tmp_path), migrator=Untidy(production))
    assert saga.deploy(world, AUTO).status is Status.DONE
