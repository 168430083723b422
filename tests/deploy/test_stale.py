"""The world moves between a kill and the resume, or between two steps: nothing rests on what was true before."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    Busy,
    EnvironmentUnreachable,
    NeedsHuman,
    Refused,
    RolledBack,
    UsageError,
)
from deployguard.migrators.base import Started
from deployguard.model import BackupRecord
from deployguard.state import EventKind, Journal, StateError, Status
from tests.deploy.asking import AUTO, approved, last, untouched
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    NOW,
    PENDING,
    V1,
    V2,
    Production,
    critical,
    make_world,
)
from tests.deploy.plans import CREATE, verdict
from tests.deploy.production import FakeMigrator
from tests.deploy.test_kill import deploy, killed_at

CONTRACTING = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
OTHER = verdict(AFTER, BEFORE, file="another text", operations=(CREATE,))


def resumed(folder: Path, **given: object) -> World:
    return make_world(folder, **given)  # type: ignore[arg-type]


# --- the way back, gone on with later


@pytest.mark.parametrize("point", ["after-done", "before-done"])
def test_a_restore_that_is_resumed_after_others_wrote_needs_a_person(
    tmp_path: Path, production: Production, point: str
) -> None:
    production.script(sick=[V2])
    assert killed_at(tmp_path, ("look-again", point), deploy, critical())
    production.change(writes=7, rows={"rooms": 10, "notes": 0})
    with pytest.raises(NeedsHuman, match="7 transaction"):
        saga.resume(resumed(tmp_path, pending=critical()))
    assert production["rows"] == {"rooms": 10, "notes": 0}
    assert production["up"] is True


def test_a_restore_that_failed_looks_again_before_it_is_tried_again(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], restore="fails")
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(NeedsHuman):
        saga.deploy(world, approved(world))
    production.script(restore="works")
    production.change(writes=7, rows={"rooms": 10, "notes": 0})
    with pytest.raises(NeedsHuman, match="7 transaction"):
        saga.resume(world)
    assert production["rows"] == {"rooms": 10, "notes": 0}


def test_a_restore_that_failed_is_tried_again_when_nobody_wrote(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], restore="fails")
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(NeedsHuman):
        saga.deploy(world, approved(world))
    production.script(restore="works")
    with pytest.raises(RolledBack):
        saga.resume(world)
    untouched(production)


def test_an_application_that_a_person_started_is_stopped_before_the_downgrade(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], downgrade="fails")
    world = make_world(tmp_path, pending=CONTRACTING)
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    production.change(up=True)
    production.script(downgrade="ok")
    with pytest.raises(RolledBack):
        saga.resume(world)
    effects = production.effects()
    assert effects.count("stop") == 2
    assert effects.index("downgrade ok") > len(effects) - 1 - effects[::-1].index("stop")


def test_rows_that_a_person_let_in_are_not_dropped_by_a_resumed_downgrade(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], downgrade="fails")
    world = make_world(tmp_path, pending=CONTRACTING)
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    production.change(up=True, rows={"rooms": 3, "notes": 5})
    production.script(downgrade="ok")
    with pytest.raises(NeedsHuman, match="stopped"):
        saga.resume(world)
    assert production["rows"] == {"rooms": 3, "notes": 5}
    assert "downgrade ok" not in production.effects()


def test_rows_written_while_the_restore_is_prepared_stop_it(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], when={"restoring": {"writes": 1}})
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(NeedsHuman, match="1 row") as caught:
        saga.deploy(world, approved(world))
    assert "was not touched" in caught.value.state
    assert production["kept"] == {}
    assert production["up"] is True
    with pytest.raises(NeedsHuman, match="1 transaction"):  # decided anew, with the new number
        saga.resume(world)


def test_other_numbers_are_confirmed_again(tmp_path: Path, production: Production) -> None:
    world = make_world(tmp_path, pending=critical())
    name = saga.deploy(world, approved(world)).deploy
    world.journal.close()
    ask = RollbackOptions(name, restore=True, confirm=name)
    at = ("restore", "before-intent")
    assert killed_at(tmp_path, at, lambda w: saga.rollback(w, ask), critical())
    production.change(rows={"rooms": 12, "notes": 0})
    world = resumed(tmp_path, pending=critical())
    with pytest.raises(NeedsHuman, match="Not confirmed"):
        saga.resume(world)
    assert production["rows"] == {"rooms": 12, "notes": 0}
    world.reporter.types = name  # type: ignore[attr-defined]
    assert saga.resume(world).status is Status.DONE
    assert production["revision"] == [BEFORE]


# --- what was planned is what runs


def backing_up(world: World, change: Callable[[], object]) -> World:
    """The world in which ``change`` happens while the backup is taken."""

    def take(reason: str, name: str) -> BackupRecord:
        change()
        return world.take_backup(reason, name)

    return dataclasses.replace(world, take_backup=take)


def test_files_that_change_after_the_approval_are_not_run(
    tmp_path: Path, production: Production
) -> None:
    files: dict[str, str] = {AFTER: "approved"}
    world = make_world(tmp_path, pending=critical())
    world = dataclasses.replace(world, would_run=lambda current: dict(files))
    for change, said in (
        ({AFTER: "changed"}, "revision b has changed"),
        ({AFTER: "approved", "c": "later"}, "revision c is new"),
    ):
        files.clear()
        files[AFTER] = "approved"
        moving = backing_up(world, lambda change=change: files.update(change))  # type: ignore[misc]
        with pytest.raises(Refused, match=said):
            saga.deploy(moving, approved(world))
    assert last(world) is Status.FAILED
    untouched(production)


def test_an_image_that_is_built_anew_after_the_approval_is_not_run(
    tmp_path: Path, production: Production
) -> None:
    production.script(image="sha256:planned")
    world = make_world(tmp_path, pending=critical())
    moving = backing_up(world, lambda: production.script(image="sha256:later"))
    with pytest.raises(Refused, match="the image of the migration has changed"):
        saga.deploy(moving, approved(world))
    untouched(production)


@pytest.mark.parametrize("at", [("arm", "after-done"), ("migrate", "after-intent")])
def test_files_that_change_between_kill_and_resume_are_not_run(
    tmp_path: Path, production: Production, at: tuple[str, str]
) -> None:
    assert killed_at(tmp_path, at, deploy, PENDING)
    with pytest.raises(NeedsHuman, match="revision b has changed"):
        saga.resume(resumed(tmp_path, pending=OTHER))
    untouched(production)
    world = resumed(tmp_path)
    assert saga.resume(world, forward=True).status is Status.DONE  # the files are as planned again


def test_a_migration_that_runs_already_is_followed_whatever_the_files_say(
    tmp_path: Path, production: Production
) -> None:
    assert killed_at(tmp_path, ("migrate", "before-done"), deploy, PENDING)
    assert saga.resume(resumed(tmp_path, pending=OTHER)).status is Status.DONE


def test_a_database_that_came_into_being_after_the_plan_is_not_migrated_without_backup(
    tmp_path: Path, production: Production
) -> None:
    production.script(size=0, when={"current": {"script": {"size": 4096}}})
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(Refused, match="now there is one"):
        saga.deploy(world, approved(world))
    untouched(production)


# --- forward


def test_a_deploy_that_is_on_its_way_back_cannot_go_forward(
    tmp_path: Path, production: Production
) -> None:
    production.script(sick=[V2], put_back="fails")
    world = make_world(tmp_path, pending=CONTRACTING)
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    production.change(up=True, release=V1)
    with pytest.raises(UsageError, match="on its way back already"):
        saga.resume(world, forward=True)
    assert last(world) is Status.NEEDS_HUMAN
    production.script(put_back="works")
    with pytest.raises(RolledBack):
        saga.resume(world)


def test_going_forward_looks_at_the_schema_again(tmp_path: Path, production: Production) -> None:
    production.script(sick=[V2], writes="unknown")
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(NeedsHuman):
        saga.deploy(world, approved(world))
    production.change(revision=[BEFORE], schema="old")  # a person downgraded by hand
    production.script(sick=[])
    with pytest.raises((RolledBack, NeedsHuman)):
        saga.resume(world, forward=True)
    [row] = world.journal.history()
    failed = [e for e in world.journal.events(row.id) if e.kind is EventKind.FAILED]
    assert "schema-ok" in [event.step for event in failed]


def test_a_forward_resume_that_is_killed_goes_forward_again(
    tmp_path: Path, production: Production
) -> None:
    production.script(upgrade="fails", survivors=["1"], terminate="impossible")
    world = make_world(tmp_path)
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    world.journal.close()
    production.script(upgrade="ok", survivors=[])
    at = ("commit", "after-done")
    assert killed_at(tmp_path, at, lambda w: saga.resume(w, forward=True), PENDING)
    assert saga.resume(resumed(tmp_path)).status is Status.DONE
    assert (production["revision"], production["release"]) == ([AFTER], V2)


# --- the application


@pytest.mark.parametrize("half", ["not running", f"{V1},{V2}", V2])
def test_an_update_that_was_cut_off_is_done_again(
    tmp_path: Path, production: Production, half: str
) -> None:
    assert killed_at(tmp_path, ("update-app", "after-intent"), deploy, PENDING)
    production.change(release=half)
    assert saga.resume(resumed(tmp_path)).status is Status.DONE
    assert production["release"] == V2


# --- the journal, the lock, the leftovers


class FullDisk(Journal):
    """A journal that cannot be written any more from one event on."""

    at = ("migrate", EventKind.DONE)
    full = False

    def record(self, deploy: str, step: str, kind: EventKind, evidence: object = None) -> None:
        self.full = self.full or (step, kind) == self.at
        self._refuse()
        super().record(deploy, step, kind, evidence)  # type: ignore[arg-type]

    def set_status(self, deploy: str, status: Status, summary: str = "") -> None:
        self._refuse()
        super().set_status(deploy, status, summary)

    def _refuse(self) -> None:
        if self.full:
            raise StateError("The journal cannot be used: the disk is full.")


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (("arm", EventKind.INTENT), 3),
        (("migrate", EventKind.DONE), 22),
        (("update-app", EventKind.DONE), 22),
        (("commit", EventKind.DONE), 22),
    ],
)
def test_a_journal_that_fails_after_the_first_change_needs_a_person(
    tmp_path: Path, production: Production, at: tuple[str, EventKind], code: int
) -> None:
    journal = FullDisk(tmp_path / "state" / "journal.db", clock=lambda: NOW)
    journal.at = at
    world = make_world(tmp_path, journal=journal)
    with pytest.raises((NeedsHuman, StateError)) as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == code
    if code == 22:
        assert "the disk is full" in caught.value.message


def test_a_status_that_cannot_be_written_does_not_say_that_nothing_changed(
    tmp_path: Path, production: Production
) -> None:
    class FullAtTheEnd(FullDisk):
        at = ("no step", EventKind.DONE)

        def record(self, deploy: str, step: str, kind: EventKind, evidence: object = None) -> None:
            super().record(deploy, step, kind, evidence)
            self.full = (step, kind) == ("commit", EventKind.DONE)

    journal = FullAtTheEnd(tmp_path / "state" / "journal.db", clock=lambda: NOW)
    with pytest.raises(NeedsHuman, match="the disk is full") as caught:
        saga.deploy(make_world(tmp_path, journal=journal), AUTO)
    assert "Production was changed already" in caught.value.state
    assert saga.resume(resumed(tmp_path)).status is Status.DONE
    assert production.effects().count("upgrade ok") == 1


def test_a_lock_that_is_lost_before_the_first_change_refuses(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    world = backing_up(world, lambda: production.script(lock="lost"))
    with pytest.raises(Refused, match="lock in the database server was lost"):
        saga.deploy(world, approved(world))
    untouched(production)


@pytest.mark.parametrize(
    ("pending", "point", "effect"),
    [(CONTRACTING, "poll", "downgrade ok"), (critical(), "verify", "restore")],
)
def test_a_lock_that_is_lost_later_needs_a_person(
    tmp_path: Path, production: Production, pending: object, point: str, effect: str
) -> None:
    production.script(sick=[V2], when={"stopped": {"script": {"lock": "lost"}}})
    world = make_world(tmp_path, pending=pending)  # type: ignore[arg-type]
    with pytest.raises(NeedsHuman, match="lock in the database server was lost"):
        saga.deploy(world, approved(world))
    assert effect not in production.effects()
    production.script(lock="held", when={})
    with pytest.raises(RolledBack):  # a resume takes it anew
        saga.resume(resumed(tmp_path, pending=pending))
    assert effect in production.effects()


@pytest.mark.parametrize("at", [("migrate", "after-done"), ("decide", "after-done")])
def test_a_resume_waits_for_the_host_that_has_the_lock_now(
    tmp_path: Path, production: Production, at: tuple[str, str]
) -> None:
    production.script(sick=[V2])
    assert killed_at(tmp_path, at, deploy, CONTRACTING)
    production.script(lock="taken")
    before = production.effects()
    world = resumed(tmp_path, pending=CONTRACTING)
    with pytest.raises(Busy, match="other host"):
        saga.resume(world)
    assert production.effects() == before
    assert last(world) is Status.INTERRUPTED
    production.script(lock="free")
    with pytest.raises(RolledBack):
        saga.resume(world)


@pytest.mark.parametrize(
    "way", [saga.resume, lambda world: saga.rollback(world, RollbackOptions())]
)
def test_what_was_begun_on_one_database_is_not_gone_on_with_on_another(
    tmp_path: Path, production: Production, way: Callable[[World], object]
) -> None:
    assert killed_at(tmp_path, ("migrate", "after-done"), deploy, CONTRACTING)
    production.script(identity="fake:other")
    before = production.effects()
    world = resumed(tmp_path, pending=CONTRACTING)
    with pytest.raises(Busy, match="made on the database fake:app"):
        way(world)
    assert production.effects() == before
    production.script(identity="fake:app")
    assert saga.resume(world).status is Status.DONE


def test_what_cannot_be_tidied_does_not_fail_the_deploy(
    tmp_path: Path, production: Production
) -> None:
    class Untidy(FakeMigrator):
        def tidy(self, started: Started) -> None:
            raise EnvironmentUnreachable("No Docker engine answers.")

    world = dataclasses.replace(make_world(tmp_path), migrator=Untidy(production))
    assert saga.deploy(world, AUTO).status is Status.DONE


# --- resumed before the first change


def test_a_resume_before_the_first_change_takes_the_backup_anew_after_writes(
    tmp_path: Path, production: Production
) -> None:
    assert killed_at(tmp_path, ("arm", "before-intent"), deploy, critical())
    production.change(writes=500, rows={"rooms": 900})
    assert saga.resume(resumed(tmp_path, pending=critical())).status is Status.DONE
    [kept] = production["backups"].values()  # type: ignore[attr-defined]
    assert kept["rows"] == {"rooms": 900}
    assert production.effects().count("backup pre-deploy") == 2


def test_a_resume_before_the_first_change_keeps_a_backup_that_is_current(
    tmp_path: Path, production: Production
) -> None:
    assert killed_at(tmp_path, ("arm", "before-intent"), deploy, critical())
    assert saga.resume(resumed(tmp_path, pending=critical())).status is Status.DONE
    assert production.effects().count("backup pre-deploy") == 1


def test_a_resume_does_not_give_an_approval_anew(tmp_path: Path, production: Production) -> None:
    assert killed_at(tmp_path, ("backup", "before-intent"), deploy, critical())
    world = resumed(tmp_path, pending=critical())
    later = dataclasses.replace(world, clock=lambda: NOW + timedelta(days=30), by="mallory")
    with pytest.raises(ApprovalMissing, match="expired"):
        saga.resume(later)
    [approval] = world.journal.approvals(world.journal.history()[0].digest)
    assert (approval.by, approval.at) == ("ann", NOW)
    untouched(production)
