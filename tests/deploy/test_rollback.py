"""A deploy is taken back because a person asks for it."""

from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    Busy,
    NeedsHuman,
    Refused,
    UsageError,
)
from deployguard.model import Risk, Way
from deployguard.state import EventKind, Kind, Status
from tests.deploy.asking import AUTO, approved, untouched
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    PENDING,
    V1,
    V2,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)
from tests.deploy.plans import CREATE, verdict


def test_rollback_puts_the_application_back_and_leaves_an_expanded_schema(
    world: World, production: Production
) -> None:
    deploy = saga.deploy(world, AUTO).deploy
    outcome = saga.rollback(world, RollbackOptions())
    assert outcome.status is Status.DONE
    assert production["release"] == V1
    assert production["revision"] == [AFTER]
    kept = world.journal.get(deploy)
    assert kept is not None
    assert kept.status is Status.ROLLED_BACK
    assert world.journal.history()[0].kind is Kind.ROLLBACK
    assert "revision is b" in outcome.summary
    with pytest.raises(UsageError, match="taken back already"):
        saga.rollback(world, RollbackOptions(deploy))
    saga.rollback(world, RollbackOptions(deploy, to=BEFORE))
    untouched(production)


def test_rollback_to_a_revision_takes_an_emergency_backup_first(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    saga.deploy(world, AUTO)
    saga.rollback(world, RollbackOptions(to=BEFORE))
    untouched(production)
    assert production.effects()[2:] == ["backup emergency", "stop", "downgrade ok", f"start {V1}"]


def test_rollback_of_a_critical_deploy_asks_which_way(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    deploy = saga.deploy(world, approved(world)).deploy
    effects = production.effects()
    with pytest.raises(Refused, match="has been in service") as caught:
        saga.rollback(world, RollbackOptions())
    assert f"deployguard rollback {deploy} --restore" in caught.value.next_commands
    assert production.effects() == effects
    assert world.journal.unfinished("production") is None


def test_rollback_by_restore_needs_the_deploy_typed_and_says_what_is_lost(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    deploy = saga.deploy(world, approved(world)).deploy
    production.change(rows={"rooms": 5}, writes=2)
    with pytest.raises(ApprovalMissing) as caught:
        saga.rollback(world, RollbackOptions(restore=True))
    assert "rooms: 5 rows now, 3 in the backup" in caught.value.message
    assert "At most 2 transaction(s)" in caught.value.message
    assert caught.value.next_commands == (
        f"deployguard rollback {deploy} --restore --confirm {deploy}",
    )
    assert production["rows"] == {"rooms": 5}
    saga.rollback(world, RollbackOptions(restore=True, confirm=deploy))
    untouched(production)
    assert production["rows"] == {"rooms": 3}
    with pytest.raises(UsageError, match="taken back already"):
        saga.rollback(world, RollbackOptions(deploy, restore=True, confirm=deploy))
    [(name, kept)] = production["kept"].items()  # type: ignore[attr-defined]
    assert kept["rows"] == {"rooms": 5}
    assert name.startswith("app_failed_")


def test_the_deploy_id_may_be_typed_on_a_terminal(tmp_path: Path, production: Production) -> None:
    world = make_world(tmp_path, pending=critical())
    deploy = saga.deploy(world, approved(world)).deploy
    world = make_world(tmp_path, pending=critical(), reporter=Recorder(types=deploy))
    saga.rollback(world, RollbackOptions(restore=True))
    untouched(production)


def test_a_downgrade_that_may_lose_data_needs_the_deploy_typed(
    tmp_path: Path, production: Production
) -> None:
    pending = verdict(AFTER, BEFORE, way=Way.LOSSY, expand=False, risk=Risk.MEDIUM)
    world = make_world(tmp_path, pending=pending)
    deploy = saga.deploy(world, AUTO).deploy
    with pytest.raises(ApprovalMissing, match="may lose data"):
        saga.rollback(world, RollbackOptions(to=BEFORE))
    saga.rollback(world, RollbackOptions(to=BEFORE, confirm=deploy))
    untouched(production)


def test_rollback_without_a_backup_to_restore_says_so(world: World) -> None:
    saga.deploy(world, AUTO)
    with pytest.raises(UsageError, match="took no backup"):
        saga.rollback(world, RollbackOptions(restore=True))


def test_rollback_of_an_unfinished_deploy_takes_it_over(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], writes="unknown")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, options)
    deploy = world.journal.history()[0].id
    asked = RollbackOptions(deploy, restore=True, confirm=deploy, without_export=True)
    saga.rollback(world, asked)
    untouched(production)
    assert world.journal.unfinished("production") is None


def test_a_rollback_that_got_stuck_can_be_given_up_for_another(
    tmp_path: Path, production: Production
) -> None:
    pending = verdict(AFTER, BEFORE, risk=Risk.CRITICAL, expand=False, operations=(CREATE,))
    world = make_world(tmp_path, pending=pending)
    deploy = saga.deploy(world, approved(world)).deploy
    production.script(downgrade="fails")
    with pytest.raises(NeedsHuman) as caught:
        saga.rollback(world, RollbackOptions())
    assert "THE APPLICATION IS STOPPED" in caught.value.state
    assert f"deployguard rollback {deploy} --restore" in caught.value.next_commands
    with pytest.raises(Busy) as busy:
        saga.deploy(world, AUTO)
    assert busy.value.next_commands[-1] == f"deployguard rollback {deploy} --env production"
    with pytest.raises(ApprovalMissing):  # not confirmed: the first one stays what is unfinished
        saga.rollback(world, RollbackOptions(deploy, restore=True))
    assert world.journal.unfinished("production") is not None
    saga.rollback(world, RollbackOptions(deploy, restore=True, confirm=deploy))
    untouched(production)
    assert world.journal.unfinished("production") is None


def test_the_later_deploy_is_taken_back_first(world: World, production: Production) -> None:
    first = saga.deploy(world, AUTO).deploy
    second = saga.deploy(world, AUTO).deploy
    with pytest.raises(UsageError, match="came after") as caught:
        saga.rollback(world, RollbackOptions(first))
    assert caught.value.next_commands == (f"deployguard rollback {second}",)


def test_rollback_of_a_deploy_that_changed_nothing_closes_it(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    world.journal.begin("production", Kind.DEPLOY, "bob", {"mode": "auto"})
    outcome = saga.rollback(world, RollbackOptions())
    assert outcome.status is Status.FAILED
    untouched(production)
    assert world.journal.unfinished("production") is None


def test_nothing_to_roll_back_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="can be taken back"):
        saga.rollback(world, RollbackOptions())


def test_an_application_without_a_target_is_migrated_only(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, settings=environment(target="none"), pending=PENDING)
    saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade ok"]
    saga.rollback(world, RollbackOptions())
    assert production["revision"] == [BEFORE]


def test_an_application_that_nobody_can_stop_is_not_called_stopped(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    saga.deploy(world, approved(world))
    deploy = world.journal.history("production")[0].id
    production.script(stop="impossible", restore="fails")
    with pytest.raises(NeedsHuman) as caught:
        saga.rollback(world, RollbackOptions(restore=True, confirm=deploy))
    assert "STOPPED" not in caught.value.state
    events = world.journal.events(world.journal.history("production")[0].id)
    [stop] = [e for e in events if e.step == "stop-app" and e.kind is EventKind.DONE]
    assert stop.evidence == {"skipped": "[target] names no way to"}
    assert "stop" not in production.effects()
