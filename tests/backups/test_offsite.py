"""A listed copy is complete and the same; a folder stands for every place that can be renamed in."""

import errno
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import catalogue, offsite_notes, sealed
from deployguard.backups.offsite_folder import FolderStore
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from tests.backups.copying import BEGIN, FIRST, SECOND, make, place, same


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


def url(nas: Path) -> str:
    return f"file://{nas}"


def test_a_copy_is_listed_noted_and_fetched_as_it_was(
    here: Path, nas: Path, tmp_path: Path
) -> None:
    made = make(here)
    copy = place(here, url(nas)).put(made)
    assert copy.url == f"{url(nas)}/{FIRST}"
    assert set(copy.files) == {"data", "evidence.json", "manifest.json"}
    assert offsite_notes.copies(here, made) == (copy,)
    note = here / FIRST / offsite_notes.OFFSITE
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert {stat.S_IMODE(p.stat().st_mode) for p in (nas / FIRST).iterdir()} == {0o600}
    assert place(here, url(nas)).listing().records == (made,)
    fresh = place(tmp_path / "elsewhere", url(nas))
    assert fresh.get("latest") == made
    assert same(here, made, tmp_path / "elsewhere")
    assert catalogue.listing(tmp_path / "elsewhere").records == (made,)
    assert offsite_notes.copies(tmp_path / "elsewhere", made)[0].url == copy.url


def test_copying_again_sends_nothing_and_compares_everything(here: Path, nas: Path) -> None:
    made = make(here)
    place(here, url(nas)).put(made)
    before = {p.name: p.stat().st_mtime_ns for p in (nas / FIRST).iterdir()}
    place(here, url(nas)).put(made)
    assert {p.name: p.stat().st_mtime_ns for p in (nas / FIRST).iterdir()} == before


def test_a_damaged_copy_is_found_and_left_for_a_person(here: Path, nas: Path) -> None:
    made = make(here)
    place(here, url(nas)).put(made)
    damage(nas / FIRST / "data")
    with pytest.raises(BackupFailed, match="sha256 differs") as caught:
        place(here, url(nas)).put(made)
    assert caught.value.exit_code == 20
    assert (nas / FIRST / "manifest.json").exists()
    with pytest.raises(BackupFailed, match="is damaged"):
        place(here.parent / "fresh", url(nas)).get(FIRST)
    assert catalogue.listing(here.parent / "fresh").records == ()
    assert not list((here.parent / "fresh").glob("*/"))


def test_what_an_interrupted_copy_left_is_gone_on_with(here: Path, nas: Path) -> None:
    made = make(here)
    place(here, url(nas)).put(made)
    (nas / FIRST / "manifest.json").unlink()
    (nas / FIRST / "evidence.json").unlink()
    (nas / FIRST / ".partial-evidence.json").write_bytes(b"half")
    kept = (nas / FIRST / "data").stat().st_ino
    found = place(here, url(nas)).listing()
    assert found.records == ()
    assert "not complete" in found.problems[0]
    place(here, url(nas)).put(made)
    assert (nas / FIRST / "data").stat().st_ino == kept
    assert place(here, url(nas)).listing().records == (made,)
    assert not (nas / FIRST / ".partial-evidence.json").exists()


def test_a_damaged_leftover_is_sent_again(here: Path, nas: Path) -> None:
    made = make(here)
    place(here, url(nas)).put(made)
    for name in ("data", "manifest.json"):
        damage(nas / FIRST / name)
    # a manifest that is cut is nobody's; one that can be read is another backup's
    (nas / FIRST / "manifest.json").write_bytes(b'{"format": 1, "fi')
    said: list[str] = []
    place(here, url(nas), said).put(made)
    assert [line for line in said if "arrived damaged" in line]
    assert place(here, url(nas)).listing().records == (made,)


def test_another_backup_of_the_same_name_is_never_overwritten(
    here: Path, nas: Path, tmp_path: Path
) -> None:
    theirs = make(tmp_path / "theirs")
    place(tmp_path / "theirs", url(nas)).put(theirs)
    mine = make(here)
    with pytest.raises(BackupFailed, match="of another backup"):
        place(here, url(nas)).put(mine)
    assert same(tmp_path / "theirs", theirs, nas)
    assert offsite_notes.copies(here, mine) == ()


def test_a_backup_that_is_damaged_here_is_not_copied(here: Path, nas: Path) -> None:
    made = make(here)
    damage(here / FIRST / "data")
    with pytest.raises(BackupFailed, match="damaged here"):
        place(here, url(nas)).put(made)
    assert list(nas.iterdir()) == []


