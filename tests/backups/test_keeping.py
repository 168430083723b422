"""What is removed on a real disk: never what a deploy needs, never half, and what a crash leaves is swept."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployguard.backups import beside, catalogue, keeping, sealed
from deployguard.backups.retention import NEWEST
from deployguard.backups.standing import standing
from deployguard.config import Config
from deployguard.config.load import parse
from deployguard.config.retention import RetentionConfig
from deployguard.errors import BackupFailed, Busy, UsageError
from deployguard.model import BackupRecord, Pin, Scope, Verification
from deployguard.state import DeployLock, EventKind, Journal, Kind, Status
from tests.backups.test_sealed import record

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    document = {
        "project": {"name": "app"},
        "environments": {
            "production": {
                "database_url": "sqlite:///x.db",
                "retention": {"scheduled": {"last": 1}},
            }
        },
    }
    return parse(document, tmp_path / "deployguard.toml")


@pytest.fixture
def journal(config: Config) -> Iterator[Journal]:
    kept = Journal(config.state_directory / "journal.db")
    yield kept
    kept.close()


def folder(config: Config) -> Path:
    return keeping.folder_of(config, config.environment())


def make(config: Config, ago: float, *, ok: bool | None = True, **changes: object) -> BackupRecord:
    """A sealed backup that is ``ago`` days old, read back unless ``ok`` is None."""
    at = NOW - timedelta(days=ago)
    name = f"app-production-{at:%Y%m%d-%H%M%S}-ab12"
    values = {"created": at, "reason": "scheduled"} | changes
    with sealed.drafting(folder(config), name) as draft:
        draft.path("data").write_bytes(b"rows" * 10)
        draft.finish("data")
        draft.write_json(sealed.EVIDENCE, {})
        made = sealed.seal(draft, record(name, **values))
    if ok is not None:
        found = Verification(ok, ("it was read",), NOW)
        catalogue.keep_verification(folder(config), made, found)
    return made


def listed(config: Config) -> list[str]:
    return [one.id for one in catalogue.listing(folder(config)).records]


def prune(config: Config, journal: Journal, *named: str) -> list[str]:
    gone = keeping.prune(
        config, config.environment(), journal, by="ann", now=NOW, named=list(named)
    )
    return [fate.entry.record.id for fate in gone]


def reasons(config: Config, journal: Journal, name: str) -> str:
    seen = keeping.look(config, config.environment(), journal, NOW)
    [found] = [fate for fate in seen.fates if fate.entry.record.id == name]
    return "; ".join(found.reasons)


def test_what_the_policy_does_not_keep_is_gone_from_list_and_disk(
    config: Config, journal: Journal
) -> None:
    new, old = make(config, 1), make(config, 2)
    assert reasons(config, journal, new.id).startswith(NEWEST)
    assert prune(config, journal) == [old.id]
    assert listed(config) == [new.id]
    assert sorted(path.name for path in folder(config).iterdir()) == [".busy", new.id]
    assert prune(config, journal) == []


def test_a_pin_keeps_and_an_unreadable_pin_keeps_too(config: Config, journal: Journal) -> None:
    make(config, 1)
    old, older = make(config, 2), make(config, 3)
    pin = Pin("audit", "ann", NOW)
    beside.pin(folder(config), old, pin)
    assert beside.pinned(folder(config), old) == pin
    (folder(config) / older.id / beside.PIN).write_text("{")
    assert prune(config, journal) == []
    assert reasons(config, journal, older.id) == "pinned: pin.json cannot be read"
    assert beside.unpin(folder(config), old)
    assert not beside.unpin(folder(config), old)
    assert prune(config, journal) == [old.id]
    mode = (folder(config) / older.id).stat().st_mode & 0o777
    assert mode == 0o700


@pytest.mark.parametrize("status", [Status.RUNNING, Status.INTERRUPTED, Status.NEEDS_HUMAN])
@pytest.mark.parametrize("how", ["took", "told", "wrote", "takes back"])
def test_what_an_unfinished_run_needs_stays(
    config: Config, journal: Journal, status: Status, how: str
) -> None:
    first = journal.begin("production", Kind.DEPLOY, "ann")
    made = make(config, 2, deploy=first.id if how in ("took", "takes back") else None)
    options = {"told": {"backup": made.id}, "takes back": {"deploy": first.id}}
    if how != "took":
        journal.set_status(first.id, Status.DONE)
        kind = Kind.ROLLBACK if how == "takes back" else Kind.RESTORE
        run = journal.begin("production", kind, "ann", options.get(how))
        if how == "wrote":
            journal.record(run.id, "verify", EventKind.DONE, {"deep": [{"id": made.id}]})
        journal.set_status(run.id, status)
        # a younger unfinished one must not hide the older
        journal.begin("production", Kind.DEPLOY, "bob")
    else:
        journal.set_status(first.id, status)
    make(config, 1)
    assert prune(config, journal) == []
    assert "which is unfinished" in reasons(config, journal, made.id)
    for run in journal.all_unfinished("production"):
        journal.set_status(run.id, Status.ROLLED_BACK)
    assert prune(config, journal) == [made.id]


def test_a_damaged_journal_removes_nothing(config: Config, journal: Journal) -> None:
    make(config, 1), make(config, 2)
    journal.store.path.parent.mkdir(parents=True, exist_ok=True)
    journal.store.path.write_bytes(
        b"no database at all, but long enough to be read as a header" * 20
    )
    with pytest.raises(Exception, match="not a usable state file"):
        prune(config, journal)
    assert len(listed(config)) == 2


def test_while_a_deploy_is_at_work_nothing_is_removed(config: Config, journal: Journal) -> None:
    make(config, 1), make(config, 2)
    with (
        DeployLock(config.state_directory, "production").hold("deploy", "bob"),
        pytest.raises(Busy),
    ):
        prune(config, journal)
    assert len(listed(config)) == 2


def test_by_hand_any_class_goes_but_what_must_stay(config: Config, journal: Journal) -> None:
    new, pre = make(config, 1), make(config, 5, reason="pre-deploy")
    other = make(config, 6, reason="pre-deploy", ok=False)
    assert prune(config, journal) == []
    with pytest.raises(UsageError, match=NEWEST):
        prune(config, journal, pre.id, new.id)
    assert len(listed(config)) == 3
    assert prune(config, journal, pre.id, other.id) == [pre.id, other.id]
    assert listed(config) == [new.id]
    with pytest.raises(UsageError, match="no backup"):
        prune(config, journal, "nothing")


def test_files_that_are_gone_are_no_verified_backup(config: Config, journal: Journal) -> None:
    new, old = make(config, 1), make(config, 2)
    (folder(config) / new.id / "data").unlink()
    assert NEWEST in reasons(config, journal, old.id)
    assert prune(config, journal) == []
    (folder(config) / old.id / "data").write_bytes(b"short")
    assert keeping.look(config, config.environment(), journal, NOW).fates[1].entry.verified is False


def test_what_lies_elsewhere_is_not_removed_with_its_manifest(
    config: Config, journal: Journal
) -> None:
    make(config, 1)
    far = make(config, 2, store="rds")
    make(config, 0.5, store="rds")
    assert prune(config, journal) == []
    assert "lies elsewhere (rds)" in reasons(config, journal, far.id)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from deployguard.backups import keeping, sealed
from deployguard.config import load
from deployguard.state import Journal
import shutil
from tests.backups.test_keeping import NOW
left = [{at}]
def dying(real):
    def act(*given, **options):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        done = real(*given, **options)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    return act
os.rename, os.unlink, os.rmdir = map(dying, (os.rename, os.unlink, os.rmdir))
Path.rename = dying(Path.rename)
sealed.flush = dying(sealed.flush)
config = load(Path("deployguard.toml"), Path({directory!r}))
journal = Journal(config.state_directory / "journal.db")
keeping.prune(config, config.environment(), journal, by="ann", now=NOW)
print("whole")
"""
TOML = """
[project]
name = "app"
[environments.production]
database_url = "sqlite:///x.db"
retention.scheduled = { last = 1 }
"""


