"""A deploy at every point of failure: what is undone, what the exit says, what production is left in."""

import dataclasses
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    BackupFailed,
    Busy,
    DeployguardError,
    EnvironmentUnreachable,
    Interrupted,
    NeedsHuman,
    Refused,
    RolledBack,
    UsageError,
)
from deployguard.gate import Mode
from deployguard.model import Approval, Risk, Way
from deployguard.state import EventKind, Kind, Status
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    NOW,
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

AUTO = DeployOptions(Mode.AUTO, health_check=True)


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return Production(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)


def digest_of(world: World) -> str:
    return world.assess().digest


def untouched(production: Production) -> None:
    assert production["revision"] == [BEFORE]
    assert production["schema"] == "old"
    assert production["release"] == V1
    assert production["up"] is True


def approved(world: World) -> DeployOptions:
    return DeployOptions(Mode.AUTO, health_check=True, approve=digest_of(world))


def last(world: World) -> Status:
    return world.journal.history("production")[0].status


# --- the road


def test_a_low_risk_deploy_goes_through_by_itself(world: World, production: Production) -> None:
    outcome = saga.deploy(world, AUTO)
    assert outcome.status is Status.DONE
    assert production["revision"] == [AFTER]
    assert production["release"] == V2
    assert production.effects() == ["upgrade ok", f"start {V2}"]
    assert "healthy" in outcome.summary
    row = world.journal.get(outcome.deploy)
    assert row is not None
    assert row.digest == row.plan["digest"]
    assert row.finished is not None


def test_the_steps_are_journaled_in_order(world: World) -> None:
    reporter = world.reporter
    assert isinstance(reporter, Recorder)
    outcome = saga.deploy(world, AUTO)
    steps = [
        "lock",
        "preflight",
        "plan",
        "approve",
        "arm",
        "migrate",
        "schema-ok",
        "update-app",
        "health",
        "commit",
    ]
    assert reporter.steps() == steps
    assert ("log", "Running upgrade") in reporter.told
    done = [e.step for e in world.journal.events(outcome.deploy) if e.kind == "done"]
    assert done == steps


def test_nothing_pending_only_updates_the_application(world: World, production: Production) -> None:
    production.change(revision=[AFTER])
    saga.deploy(world, DeployOptions(Mode.MANUAL))
    assert production.effects() == [f"start {V2}"]


def test_skipping_the_migration_does_not_touch_the_database(
    world: World, production: Production
) -> None:
    production.script(database="down")
    saga.deploy(world, DeployOptions(Mode.SKIP))
    assert production.effects() == [f"start {V2}"]


