"""What ``rollback --plan`` foresees is what a rollback does; and foreseeing it changes nothing."""

from pathlib import Path

import pytest

from deployguard.deploy import outlook, saga
from deployguard.deploy.back import ROLLBACK
from deployguard.deploy.rollback import WayBack
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, RolledBack, UsageError
from deployguard.model import Verdict
from deployguard.state import EventKind
from tests.deploy.asking import AUTO, approved
from tests.deploy.fakes import AFTER, BEFORE, PENDING, V2, Production, critical, make_world
from tests.deploy.plans import CREATE, verdict
from tests.deploy.test_running import left_running

CONTRACTING = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
QUIET = {"decide", "arm", "close"}


def deployed(folder: Path, pending: Verdict) -> World:
    world = make_world(folder, pending=pending)
    asked = approved(world) if pending is not PENDING else AUTO
    saga.deploy(world, asked)
    return world


@pytest.mark.parametrize(
    ("pending", "options", "way"),
    [
        (PENDING, RollbackOptions(), WayBack.APP_BACK),
        (CONTRACTING, RollbackOptions(), WayBack.DOWNGRADE),
        (CONTRACTING, RollbackOptions(to=BEFORE), WayBack.DOWNGRADE),
        (critical(), RollbackOptions(restore=True), WayBack.RESTORE),
    ],
)
def test_what_is_foreseen_is_what_happens(
    tmp_path: Path, production: Production, pending: Verdict, options: RollbackOptions, way: WayBack
) -> None:
    world = deployed(tmp_path, pending)
    deploy = world.journal.history("production")[0].id
    rows, effects = world.journal.history("production"), production.effects()
    events = world.journal.events(deploy)
    foreseen = outlook.look(world, options)
    assert (foreseen.deploy, foreseen.choice.way) == (deploy, way)
    assert foreseen.choice.reasons
    assert world.journal.history("production") == rows
    assert world.journal.events(deploy) == events
    assert production.effects() == effects

    [command] = foreseen.next_commands
    assert command.startswith(f"deployguard rollback {deploy}")
    confirmed = RollbackOptions(deploy, options.to, options.restore, deploy)
    taken = saga.rollback(world, confirmed).deploy
    done = [e.step for e in world.journal.events(taken) if e.kind is EventKind.DONE]
    titles = [step.title for step in ROLLBACK if step.name in done and step.name not in QUIET]
    assert list(foreseen.steps) == titles


def test_a_restore_says_beforehand_what_it_would_lose(
    tmp_path: Path, production: Production
) -> None:
    world = deployed(tmp_path, critical())
    production.script(writes=2)
    production.change(rows={"rooms": 5})
    foreseen = outlook.look(world, RollbackOptions(restore=True))
    assert "rooms: 5 rows now, 3 in the backup" in foreseen.warning
    assert "Asking for confirmation" in foreseen.steps
    assert foreseen.backup


def test_where_no_way_is_safe_it_says_why_and_what_a_person_can_type(
    tmp_path: Path, production: Production
) -> None:
    world = deployed(tmp_path, critical())
    foreseen = outlook.look(world, RollbackOptions())
    assert foreseen.choice.way is WayBack.NEEDS_HUMAN
    assert foreseen.steps == ()
    assert any("--restore" in command for command in foreseen.next_commands)
    assert "the new application is in service" in foreseen.where


def test_a_deploy_that_was_stopped_before_its_first_change_has_nothing_to_take_back(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(DeployguardError):
        saga.deploy(world, DeployOptions(AUTO.mode))
    deploy = world.journal.history("production")[0].id
    foreseen = outlook.look(world, RollbackOptions(deploy))
    assert foreseen.choice.way is WayBack.NOTHING
    assert foreseen.steps == ()


def test_what_rollback_refuses_is_refused_beforehand(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    with pytest.raises(UsageError, match="can be taken back"):
        outlook.look(world, RollbackOptions())
    production.script(sick=[V2])
    with pytest.raises(RolledBack):
        saga.deploy(world, AUTO)
    deploy = world.journal.history("production")[0].id
    with pytest.raises(UsageError, match="taken back already"):
        outlook.look(world, RollbackOptions(deploy))


def test_a_migration_that_still_runs_is_only_looked_at(
    tmp_path: Path, production: Production
) -> None:
    left_running(tmp_path, production)
    world = make_world(tmp_path)
    runs = production["runs"]
    assert runs
    foreseen = outlook.look(world, RollbackOptions())
    assert foreseen.choice.way is WayBack.NEEDS_HUMAN
    assert "still runs" in foreseen.choice.reasons[0]
    assert production["runs"] == runs
    assert "deployguard resume --env production" in foreseen.next_commands
