"""A deploy that goes through, and one that is stopped before its first change."""

from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    BackupFailed,
    DeployguardError,
    EnvironmentUnreachable,
    Refused,
    RolledBack,
    UsageError,
)
from deployguard.gate import Mode
from deployguard.model import Approval
from deployguard.state import Status
from tests.deploy.asking import AUTO, approved, digest_of, last, untouched
from tests.deploy.fakes import (
    AFTER,
    NOW,
    V2,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)


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
