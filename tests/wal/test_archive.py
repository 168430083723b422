"""A file of the log gets into the archive whole, on the disk, once; it gets out whole or not at all."""

from __future__ import annotations

import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from deployguard.errors import BackupFailed, UsageError
from deployguard.wal import Archive, Missing
from tests.support.segments import SIZE, SYSTEM, make

NAME = "000000010000000000000003"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "pg_wal"
    folder.mkdir()
    return make(folder, NAME)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "wal")


def contents(archive: Archive) -> set[str]:
    return {path.name for path in archive.folder.iterdir()} - {".lock", "system"}


@pytest.mark.parametrize("level", [0, 1])
def test_a_segment_comes_back_as_it_was(tmp_path: Path, source: Path, level: int) -> None:
    archive = Archive(tmp_path / "wal", level)
    assert archive.put(source)
    there = archive.path(NAME)
    assert there is not None
    assert (there.suffix == ".gz") == bool(level)
    assert stat.S_IMODE(there.stat().st_mode) == 0o600
    assert stat.S_IMODE(archive.folder.stat().st_mode) == 0o700
    archive.fetch(NAME, tmp_path / "RECOVERYXLOG")
    assert (tmp_path / "RECOVERYXLOG").read_bytes() == source.read_bytes()
    assert archive.system() == str(SYSTEM)
    assert [*archive.names()] == [NAME]


def test_the_same_again_is_well_also_when_it_was_packed_otherwise(
    archive: Archive, source: Path
) -> None:
    archive.put(source)
    assert not archive.put(source)
    assert not Archive(archive.folder, 6).put(source)
    assert contents(archive) == {NAME}


def test_another_file_of_the_name_is_never_overwritten(archive: Archive, source: Path) -> None:
    archive.put(source)
    before = (archive.folder / NAME).read_bytes()
    make(source.parent, NAME)
    with pytest.raises(BackupFailed, match="other contents"):
        archive.put(source)
    assert (archive.folder / NAME).read_bytes() == before
    assert contents(archive) == {NAME}


def test_the_file_and_the_folder_are_on_the_disk_before_it_says_so(
    archive: Archive, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(number: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{number}").readlink().name)
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    archive.put(source)
    assert flushed[-2:] == [f".tmp-{NAME}", "wal"]
    flushed.clear()
    archive.put(source)  # who put it there may have been killed before the flush
    assert flushed == [NAME, "wal"]


@pytest.mark.parametrize("name", ["passwd", "000000010000000000000003.gz", "archive_status"])
def test_what_is_no_file_of_the_log_is_refused(archive: Archive, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UsageError, match="no file of a write-ahead log"):
        archive.put(tmp_path / name)
    assert not archive.folder.exists()


def test_a_segment_that_was_cut_is_refused(archive: Archive, source: Path) -> None:
    os.truncate(source, SIZE - 1)
    with pytest.raises(BackupFailed, match="not whole"):
        archive.put(source)
    assert not archive.folder.exists()


def test_a_segment_under_the_name_of_another_is_refused(archive: Archive, source: Path) -> None:
    other = source.rename(source.with_name("000000010000000000000004"))
    with pytest.raises(BackupFailed, match="not the segment of its name"):
        archive.put(other)


def test_log_of_another_cluster_is_refused(archive: Archive, source: Path) -> None:
    archive.put(source)
    other = make(source.parent, "000000010000000000000004", system=SYSTEM + 1)
    with pytest.raises(BackupFailed, match="another cluster"):
        archive.put(other)
    assert contents(archive) == {NAME}


def test_histories_and_backup_labels_are_archived_too(archive: Archive, source: Path) -> None:
    text = "1\t0/3000090\tno recovery target specified\n"
    for name in ("00000002.history", f"{NAME}.00000028.backup"):
        (source.parent / name).write_text(text)
        assert archive.put(source.parent / name)
    assert archive.histories() == {2: text}


def test_what_a_killed_one_left_is_not_listed_and_goes(archive: Archive, source: Path) -> None:
    archive.folder.mkdir()
    (archive.folder / ".tmp-000000010000000000000009").write_bytes(b"half")
    assert not archive.names()
    with pytest.raises(BackupFailed):
        archive.fetch(NAME, source.with_name("RECOVERYXLOG"))
    archive.put(source)
    assert contents(archive) == {NAME}


def test_a_full_disk_leaves_nothing_and_fails(tmp_path: Path, source: Path) -> None:
    words = ["backup", "archive-wal", "--into", str(tmp_path / "wal"), str(source)]
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({SIZE // 2},) * 2);"
    run = "from deployguard.cli.main import run; sys.exit(run(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", limit + run, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 20, done.stderr
    assert "could not be archived" in done.stderr
    assert contents(Archive(tmp_path / "wal")) == set()


def test_what_is_missing_is_missing_only_where_there_is_an_archive(
    archive: Archive, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(BackupFailed, match="no archive"):
        archive.fetch(NAME, tmp_path / "RECOVERYXLOG")
    archive.folder.mkdir()  # where the archive is mounted, as a rule
    with pytest.raises(BackupFailed, match="nothing was ever archived"):
        archive.fetch(NAME, tmp_path / "RECOVERYXLOG")
    archive.put(source)
    archive.fetch(NAME, tmp_path / "RECOVERYXLOG")
    with pytest.raises(Missing):
        archive.fetch("00000002.history", tmp_path / "RECOVERYHISTORY")


def test_a_damaged_file_does_not_come_out(tmp_path: Path, source: Path) -> None:
    archive, target = Archive(tmp_path / "wal", 1), tmp_path / "RECOVERYXLOG"
    archive.put(source)
    packed = archive.folder / f"{NAME}.gz"
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BackupFailed, match="damaged"):
        archive.fetch(NAME, target)
    packed.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    with pytest.raises(BackupFailed):
        archive.fetch(NAME, target)
    packed.write_bytes(gzip.compress(source.read_bytes()[: SIZE // 2]))
    with pytest.raises(BackupFailed, match="not whole"):
        archive.fetch(NAME, target)
    assert not target.exists()
    assert [path.name for path in tmp_path.iterdir() if "RECOVERY" in path.name] == []
