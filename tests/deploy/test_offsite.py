"""The copy off-site: before the first change; a failed one blocks only where it is required, and is always told."""

import os
import signal
from pathlib import Path

import pytest

from deployguard.config import OffsiteConfig
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.world import World
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.gate import Mode
from deployguard.state import Status
from tests.deploy.asking import last, untouched
from tests.deploy.fakes import (
    AFTER,
    KillingJournal,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)
from tests.deploy.test_kill import PENDING, deploy, die, in_child, killed_at

WITH_BACKUP = DeployOptions(Mode.AUTO, health_check=True, backup=True)
WANTED = environment(offsite=OffsiteConfig(url="file:///nas"))
REQUIRED = environment(offsite=OffsiteConfig(url="file:///nas", required=True))


def evidence(world: World) -> dict[str, object]:
    [row] = world.journal.history("production")
    done = [e for e in world.journal.events(row.id) if e.step == "offsite" and e.kind == "done"]
    return dict(done[-1].evidence)


def notes(world: World) -> str:
    assert isinstance(world.reporter, Recorder)
    return "\n".join(text for kind, text in world.reporter.told if kind == "note")


def test_the_backup_is_copied_after_it_was_read_back_and_before_the_first_change(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, settings=REQUIRED)
    saga.deploy(world, WITH_BACKUP)
    assert isinstance(world.reporter, Recorder)
    steps = world.reporter.steps()
    assert steps.index("verify-backup") < steps.index("offsite") < steps.index("arm")
    assert evidence(world)["url"] == f"fake://place/{production['copies'][0]}"  # type: ignore[index]


@pytest.mark.parametrize("settings", [None, REQUIRED], ids=["no place", "no backup"])
def test_without_a_place_or_a_backup_there_is_no_such_step(
    tmp_path: Path, production: Production, settings: object
) -> None:
    options = WITH_BACKUP if settings is None else DeployOptions(Mode.AUTO)
    world = make_world(tmp_path, settings=settings)  # type: ignore[arg-type]
    saga.deploy(world, options)
    assert isinstance(world.reporter, Recorder)
    assert "offsite" not in world.reporter.steps("started")


@pytest.mark.parametrize("how", ["down", "refuses", "surprises"])
def test_a_copy_that_fails_is_told_and_changes_nothing_else(
    tmp_path: Path, production: Production, how: str
) -> None:
    production.script(offsite=how)
    world = make_world(tmp_path, settings=WANTED)
    assert saga.deploy(world, WITH_BACKUP).status is Status.DONE
    assert production["revision"] == [AFTER]
    assert "was not copied off-site" in notes(world)
    assert "hunter2" not in notes(world)
    assert evidence(world)["ok"] is False


@pytest.mark.parametrize("how", ["refuses", "surprises"])
def test_a_required_copy_that_fails_blocks_before_the_first_change(
    tmp_path: Path, production: Production, how: str
) -> None:
    production.script(offsite=how)
    world = make_world(tmp_path, settings=REQUIRED)
    with pytest.raises(BackupFailed, match="requires") as caught:
        saga.deploy(world, WITH_BACKUP)
    assert caught.value.exit_code == 20
    assert "Nothing was migrated" in caught.value.state
    assert caught.value.next_commands[0].startswith("deployguard backup copy pre-deploy-")
    assert last(world) is Status.FAILED
    untouched(production)


@pytest.mark.parametrize("asked", [True, False], ids=["--backup", "by policy"])
def test_a_required_place_that_does_not_answer_is_found_before_a_backup_is_taken(
    tmp_path: Path, production: Production, asked: bool
) -> None:
    production.script(offsite="down")
    world = make_world(tmp_path, settings=REQUIRED, pending=critical())
    digest = world.assess().digest
    with pytest.raises(EnvironmentUnreachable):
        saga.deploy(world, DeployOptions(Mode.AUTO, backup=asked, approve=digest))
    assert production.effects() == ["sweep"] or production.effects() == []
    untouched(production)


def test_a_copy_of_a_backup_that_was_taken_anew_is_made_anew(
    tmp_path: Path, production: Production
) -> None:
    """Killed before the first change, and others wrote: the backup is old, and so is its copy."""
    assert killed_at(tmp_path, ("arm", "before-intent"), deploy, PENDING)
    production.script(writes="unknown")
    saga.resume(make_world(tmp_path, settings=REQUIRED))
    assert production.effects().count("backup pre-deploy") == 2
    assert last(make_world(tmp_path)) is Status.DONE


def test_a_copy_that_failed_is_tried_again_by_a_resume_before_the_first_change(
    tmp_path: Path, production: Production
) -> None:
    production.script(offsite="refuses")

    def child() -> None:
        journal = KillingJournal(tmp_path, ("arm", "before-intent"), die)
        saga.deploy(make_world(tmp_path, settings=WANTED, journal=journal), WITH_BACKUP)

    assert os.WTERMSIG(in_child(child)) == signal.SIGKILL
    production.script(offsite="")
    world = make_world(tmp_path, settings=WANTED)
    saga.resume(world)
    assert len(production["copies"]) == 1  # type: ignore[arg-type]
    assert evidence(world)["ok"] is True


def test_a_place_that_cannot_be_asked_what_became_of_a_copy_is_copied_to_again(
    tmp_path: Path, production: Production
) -> None:
    assert killed_at(tmp_path, ("offsite", "after-intent"), deploy, PENDING)
    production.script(offsite="down")
    world = make_world(tmp_path, settings=REQUIRED)
    with pytest.raises((BackupFailed, EnvironmentUnreachable)):
        saga.resume(world)
    untouched(production)
