"""Writers are held still around a risky migration; whatever was stopped runs again, or it is shouted."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.config import QuiesceConfig
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, NeedsHuman, Refused, RolledBack, UsageError
from deployguard.gate import Mode
from deployguard.state import EventKind, Status
from tests.deploy.asking import AUTO, approved, last, last_id
from tests.deploy.fakes import (
    AFTER,
    V1,
    V2,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)

STILL = QuiesceConfig(level="high", services=("cron",), maintenance_file="maintenance")
ASKED = replace(AUTO, quiesce=True)


def quiet(folder: Path, **more: object) -> World:
    return make_world(folder, settings=environment(quiesce=STILL), **more)  # type: ignore[arg-type]


def test_a_risky_migration_runs_while_writers_are_held_still(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path, pending=critical())
    saga.deploy(world, approved(world))
    assert production.effects() == [
        "close",
        "backup pre-deploy",
        "upgrade ok",
        f"start {V2}",
        "open",
    ]
    assert (production["cron"], production["closed"]) == (True, False)


def test_below_the_level_nothing_is_held_still_unless_it_is_asked_for(
    tmp_path: Path, production: Production
) -> None:
    saga.deploy(quiet(tmp_path), AUTO)
    assert "close" not in production.effects()
    production.change(revision=["a"], schema="old", release="v1")
    saga.deploy(quiet(tmp_path), ASKED)
    assert production.effects()[2:] == ["close", "upgrade ok", f"start {V2}", "open"]


def test_nothing_pending_holds_nothing_still(tmp_path: Path, production: Production) -> None:
    production.change(revision=[AFTER], schema="new")
    saga.deploy(quiet(tmp_path), ASKED)
    assert production.effects() == [f"start {V2}"]


def test_asking_for_it_where_nothing_is_configured_is_a_usage_error(
    tmp_path: Path, production: Production
) -> None:
    world = replace(make_world(tmp_path), quiescer=None)
    with pytest.raises(UsageError, match="--quiesce has nothing to hold still"):
        saga.deploy(world, ASKED)


def test_a_service_that_did_not_run_before_is_not_started(
    tmp_path: Path, production: Production
) -> None:
    production.change(cron=False)
    saga.deploy(quiet(tmp_path), ASKED)
    assert (production["cron"], production["closed"]) == (False, False)


def test_what_is_stopped_is_journaled_before_it_is_stopped(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path)
    production.script(close="fails")
    with pytest.raises(DeployguardError, match="does not stop"):
        saga.deploy(world, ASKED)
    events = [e for e in world.journal.events(last_id(world)) if e.step == "quiesce"]
    assert [e.kind for e in events][:3] == [EventKind.INTENT, EventKind.NOTE, EventKind.FAILED]
    assert events[1].evidence["services"] == ["cron"]
    assert production.effects() == ["close", "open"]
    assert last(world) is Status.FAILED


def test_a_refusal_after_it_lets_everything_go(tmp_path: Path, production: Production) -> None:
    world = quiet(tmp_path, pending=critical())
    options = approved(world)
    production.script(when={"verify": {"revision": ["stranger"]}})
    with pytest.raises(Refused, match="somebody else migrates it"):
        saga.deploy(world, options)
    assert (production["cron"], production["closed"]) == (True, False)


def test_what_cannot_be_let_go_is_shouted_in_the_error_and_in_the_history(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path, pending=critical())
    options = approved(world)
    production.script(when={"verify": {"revision": ["stranger"]}}, open="fails")
    with pytest.raises(Refused) as caught:
        saga.deploy(world, options)
    for said in (caught.value.state, world.journal.history("production")[0].summary):
        assert "THE APPLICATION IS HELD STILL" in said
        assert "docker compose start cron; rm -f maintenance" in said


def test_a_way_back_lets_everything_go(tmp_path: Path, production: Production) -> None:
    world = quiet(tmp_path)
    production.script(upgrade="fails")
    with pytest.raises(RolledBack):
        saga.deploy(world, ASKED)
    assert production.effects() == ["close", "upgrade fails", "open"]
    assert (production["cron"], production["closed"]) == (True, False)


def test_a_way_back_brings_what_was_held_still_back_to_what_it_ran(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], cron_too=True)
    with pytest.raises(RolledBack):
        saga.deploy(quiet(tmp_path), ASKED)
    assert f"put back cron {V1}" in production.effects()  # and not "not running"
    assert production["cron"] is True


def test_a_deploy_that_needs_a_person_stays_held_still_and_says_so(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path, pending=critical())
    options = approved(world)
    production.script(upgrade="leaves-residue", when={"verify": {"writes": 1}})
    with pytest.raises(NeedsHuman) as caught:
        saga.deploy(world, options)
    assert production["closed"] is True
    assert "THE APPLICATION IS HELD STILL" in caught.value.state
    deploy = last_id(world)
    assert "THE APPLICATION IS HELD STILL" in world.journal.history("production")[0].summary
    saga.rollback(world, RollbackOptions(restore=True, confirm=deploy))
    assert (production["cron"], production["closed"]) == (True, False)


def test_a_deploy_that_cannot_let_go_is_not_taken_back_and_can_be_tried_again(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path)
    production.script(open="fails")
    with pytest.raises(NeedsHuman, match="could not be let go") as caught:
        saga.deploy(world, ASKED)
    assert caught.value.state.count("THE APPLICATION IS HELD STILL") == 1
    assert "deployguard resume --env production" in caught.value.next_commands
    assert production["release"] == V2
    production.script(open="ok")
    assert saga.resume(world).status is Status.DONE
    assert (production["cron"], production["closed"]) == (True, False)
    assert production.effects().count("upgrade ok") == 1


def test_a_configuration_that_forgot_what_it_stopped_is_not_taken_for_let_go(
    tmp_path: Path, production: Production
) -> None:
    world = quiet(tmp_path)
    production.script(open="fails")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, ASKED)
    forgot = replace(make_world(tmp_path), quiescer=None)
    with pytest.raises(NeedsHuman, match="taken out of the configuration") as caught:
        saga.resume(forgot)
    assert "stopped: cron" in caught.value.state


def test_closing_by_hand_says_what_is_still_held(tmp_path: Path, production: Production) -> None:
    reporter = Recorder()
    world = quiet(tmp_path, reporter=reporter)
    production.script(open="fails")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, ASKED)
    saga.close(world, "done by hand")
    assert any("THE APPLICATION IS HELD STILL" in said for kind, said in reporter.told)


def test_skip_migrate_holds_nothing_still(tmp_path: Path, production: Production) -> None:
    saga.deploy(quiet(tmp_path), DeployOptions(Mode.SKIP, quiesce=True))
    assert "close" not in production.effects()
