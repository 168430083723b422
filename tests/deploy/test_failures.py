"""A deploy that fails after its first change: what is undone, what is said, and what is left to a person."""

from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import (
    Busy,
    NeedsHuman,
    Refused,
    RolledBack,
)
from deployguard.state import EventKind, Status
from tests.deploy.asking import AUTO, approved, last, last_id, untouched
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    V1,
    V2,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)
from tests.deploy.plans import CREATE, verdict


def test_a_migration_that_fails_without_a_trace_leaves_everything_as_it_was(
    world: World, production: Production
) -> None:
    production.script(upgrade="fails")
    with pytest.raises(RolledBack) as caught:
        saga.deploy(world, AUTO)
    assert "no such column" in caught.value.message
    assert "come to revision a" in caught.value.message
    untouched(production)
    assert last(world) is Status.ROLLED_BACK


def test_a_migration_that_lies_about_its_success_is_found_out(
    world: World, production: Production
) -> None:
    production.script(upgrade="does-nothing")
    with pytest.raises(NeedsHuman, match="it migrated something else") as caught:
        saga.deploy(world, AUTO)
    assert "the previous application was not touched" in caught.value.state
    assert production.effects() == ["upgrade does-nothing"]
    untouched(production)
    with pytest.raises(Refused, match="it migrated something else"):
        saga.rollback(world, RollbackOptions())


def test_residue_of_a_failed_revision_is_restored_when_nobody_wrote(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(upgrade="leaves-residue")
    with pytest.raises(RolledBack) as caught:
        saga.deploy(world, options)
    untouched(production)
    assert "restore" in production.effects()
    [kept] = production["kept"]  # type: ignore[misc]
    assert kept in caught.value.state


@pytest.mark.parametrize("writes", [1, "unknown"])
def test_residue_needs_a_person_when_somebody_may_have_written(
    tmp_path: Path, production: Production, writes: object
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(upgrade="leaves-residue")
    if writes == 1:  # a client, between backup and arming
        production.script(when={"verify": {"writes": 1}})
    else:
        production.script(writes="unknown")
    with pytest.raises(NeedsHuman) as caught:
        saga.deploy(world, options)
    deploy = world.journal.history()[0].id
    assert caught.value.exit_code == 22
    assert f"deployguard rollback {deploy} --restore" in caught.value.next_commands
    assert "deployguard resume --env production" in caught.value.next_commands
    assert last(world) is Status.NEEDS_HUMAN
    assert "restore" not in production.effects()
    with pytest.raises(Busy) as busy:
        saga.deploy(world, AUTO)
    assert f"deployguard rollback {deploy} --env production" in busy.value.next_commands


def test_an_unhealthy_application_is_put_back_and_an_expanded_schema_stays(
    world: World, production: Production
) -> None:
    production.script(sick=[V2])
    with pytest.raises(RolledBack, match="not healthy") as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == 21
    assert production["release"] == V1
    assert production["revision"] == [AFTER]
    assert production.effects() == ["upgrade ok", f"start {V2}", f"start {V1}"]


def test_an_application_that_sickens_while_it_is_watched_is_put_back(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, settings=environment(bake=60.0))
    production.script(sickens=[V2])
    with pytest.raises(RolledBack, match="not healthy: 503"):
        saga.deploy(world, AUTO)
    assert production["release"] == V1
    assert production["revision"] == [AFTER]  # it only adds
    events = world.journal.events(last_id(world))
    assert [e.step for e in events if e.kind is EventKind.FAILED] == ["bake"]


def test_what_was_in_service_before_it_sickened_needs_a_person_on_a_contracted_schema(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical(), settings=environment(bake=60.0))
    options = approved(world)
    production.script(sickens=[V2])
    with pytest.raises(NeedsHuman):
        saga.deploy(world, options)
    assert "restore" not in production.effects()
    assert production["release"] == V2


def test_nothing_is_watched_unless_it_is_asked_for(world: World, production: Production) -> None:
    production.script(sickens=[V2])
    assert saga.deploy(world, AUTO).status is Status.DONE


@pytest.mark.parametrize("bake", [0.0, 60.0])
def test_an_application_of_which_nobody_knows_needs_a_person_and_can_be_asked_again(
    tmp_path: Path, production: Production, bake: float
) -> None:
    world = make_world(tmp_path, settings=environment(bake=bake))
    production.script(unknown=[V2])
    with pytest.raises(NeedsHuman, match="healthy is not known: nobody answers") as caught:
        saga.deploy(world, AUTO)
    assert last(world) is Status.NEEDS_HUMAN
    assert production["release"] == V2  # nothing was taken back
    assert "took nothing back" in caught.value.state
    assert caught.value.next_commands == (
        "deployguard resume --env production",
        f"deployguard rollback {last_id(world)}",
    )
    with pytest.raises(NeedsHuman):
        saga.resume(world)
    production.script(unknown=[])
    assert saga.resume(world).status is Status.DONE
    assert production.effects() == ["upgrade ok", f"start {V2}"]


def test_an_application_of_which_nobody_knows_can_be_taken_back(
    world: World, production: Production
) -> None:
    production.script(unknown=[V2])
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    assert saga.rollback(world, RollbackOptions()).status is Status.DONE
    assert production["release"] == V1


def test_an_unhealthy_application_on_a_contracted_schema_is_downgraded_before_it_is_put_back(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=verdict(AFTER, BEFORE, expand=False, operations=(CREATE,)))
    production.script(sick=[V2])
    with pytest.raises(RolledBack):
        saga.deploy(world, AUTO)
    untouched(production)
    assert production.effects() == [
        "upgrade ok",
        f"start {V2}",
        "stop",
        "downgrade ok",
        f"start {V1}",
    ]


def test_a_downgrade_that_would_lose_new_rows_is_not_run(
    tmp_path: Path, production: Production
) -> None:
    pending = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
    world = make_world(tmp_path, pending=pending)
    production.script(sick=[V2])
    production.script(when={"poll": {"rows": {"rooms": 3, "notes": 2}}})
    with pytest.raises(NeedsHuman, match="the new table notes holds 2 row"):
        saga.deploy(world, AUTO)
    assert "downgrade ok" not in production.effects()


def test_a_critical_migration_under_an_unhealthy_application_is_restored(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2])
    with pytest.raises(RolledBack):
        saga.deploy(world, options)
    untouched(production)
    assert production["rows"] == {"rooms": 3}
    assert production.effects() == [
        "backup pre-deploy",
        "upgrade ok",
        f"start {V2}",
        "stop",
        "restore",
        f"start {V1}",
    ]


def test_a_write_between_the_decision_and_the_stop_is_not_lost(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], when={"stopped": {"writes": 1, "rows": {"rooms": 4}}})
    with pytest.raises(NeedsHuman, match="wrote meanwhile"):
        saga.deploy(world, options)
    assert production["rows"] == {"rooms": 4}
    assert production["up"] is True
    assert "restore" not in production.effects()