@pytest.mark.parametrize("at", range(1, 22))
def test_kill_9_at_any_moment_leaves_nothing_half_listed_and_the_next_run_sweeps(
    config: Config, journal: Journal, at: int
) -> None:
    new, old, oldest = make(config, 1), make(config, 2), make(config, 3)
    (config.directory / "deployguard.toml").write_text(TOML)
    root = str(Path(__file__).parents[2])
    code = KILLED.format(root=root, at=at, directory=str(config.directory))
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=False, capture_output=True, text=True
    )
    assert ended.returncode == -9, ended.stderr
    for one in catalogue.listing(folder(config)).records:
        assert sealed.check_files(folder(config), one)[0] == []
        assert catalogue.verification(folder(config), one) is not None
    assert new.id in listed(config)
    gone = {old.id, oldest.id} - set(listed(config))
    assert set(prune(config, journal)) == {old.id, oldest.id} - gone
    assert sorted(path.name for path in folder(config).iterdir()) == [".busy", new.id]


def test_a_disk_that_breaks_is_said_and_the_backup_stays(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(config, 1)
    old = make(config, 2)

    def broken(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", broken)
    with pytest.raises(BackupFailed, match="could not be removed: Input/output error"):
        prune(config, journal)
    assert old.id in listed(config)


def test_a_drill_belongs_to_one_manifest_and_its_absence_is_no_error(config: Config) -> None:
    made = make(config, 1)
    assert beside.drilled(folder(config), made) is None
    manifest = sealed.digest(folder(config) / made.id / sealed.MANIFEST)
    told = {"manifest": manifest, "ok": True, "at": NOW.isoformat(), "seconds": 12.5}
    path = folder(config) / made.id / beside.DRILL
    path.write_text(json.dumps({**told, "evidence": ["3 tables"]}))
    found = beside.drilled(folder(config), made)
    assert found is not None
    assert (found.ok, found.seconds, found.evidence) == (True, 12.5, ("3 tables",))
    path.write_text(json.dumps({**told, "manifest": "0" * 64}))
    assert beside.drilled(folder(config), made) is None
    path.write_text("[]")
    assert beside.drilled(folder(config), made) is None


def test_a_backup_is_found_by_time(config: Config) -> None:
    new, old = make(config, 1), make(config, 3)
    where = folder(config)
    assert catalogue.at(where, NOW, "app-production-") == new
    assert catalogue.at(where, new.created, "app-production-") == new
    assert catalogue.at(where, new.created - timedelta(seconds=1), "app-production-") == old
    for moment, begin in ((old.created - timedelta(seconds=1), ""), (NOW, "x-production-")):
        with pytest.raises(UsageError, match="There is no backup of 2026"):
            catalogue.at(where, moment, begin)


def test_projects_that_share_a_folder_and_a_name_of_an_environment_never_meet(
    config: Config, journal: Journal
) -> None:
    mine, older = make(config, 2), make(config, 3)
    stranger = record("shop-production-20990218-103000-ab12", created=NOW, reason="scheduled")
    with sealed.drafting(folder(config), stranger.id) as draft:
        draft.path("data").write_bytes(b"rows")
        draft.finish("data")
        draft.write_json(sealed.EVIDENCE, {})
        theirs = sealed.seal(draft, stranger)
    where, begin = folder(config), keeping.ours(config, config.environment())
    assert catalogue.find(where, "latest", begin) == mine
    assert catalogue.at(where, NOW, begin) == mine
    assert catalogue.find(where, theirs.id, begin) == theirs  # whoever writes it all means it
    with pytest.raises(UsageError, match="1 there are of other projects or environments"):
        catalogue.find(where, "shop", begin)
    entries, _ = keeping.entries(config, config.environment(), NOW)
    assert [one.record.id for one in entries] == [mine.id, older.id]
    assert prune(config, journal) == [older.id]
    assert theirs.id in listed(config)


def test_of_what_a_deploy_took_the_one_before_it_is_found(config: Config) -> None:
    make(config, 1, reason="emergency", deploy="d-1")
    before = make(config, 3, reason="pre-deploy", deploy="d-1")
    assert catalogue.find(folder(config), "d-1") == before
    make(config, 4, reason="emergency", deploy="d-2")
    make(config, 5, reason="emergency", deploy="d-2")
    with pytest.raises(UsageError, match="2 backups match"):
        catalogue.find(folder(config), "d-2")


def test_where_writing_stood_belongs_to_one_manifest(config: Config) -> None:
    made = make(config, 1)
    assert beside.mark(folder(config), made) is None
    beside.keep_mark(folder(config), made, {"next": 7})
    assert beside.mark(folder(config), made) == {"next": 7}
    manifest = folder(config) / made.id / sealed.MANIFEST
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert beside.mark(folder(config), made) is None


# --- where the backups stand ---------------------------------------------------------------------------------------


def problems(config: Config, *, every: str = "1d", now: datetime = NOW) -> str:
    found, unreadable = keeping.entries(config, config.environment(), now)
    policy = RetentionConfig(every=every)
    return "; ".join(standing("production", found, policy, now, unreadable).problems)


def test_a_young_verified_backup_is_well(config: Config) -> None:
    make(config, 1)
    assert problems(config) == ""


def test_none_and_none_that_counts_are_problems(config: Config) -> None:
    assert problems(config) == "There is no backup of production at all."
    make(config, 0.1, ok=None)
    assert problems(config).startswith("No backup counts")
    make(config, -5)
    assert problems(config).startswith("No backup counts")


def test_a_part_of_a_database_is_no_backup_of_it(config: Config, journal: Journal) -> None:
    whole = make(config, 2)
    part = make(config, 0.5, scope=Scope(tables=("rooms",)), format=2)
    assert "is 2 d old" in problems(config)
    assert catalogue.at(folder(config), NOW) == whole
    assert prune(config, journal) == []  # neither takes the other's place
    assert NEWEST in reasons(config, journal, whole.id)
    assert part.id in listed(config)


def test_a_missed_schedule_is_a_problem(config: Config) -> None:
    make(config, 1.2)
    make(config, 0.5, ok=None)
    said = problems(config)
    assert "is 28 h old; 26 h are allowed" in said
    assert problems(config, every="7d") == ""
    assert "8 h are allowed" in problems(config, every="6h")


def test_damage_of_the_newest_is_a_problem_although_an_older_one_is_whole(config: Config) -> None:
    make(config, 0.5)
    newest = make(config, 0.2, ok=False)
    assert problems(config) == f"The newest backup, {newest.id}, is damaged: it was read."
    (folder(config) / newest.id / "data").unlink()
    assert "data is not there any more" in problems(config)


def test_an_unreadable_manifest_and_a_failed_drill_are_problems(config: Config) -> None:
    made = make(config, 0.5)
    (folder(config) / "cut").mkdir()
    (folder(config) / "cut" / "manifest.json").write_text("{")
    assert "cannot be read" in problems(config)
    (folder(config) / "cut" / "manifest.json").unlink()
    manifest = sealed.digest(folder(config) / made.id / sealed.MANIFEST)
    told = {"manifest": manifest, "ok": False, "at": NOW.isoformat(), "seconds": 1}
    (folder(config) / made.id / beside.DRILL).write_text(
        json.dumps({**told, "evidence": ["rooms has 2 rows instead of 3"]})
    )
    assert "drill" in problems(config)
    assert "rooms has 2 rows" in problems(config)


def test_a_backup_that_is_pinned_while_others_are_removed_stays(
    config: Config, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(config, 1)
    old = make(config, 2)
    real = keeping.look

    def look(*values: Any) -> keeping.Look:
        seen = real(*values)
        beside.pin(folder(config), old, Pin("audit", "ann", NOW))
        return seen

    monkeypatch.setattr(keeping, "look", look)
    with pytest.raises(BackupFailed, match="pinned just now"):
        prune(config, journal)
    assert old.id in listed(config)
    assert beside.pinned(folder(config), old) == Pin("audit", "ann", NOW)


def test_a_snapshot_in_a_region_that_is_not_configured_any_more_stays(
    config: Config, journal: Journal
) -> None:
    make(config, 1, store="rds", tools={"region": "eu-west-1"})
    old = make(config, 2, store="rds", tools={"region": "eu-central-1"})
    here = config.environment()
    moved = replace(
        here,
        backup=replace(here.backup, store="rds"),
        rds=replace(here.rds, instance="i", region="eu-west-1"),
    )
    seen = keeping.look(config, moved, journal, NOW)
    (fate,) = (fate for fate in seen.fates if fate.entry.record.id == old.id)
    assert fate.keep
    assert "lies in eu-central-1" in fate.reasons[0]