def test_a_critical_deploy_takes_and_reads_back_a_backup_before_anything_else(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    outcome = saga.deploy(world, approved(world))
    assert outcome.status is Status.DONE
    assert production.effects() == ["backup pre-deploy", "upgrade ok", f"start {V2}"]


def test_a_backup_is_taken_when_it_is_asked_for(world: World, production: Production) -> None:
    saga.deploy(world, DeployOptions(Mode.AUTO, backup=True))
    assert production.effects()[0] == "backup pre-deploy"


# --- before the first change


def test_a_critical_deploy_without_approval_changes_nothing(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(ApprovalMissing) as caught:
        saga.deploy(world, AUTO)
    digest = digest_of(world)
    assert digest in caught.value.message
    assert caught.value.exit_code == 11
    assert caught.value.next_commands[-1] == (
        f"deployguard deploy --auto-migrate --env production --health-check --approve {digest}"
    )
    untouched(production)
    assert production.effects() == []
    assert last(world) is Status.FAILED


def test_an_abbreviated_digest_approves(tmp_path: Path) -> None:
    world = make_world(tmp_path, pending=critical())
    options = DeployOptions(Mode.AUTO, approve=digest_of(world)[:12], reason="looked at it")
    outcome = saga.deploy(world, options)
    [kept] = world.journal.approvals(digest_of_row(world, outcome.deploy))
    assert (kept.by, kept.reason) == ("ann", "looked at it")


def digest_of_row(world: World, deploy: str) -> str:
    row = world.journal.get(deploy)
    assert row is not None
    return row.digest


def test_an_approval_of_another_plan_is_refused_even_where_none_is_needed(
    world: World, production: Production
) -> None:
    with pytest.raises(ApprovalMissing, match="is not this plan's digest") as caught:
        saga.deploy(world, DeployOptions(Mode.AUTO, approve="0" * 64))
    assert digest_of(world) in caught.value.message
    untouched(production)


def test_an_approval_that_was_recorded_counts(tmp_path: Path) -> None:
    world = make_world(tmp_path, pending=critical())
    world.journal.approve("production", Approval(digest_of(world), "bob", "", NOW))
    assert saga.deploy(world, AUTO).status is Status.DONE


def test_an_approval_is_used_up_by_the_deploy_that_it_let_through(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(upgrade="fails")
    with pytest.raises(RolledBack):
        saga.deploy(world, options)
    production.script(upgrade="ok")
    with pytest.raises(ApprovalMissing):
        saga.deploy(world, AUTO)
    assert saga.deploy(world, options).status is Status.DONE


def test_an_approval_is_not_used_up_when_nothing_was_changed(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(backup="fails")
    with pytest.raises(BackupFailed):
        saga.deploy(world, options)
    production.script(backup="ok")
    assert saga.deploy(world, AUTO).status is Status.DONE


def test_a_person_is_asked_and_may_say_no(tmp_path: Path, production: Production) -> None:
    world = make_world(tmp_path, pending=critical(), reporter=Recorder(answers=[None]))
    with pytest.raises(ApprovalMissing):
        saga.deploy(world, AUTO)
    untouched(production)
    yes = Approval(digest_of(world), "ann", "", NOW)
    world = make_world(tmp_path, pending=critical(), reporter=Recorder(answers=[yes]))
    assert saga.deploy(world, AUTO).status is Status.DONE


@pytest.mark.parametrize(
    ("script", "error", "code"),
    [
        ({"target": "missing"}, DeployguardError, 1),
        ({"store": "missing"}, BackupFailed, 20),
        ({"backup": "fails"}, BackupFailed, 20),
        ({"verify": "wrong"}, BackupFailed, 20),
        ({"database": "down"}, EnvironmentUnreachable, 3),
    ],
)
def test_a_failure_before_the_first_change_only_tidies_up(
    tmp_path: Path,
    production: Production,
    script: dict[str, object],
    error: type[DeployguardError],
    code: int,
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(**script)
    with pytest.raises(error) as caught:
        saga.deploy(world, options)
    assert caught.value.exit_code == code
    untouched(production)
    assert not [e for e in production.effects() if e.startswith(("upgrade", "start"))]
    assert last(world) is Status.FAILED
    assert world.journal.unfinished("production") is None


def test_a_backup_that_fails_is_swept(tmp_path: Path, production: Production) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(backup="fails")
    with pytest.raises(BackupFailed):
        saga.deploy(world, options)
    assert production.effects() == ["sweep"]


def test_a_database_that_moved_after_the_plan_is_not_migrated(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(when={"verify": {"revision": ["somebody-else"]}})
    with pytest.raises(Refused, match="moved from a to somebody-else"):
        saga.deploy(world, options)
    assert "upgrade ok" not in production.effects()


def test_health_check_without_anything_to_check_is_a_usage_error(tmp_path: Path) -> None:
    world = make_world(tmp_path, settings=environment(urls=()))
    with pytest.raises(UsageError, match="nothing to check"):
        saga.deploy(world, AUTO)


# --- after it


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
    with pytest.raises(RolledBack, match="is at a instead of b"):
        saga.deploy(world, AUTO)
    untouched(production)


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
    assert f"deployguard rollback {deploy}" in busy.value.next_commands


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


# --- retries and signals


def test_a_lock_that_is_not_free_is_tried_again(world: World, production: Production) -> None:
    production.script(upgrade=["locked", "locked", "ok"])
    assert saga.deploy(world, AUTO).status is Status.DONE
    assert production.effects()[:3] == ["upgrade locked", "upgrade locked", "upgrade ok"]
    assert production["runs"] == {}


def test_retries_are_bounded(world: World, production: Production) -> None:
    production.script(upgrade="locked")
    with pytest.raises(RolledBack, match="lock timeout"):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade locked"] * 3


def test_another_error_is_not_tried_again(world: World, production: Production) -> None:
    production.script(upgrade="fails")
    with pytest.raises(RolledBack):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade fails"]


def test_ctrl_c_during_the_migration_stops_it_and_decides(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, interrupts=["once"])
    production.script(upgrade="runs")
    with pytest.raises(RolledBack, match="was stopped on request"):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade runs", "cancel"]
    untouched(production)


def test_a_second_ctrl_c_leaves_the_journal_for_resume(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, interrupts=["once", "twice"])
    production.script(upgrade="runs")
    with pytest.raises(Interrupted) as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == 130
    assert caught.value.next_commands[0] == "deployguard resume --env production"
    assert last(world) is Status.INTERRUPTED
    with pytest.raises(RolledBack):
        saga.resume(make_world(tmp_path))
    untouched(production)


def test_ctrl_c_before_the_first_change_leaves_nothing_unfinished(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="before anything was changed"):
        saga.deploy(dataclasses.replace(world, assess=interrupted), AUTO)  # type: ignore[arg-type]
    assert last(world) is Status.FAILED


# --- the next deploy


def test_a_second_deploy_is_refused_while_one_is_unfinished(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    row = world.journal.begin("production", Kind.DEPLOY, "bob")
    with pytest.raises(Busy) as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == 23
    assert row.id in caught.value.message
    assert "deployguard resume --env production" in caught.value.next_commands
    untouched(production)


def test_nothing_to_resume_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="Nothing is unfinished"):
        saga.resume(world)


def test_resume_before_the_first_change_refuses_another_plan(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    row = world.journal.begin("production", Kind.DEPLOY, "ann", {"mode": "auto"})
    world.journal.record(row.id, "plan", EventKind.DONE, {"digest": "f" * 64})
    with pytest.raises(ApprovalMissing, match="has changed since"):
        saga.resume(world)
    assert last(world) is Status.FAILED
    untouched(production)


def test_a_person_may_close_what_was_put_right_by_hand(
    world: World, production: Production
) -> None:
    production.script(upgrade="fails", survivors=["4711"], terminate="impossible")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    outcome = saga.close(world, "looked at it")
    assert "closed by hand by ann" in outcome.summary
    assert world.journal.unfinished("production") is None


def test_a_person_may_go_forward_after_putting_right_what_failed(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], writes="unknown")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, options)
    production.script(sick=[])
    assert saga.resume(world, forward=True).status is Status.DONE
    assert production["release"] == V2


# --- rollback


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
    saga.rollback(world, RollbackOptions(deploy, restore=True, confirm=deploy))
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
    assert busy.value.next_commands[-1] == f"deployguard rollback {deploy}"
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