def test_data_is_not_taken_back_under_an_application_that_cannot_be_stopped(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], stop="impossible")
    with pytest.raises(NeedsHuman, match="cannot stop the application"):
        saga.deploy(world, options)
    assert "restore" not in production.effects()


def test_an_application_that_does_not_start_is_put_back(
    world: World, production: Production
) -> None:
    production.script(update="fails")
    with pytest.raises(RolledBack, match="does not start"):
        saga.deploy(world, AUTO)
    assert production["release"] == V1


def test_wrong_data_after_a_healthy_start_is_taken_back(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, settings=environment(verify_sql=("SELECT 0",)))
    production.script(verify_sql="wrong")
    with pytest.raises(RolledBack, match="SELECT 0"):
        saga.deploy(world, AUTO)
    assert production["release"] == V1


def test_a_session_that_outlives_its_client_is_ended_before_anything_is_decided(
    world: World, production: Production
) -> None:
    production.script(upgrade="fails", survivors=["4711"])
    with pytest.raises(RolledBack):
        saga.deploy(world, AUTO)
    untouched(production)
    assert isinstance(world.reporter, Recorder)
    assert any("were terminated" in text for kind, text in world.reporter.told if kind == "note")


def test_a_session_that_cannot_be_ended_needs_a_person(
    world: World, production: Production
) -> None:
    production.script(upgrade="fails", survivors=["4711"], terminate="impossible")
    with pytest.raises(NeedsHuman, match="still work for the migration"):
        saga.deploy(world, AUTO)


def test_a_way_back_that_fails_needs_a_person_and_says_that_the_application_is_stopped(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], restore="fails")
    with pytest.raises(NeedsHuman) as caught:
        saga.deploy(world, options)
    assert "THE APPLICATION IS STOPPED" in caught.value.state
    production.script(restore="works")
    with pytest.raises(RolledBack):
        saga.resume(world)
    untouched(production)


def test_a_database_that_goes_away_during_the_migration_needs_a_person(
    world: World, production: Production
) -> None:
    production.script(when={"followed": {"script": {"database": "down"}}})
    with pytest.raises(NeedsHuman, match="could not be read"):
        saga.deploy(world, AUTO)
    production.script(database="up", when={})
    with pytest.raises(RolledBack):
        saga.resume(world)
    assert last(world) is Status.ROLLED_BACK
