"""`backup restore` on a real SQLite project: confirmed, journaled, resumed, and never by a damaged backup."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import beside, catalogue
from deployguard.config import load
from deployguard.deploy import saga
from deployguard.deploy.restoring import WITHOUT
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.wiring import wire
from deployguard.deploy.world import World
from deployguard.errors import ApprovalMissing, BackupFailed, Busy, NeedsHuman
from deployguard.gate import Mode
from deployguard.model import BackupRecord, Restored
from deployguard.state import EventKind, Kind, Status
from tests.deploy.fakes import Recorder
from tests.deploy.real import DESTROY, Small, small

STOP = """\
stop = [["{python}", "-c", "open('stopped', 'a').write('x')"]]
start = [["{python}", "-c", "open('started', 'a').write('x')"]]
version ="""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        path = tmp_path / "deployguard.toml"
        text = path.read_text()
        python = text.split('update = [["')[1].split('"')[0]
        path.write_text(text.replace("version =", STOP.replace("{python}", python), 1))
        yield made


@pytest.fixture
def world(project: Small) -> Iterator[World]:
    config = load(None, project.folder)
    made = wire(
        config,
        config.environment(),
        reporter=Recorder(),
        by="ann",
        environ=project.environ(),
    )
    yield made
    made.journal.close()


def rooms(project: Small) -> object:
    return project.sql("SELECT count(*) FROM rooms")[0][0]


def test_a_confirmed_restore_brings_the_rows_back_and_keeps_the_former_database(
    project: Small, world: World
) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms")
    outcome = saga.restore(world, record.id, record.id)
    assert outcome.status is Status.DONE
    assert rooms(project) == 3
    assert (project.folder / "stopped").read_text() == "x"
    assert (project.folder / "started").read_text() == "x"  # the revision is the same
    row = world.journal.get(outcome.deploy)
    assert row is not None
    assert (row.kind, row.status) == (Kind.RESTORE, Status.DONE)
    kept = outcome.summary.partition("kept as ")[2]
    assert any(path.name == Path(kept).name for path in project.folder.rglob("*"))


def test_without_the_id_typed_nothing_changes_and_the_loss_is_said(
    project: Small, world: World
) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms WHERE name = 'a'")
    with pytest.raises(ApprovalMissing, match="rooms: 2 rows now, 3 in the backup") as caught:
        saga.restore(world, record.id, "yes")
    assert caught.value.next_commands[0].endswith(f"--confirm {record.id}")
    assert rooms(project) == 2
    assert not (project.folder / "stopped").exists()
    assert world.journal.unfinished("development") is None


def test_a_backup_of_another_database_is_said_to_be_one(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    moved = project.file.rename(project.file.with_name("other.db"))
    environ = {**project.environ(), "DATABASE_URL": f"sqlite:///{moved}"}
    config = load(None, project.folder)
    there = wire(config, config.environment(), reporter=Recorder(), by="ann", environ=environ)
    with pytest.raises(ApprovalMissing, match=r"ANOTHER DATABASE: app\.db, not other\.db"):
        saga.restore(there, record.id)
    there.journal.close()


def test_a_damaged_backup_replaces_nothing(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    folder = project.folder / ".deployguard" / "backups" / record.folder
    name = max(record.files, key=lambda file: record.files[file][0])
    file = folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    with pytest.raises(BackupFailed, match="could not be read back"):
        saga.restore(world, record.id, record.id)
    assert rooms(project) == 3
    assert not (project.folder / "stopped").exists()


def test_an_application_of_another_revision_stays_down_and_it_is_shouted(
    project: Small, world: World
) -> None:
    record = world.take_backup("manual", "")
    project.revision("r2", *DESTROY)
    digest = world.assess().digest
    saga.deploy(world, DeployOptions(Mode.AUTO, health_check=True, approve=digest))
    outcome = saga.restore(world, record.id, record.id)
    assert project.current() == "r1"
    assert rooms(project) == 3
    assert not (project.folder / "started").exists()
    assert "THE APPLICATION IS STOPPED" in outcome.summary


class Killed(BaseException):
    """The process ends here."""


def test_a_restore_that_was_killed_is_resumed_to_its_end(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms")

    class Store:
        def __getattr__(self, name: str) -> object:
            return getattr(world.backups, name)

        def restore(self, record: BackupRecord, *, kept_as: str, on_progress: object) -> Restored:
            raise Killed

    with pytest.raises(Killed):
        saga.restore(replace(world, backups=Store()), record.id, record.id)  # type: ignore[arg-type]
    assert rooms(project) == 0
    with pytest.raises(Busy):
        saga.deploy(world, DeployOptions(Mode.SKIP))
    assert saga.resume(world).status is Status.DONE
    assert rooms(project) == 3
    assert world.journal.unfinished("development") is None


def test_a_killed_restore_asks_again_when_other_rows_would_be_lost(
    project: Small, world: World
) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms")

    class Store:
        def __getattr__(self, name: str) -> object:
            return getattr(world.backups, name)

        def restore(self, record: BackupRecord, *, kept_as: str, on_progress: object) -> Restored:
            raise Killed

    with pytest.raises(Killed):
        saga.restore(replace(world, backups=Store()), record.id, record.id)  # type: ignore[arg-type]
    project.sql("INSERT INTO rooms (name) VALUES ('d'), ('e'), ('f'), ('g')")
    with pytest.raises(NeedsHuman, match="rooms: 4 rows now, 3 in the backup"):
        saga.resume(world)
    assert rooms(project) == 4
    asked = replace(world, reporter=Recorder(types=record.id))
    assert saga.resume(asked).status is Status.DONE
    assert rooms(project) == 3


def emergencies(project: Small) -> list[BackupRecord]:
    listing = catalogue.listing(project.folder / ".deployguard" / "backups")
    return [record for record in listing.records if record.reason == "emergency"]


def test_the_present_is_backed_up_before_anything_is_stopped(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms WHERE name = 'a'")
    outcome = saga.restore(world, record.id, record.id)
    [kept] = emergencies(project)
    assert (kept.deploy, kept.counts["rooms"]) == (outcome.deploy, 2)
    events = [(e.step, e.kind) for e in world.journal.events(outcome.deploy)]
    done = [step for step, kind in events if kind is EventKind.DONE]
    assert done.index("safety-net") < done.index("arm") < done.index("stop-app")
    assert rooms(project) == 3
    again = saga.restore(world, kept.id, kept.id)  # and back
    assert rooms(project) == 2
    assert again.status is Status.DONE


def test_without_an_emergency_backup_nothing_changes_until_a_person_says_so(
    project: Small, world: World
) -> None:
    record = world.take_backup("manual", "")
    project.sql("DELETE FROM rooms WHERE name = 'a'")
    full = lambda reason, deploy: raised(BackupFailed("The disk is full."))  # noqa: E731
    broken = replace(world, take_backup=full)
    with pytest.raises(BackupFailed, match=r"No emergency backup .* The disk is full") as caught:
        saga.restore(broken, record.id, record.id)
    assert caught.value.state == "The database was not touched."
    assert caught.value.next_commands[0].endswith("--no-emergency-backup")
    assert rooms(project) == 2
    assert not (project.folder / "stopped").exists()
    assert world.journal.unfinished("development") is None
    asked = replace(broken, reporter=Recorder(types=WITHOUT))
    outcome = saga.restore(asked, record.id, record.id)
    assert rooms(project) == 3
    [net] = [e for e in world.journal.events(outcome.deploy) if e.step == "safety-net"][-1:]
    assert net.evidence == {"missing": "The disk is full.", "by": "ann"}


def test_it_can_be_said_beforehand_that_it_goes_without(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    saga.restore(world, record.id, record.id, emergency=False)
    assert emergencies(project) == []


def test_what_was_written_since_is_counted_where_it_can_be(project: Small, world: World) -> None:
    record = world.take_backup("manual", "")
    with pytest.raises(ApprovalMissing, match="Nobody has written since the backup"):
        saga.restore(world, record.id)
    project.sql("UPDATE rooms SET name = name || 'x'")
    project.sql("UPDATE rooms SET name = name || 'y'")
    with pytest.raises(ApprovalMissing, match=r"At most \d transaction\(s\) wrote") as caught:
        saga.restore(world, record.id)
    assert "every table has as many rows as in the backup" in str(caught.value)
    (project.folder / ".deployguard" / "backups" / record.folder / beside.MARK).unlink()
    with pytest.raises(ApprovalMissing, match="since the backup is unknown"):
        saga.restore(world, record.id)


def raised(error: Exception) -> BackupRecord:
    raise error