def test_a_mount_that_is_missing_is_not_made(here: Path, tmp_path: Path) -> None:
    made = make(here)
    with pytest.raises(EnvironmentUnreachable, match="is it mounted"):
        place(here, url(tmp_path / "unmounted")).put(made)
    assert not (tmp_path / "unmounted").exists()


def test_only_copies_of_this_environment_are_listed(here: Path, nas: Path) -> None:
    made = make(here)
    other = make(here, 100, "app-staging-20260218-103000-ef56")
    everybody = replace(place(here, url(nas)), begin="")
    everybody.put(made)
    everybody.put(other)
    (nas / "lost+found").mkdir()
    assert place(here, url(nas)).listing().records == (made,)
    with pytest.raises(UsageError, match="no backup of this environment"):
        place(here, url(nas)).delete(other.id)


def test_a_deleted_copy_is_gone_and_so_is_its_note(here: Path, nas: Path) -> None:
    first, second = make(here), make(here, 100, SECOND)
    there = place(here, url(nas))
    there.put(first)
    there.put(second)
    there.delete(FIRST)
    there.delete(FIRST)  # gone is gone
    assert [p.name for p in nas.iterdir()] == [SECOND]
    assert offsite_notes.copies(here, first) == ()
    assert there.find(first) is None
    assert there.find(second) is not None


