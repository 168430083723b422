"""A backup is complete, durable and listed, or it is not there at all."""

import errno
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployguard.backups import catalogue, room, sealed
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord, Verification

WHEN = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)


def record(
    identifier: str = "app-production-20260218-103000-ab12", **changes: object
) -> BackupRecord:
    values: dict[str, object] = {
        "id": identifier,
        "store": "sqlite",
        "environment": "production",
        "database": "app.db",
        "created": WHEN,
        "folder": identifier,
        "files": {},
        "revision": ("b2",),
        "counts": {"t": 3},
        "seconds": 1.5,
        "reason": "manual",
        "tools": {"sqlite": "3.40.1"},
    }
    return BackupRecord(**(values | changes))  # type: ignore[arg-type]


def make(directory: Path, identifier: str = "app-production-20260218-103000-ab12") -> BackupRecord:
    with sealed.drafting(directory, identifier) as draft:
        draft.path("data").write_bytes(b"rows" * 1000)
        draft.finish("data")
        draft.write_json(sealed.EVIDENCE, {"counts": {"t": 3}})
        return sealed.seal(draft, record(identifier))


def test_what_was_sealed_is_listed_as_it_was(tmp_path: Path) -> None:
    made = make(tmp_path / "deep" / "backups")
    directory = tmp_path / "deep" / "backups"
    assert catalogue.listing(directory).records == (made,)
    assert made.files["data"][0] == 4000
    assert sealed.check_files(directory, made)[0] == []
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in directory.rglob("*")}
    assert modes[made.id] == 0o700
    assert {modes["data"], modes["manifest.json"], modes["evidence.json"]} == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_block_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def half() -> None:
        with sealed.drafting(tmp_path, "x-1") as draft:
            draft.path("data").write_bytes(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        half()
    assert [path.name for path in tmp_path.iterdir()] == [".busy"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_clear_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(BackupFailed, match="is full") as caught, sealed.drafting(tmp_path, "x-1"):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 20
    assert [path.name for path in tmp_path.iterdir()] == [".busy"]


@pytest.mark.parametrize("broken", ["data", "folder", "parent", "manifest"])
def test_a_disk_that_breaks_at_any_flush_leaves_nothing(
    tmp_path: Path, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """EIO at fsync of the file, of its folder, of the backup folder, and while the manifest is written."""
    real = os.fsync
    calls = {"count": 0}
    wanted = {"data": 1, "folder": 3, "parent": 4, "manifest": 5}[broken]

    def fsync(number: int) -> None:
        calls["count"] += 1
        if calls["count"] == wanted:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(BackupFailed, match="Input/output error"):
        make(tmp_path)
    assert calls["count"] >= wanted
    assert [path.name for path in tmp_path.iterdir()] == [".busy"]
    assert catalogue.listing(tmp_path).records == ()


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from deployguard.backups import sealed
from tests.backups.test_sealed import make
real, left = os.fsync, [{at}]
def fsync(number):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
os.fsync = fsync
make(Path({directory!r}))
"""


@pytest.mark.parametrize("at", range(1, 8))
def test_kill_9_at_any_flush_leaves_nothing_listed_and_the_next_sweep_cleans(
    tmp_path: Path, at: int
) -> None:
    root = str(Path(__file__).parents[2])
    code = KILLED.format(root=root, at=at, directory=str(tmp_path))
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    listed = catalogue.listing(tmp_path).records
    if ended.returncode == 0:
        assert at > 6  # the sixth flush, of the manifest's folder, is the last
        assert len(listed) == 1
        return
    for found in listed:  # only when the manifest was in place already
        assert sealed.check_files(tmp_path, found)[0] == []
    sealed.sweep(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != ".busy")
    assert left == sorted(found.id for found in listed)


def test_a_sweep_leaves_alone_what_is_being_written_and_what_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("mine")
    with sealed.drafting(tmp_path, "x-1") as draft:
        draft.path("data").write_bytes(b"growing")
        assert sealed.sweep(tmp_path) == ()
        assert draft.path("data").exists()
    (tmp_path / ".partial-dead").mkdir()
    assert sealed.sweep(tmp_path) == (".partial-dead",)
    assert (tmp_path / "notes" / "readme.txt").exists()
    assert sealed.sweep(tmp_path / "nowhere") == ()


def test_a_damaged_manifest_is_a_problem_and_not_a_backup(tmp_path: Path) -> None:
    good = make(tmp_path)
    for name, content in {
        "cut": b'{"format": 1, "id"',
        "later": json.dumps({"format": 2}).encode(),
        "empty": b"",
        "list": b"[]",
        "stolen": (tmp_path / good.id / "manifest.json").read_bytes(),
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_bytes(content)
    found = catalogue.listing(tmp_path)
    assert found.records == (good,)
    assert len(found.problems) == 5


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/b", "..", ""])
def test_a_manifest_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    good = make(tmp_path)
    path = tmp_path / good.id / "manifest.json"
    content = json.loads(path.read_bytes())
    content["files"][name] = {"bytes": 1, "sha256": "0"}
    path.write_text(json.dumps(content))
    assert catalogue.listing(tmp_path).records == ()


def test_every_change_of_a_file_is_seen(tmp_path: Path) -> None:
    made = make(tmp_path)
    data = tmp_path / made.id / "data"
    original = data.read_bytes()
    for content in (original[:-1], original + b"x", original[:7] + b"!" + original[8:], b""):
        data.write_bytes(content)
        assert sealed.check_files(tmp_path, made)[0], content[:10]
    data.unlink()
    assert "cannot be read" in sealed.check_files(tmp_path, made)[0][0]


def test_find_knows_ids_prefixes_deploys_and_latest(tmp_path: Path) -> None:
    first = make(tmp_path, "app-production-20260218-103000-ab12")
    with sealed.drafting(tmp_path, "app-production-20260219-103000-cd34") as draft:
        draft.write_json("data", {})
        draft.write_json(sealed.EVIDENCE, {})
        newer = record(draft.id, created=WHEN.replace(day=19), deploy="d-1")
        second = sealed.seal(draft, newer)
    assert catalogue.find(tmp_path, "latest") == second
    assert catalogue.find(tmp_path, first.id) == first
    assert catalogue.find(tmp_path, "app-production-20260218") == first
    assert catalogue.find(tmp_path, "d-1") == second
    for wanted in ("app", "nothing", ""):
        with pytest.raises(UsageError):
            catalogue.find(tmp_path, wanted)
    with pytest.raises(UsageError):
        catalogue.find(tmp_path, "latest", "app-staging-")


def test_a_verification_belongs_to_one_manifest(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert catalogue.verification(tmp_path, made) is None
    kept = Verification(True, ("read",), WHEN)
    catalogue.keep_verification(tmp_path, made, kept)
    assert catalogue.verification(tmp_path, made) == kept
    manifest = tmp_path / made.id / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")
    assert catalogue.verification(tmp_path, made) is None


def test_ids_say_what_where_and_when() -> None:
    at = datetime.fromisoformat("2026-02-18T12:30:00+02:00")
    assert catalogue.new_id("Book ings", "production", at, "ab12") == (
        "book_ings-production-20260218-103000-ab12"
    )


def test_a_manifest_whose_id_is_not_its_folders_is_no_backup(tmp_path: Path) -> None:
    made = make(tmp_path)
    path = tmp_path / made.id / sealed.MANIFEST
    path.write_text(path.read_text().replace(f'"id": "{made.id}"', '"id": "app-production-x"'))
    found = catalogue.listing(tmp_path)
    assert found.records == ()
    assert "not its own" in found.problems[0]


def test_two_that_look_at_once_whether_a_folder_can_be_written_both_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.touch

    def touch(path: Path, mode: int) -> None:
        real(path, mode)
        path.unlink()  # the other one has the same name for it, and was quicker

    monkeypatch.setattr(Path, "touch", touch)
    room.writable(tmp_path)