def test_a_deletion_that_is_cut_off_never_leaves_half_a_copy_listed(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(here)
    there = place(here, url(nas))
    there.put(made)
    real, calls = FolderStore.remove, list[str]()

    def remove(self: FolderStore, name: str) -> None:
        if calls:
            raise KeyboardInterrupt
        calls.append(name)
        real(self, name)

    monkeypatch.setattr(FolderStore, "remove", remove)
    with pytest.raises(KeyboardInterrupt):
        there.delete(FIRST)
    assert there.listing().records == ()
    assert sorted(p.name for p in (nas / FIRST).iterdir()) == ["data", "evidence.json"]


def test_a_copy_is_chosen_like_a_backup(here: Path, nas: Path, tmp_path: Path) -> None:
    there = place(here, url(nas))
    for name in (FIRST, SECOND):
        there.put(make(here, 100, name))
    fresh = place(tmp_path / "fresh", url(nas))
    assert fresh.choose("latest").id == SECOND
    assert fresh.choose(FIRST[:-3]).id == FIRST
    for wanted in ("", "app-production-", "nothing"):
        with pytest.raises(UsageError, match=r"no copy|2 copies"):
            fresh.choose(wanted)


def test_what_is_here_already_is_not_fetched_over(here: Path, nas: Path) -> None:
    made = make(here)
    there = place(here, url(nas))
    there.put(made)
    with pytest.raises(UsageError, match="already"):
        there.get(FIRST)


def test_a_copy_that_does_not_fit_is_not_begun(
    here: Path, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(here, url(nas)).put(make(here))
    monkeypatch.setattr("deployguard.backups.room.free", lambda folder: 1 << 20)
    with pytest.raises(BackupFailed, match="not enough room"):
        place(tmp_path / "fresh", url(nas)).get(FIRST)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_place_that_fails_while_it_is_written_lists_nothing(
    here: Path, nas: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(here)
    real = os.link

    def link(source: Path, target: Path) -> None:
        if Path(target).name == "manifest.json":
            raise OSError(number, os.strerror(number))
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(BackupFailed, match=os.strerror(number)) as caught:
        place(here, url(nas)).put(made)
    assert "still" in caught.value.state or "is here" in caught.value.state
    monkeypatch.undo()
    assert place(here, url(nas)).listing().records == ()
    assert offsite_notes.copies(here, made) == ()
    place(here, url(nas)).put(made)


def test_a_file_system_without_links_is_written_to_as_well(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "link", link)
    made = make(here)
    place(here, url(nas)).put(made)
    assert place(here, url(nas)).listing().records == (made,)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from deployguard.backups import catalogue
from tests.backups.copying import FIRST, place
real, left = os.fsync, [{at}]
def fsync(number):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    real(number)
os.fsync = fsync
here = Path({here!r})
place(here, {url!r}).{what}
"""


def killed(here: Path, nas: Path, at: int, what: str) -> bool:
    """Whether the process died at its ``at``-th flush."""
    root = str(Path(__file__).parents[2])
    code = KILLED.format(root=root, at=at, here=str(here), url=url(nas), what=what)
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert ended.returncode in (0, -9)
    return ended.returncode == -9


@pytest.mark.parametrize("at", [1, 3, 4, 7, 9, 10])
def test_kill_9_while_copying_lists_all_or_nothing_and_can_be_gone_on_with(
    here: Path, nas: Path, at: int
) -> None:
    made = make(here, 1 << 20)
    assert killed(here, nas, at, "put(catalogue.find(here, FIRST))")
    there = place(here, url(nas))
    for found in there.listing().records:
        assert same(here, found, nas)
    there.put(made)
    assert there.listing() == replace(there.listing(), records=(made,), problems=())
    assert same(here, made, nas)


@pytest.mark.parametrize("at", [1, 3, 5, 6])
def test_kill_9_while_fetching_lists_all_or_nothing(
    here: Path, nas: Path, tmp_path: Path, at: int
) -> None:
    made = make(here, 1 << 20)
    place(here, url(nas)).put(made)
    fresh = tmp_path / "fresh"
    assert killed(fresh, nas, at, "get(FIRST)")
    listed = catalogue.listing(fresh).records
    assert all(sealed.check_files(fresh, found)[0] == [] for found in listed)
    if not listed:
        place(fresh, url(nas)).get(FIRST)
    assert same(here, made, fresh)


def test_a_note_that_is_damaged_or_of_another_manifest_counts_for_nothing(
    here: Path, nas: Path
) -> None:
    made = make(here)
    there = place(here, url(nas))
    there.put(made)
    note = here / FIRST / offsite_notes.OFFSITE
    content = json.loads(note.read_text())
    content["copies"][0]["manifest"] = "0" * 64
    note.write_text(json.dumps(content))
    assert offsite_notes.copies(here, made) == ()
    for text in ("", "[]", '{"copies": [3]}', '{"copies": [{"url": "x"}]}', '{"copies": 3}'):
        note.write_text(text)
        assert offsite_notes.copies(here, made) == ()
    assert there.find(made) is not None  # the place is asked, and the note is there again
    assert len(offsite_notes.copies(here, made)) == 1


def test_progress_is_told_in_tenths_with_rate_and_remaining_time(here: Path, nas: Path) -> None:
    made = make(here, 10 << 20)
    said: list[str] = []
    ticks: Iterator[int] = iter(range(1, 10_000))
    replace(place(here, url(nas), said), clock=lambda: float(next(ticks))).put(made)
    shape = re.compile(r"(\d+) % of 10.5 MB to file://.*, [\d.]+ [kM]B/s, \d+ s left")
    percents = [int(line[1]) for line in map(shape.fullmatch, said) if line]
    assert len(percents) == len(said)
    assert [percent // 10 for percent in percents] == list(range(1, 11))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def test_ids_of_an_environment_begin_as_nobody_elses() -> None:
    assert catalogue.id_begin("App", "production") == BEGIN
    assert catalogue.id_begin("app-x", "eu-1") == "app_x-eu_1-"


def test_names_that_lead_elsewhere_are_not_looked_at(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make(here)
    place(here, url(nas)).put(made)
    real = FolderStore.names

    def names(self: FolderStore, begin: str) -> Iterator[tuple[str, int]]:
        yield from real(self, begin)
        yield from (("../manifest.json", 1), ("/manifest.json", 1), ("other-x/manifest.json", 1))

    monkeypatch.setattr(FolderStore, "names", names)
    found = place(here, url(nas)).listing()
    assert (found.records, found.problems) == ((made,), ())


def test_a_manifest_that_comes_otherwise_than_when_it_was_listed_is_not_sealed(
    here: Path, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(here, url(nas)).put(make(here))
    real, times = FolderStore.read, [0]

    def read(self: FolderStore, name: str) -> Iterator[bytes]:
        for block in real(self, name):
            times[0] += name.endswith("manifest.json")
            turned = name.endswith("manifest.json") and times[0] == 2
            yield block.replace(b'"counts"', b'"counds"') if turned else block

    monkeypatch.setattr(FolderStore, "read", read)
    with pytest.raises(BackupFailed, match="counts"):
        place(tmp_path / "fresh", url(nas)).get("latest")
    found = catalogue.listing(tmp_path / "fresh")
    assert (found.records, found.problems) == ((), ())


def test_a_file_that_has_no_end_does_not_fill_the_disk(
    here: Path, nas: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(here, url(nas)).put(make(here, 5000))
    real, given = FolderStore.read, [0]

    def read(self: FolderStore, name: str) -> Iterator[bytes]:
        yield from real(self, name)
        while name.endswith("/data") and given[0] < 100:
            given[0] += 1
            yield bytes(5000)

    monkeypatch.setattr(FolderStore, "read", read)
    with pytest.raises(BackupFailed, match="is damaged"):
        place(tmp_path / "fresh", url(nas)).get("latest")
    assert given[0] == 1
