"""Files go several at once, the manifest after all of them; when one fails, the others end and nothing is listed."""

import threading
from pathlib import Path

import pytest

from deployguard.backups import offsite_notes
from deployguard.backups.offsite_base import Moved, OffsiteFailed, Source
from deployguard.backups.offsite_folder import FolderStore
from deployguard.backups.offsite_moving import together
from tests.backups.copying import FIRST, make_many, place, same


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


def wrapped(monkeypatch: pytest.MonkeyPatch, before: object) -> None:
    """Let ``before(name, moved)`` come before each file that a folder takes."""
    real = FolderStore.put

    def put(self: FolderStore, name: str, source: Source, moved: Moved) -> None:
        before(name.partition("/")[2], moved)  # type: ignore[operator]
        real(self, name, source, moved)

    monkeypatch.setattr(FolderStore, "put", put)


def test_as_many_files_as_jobs_are_on_their_way_at_once(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting, guard, now, most = threading.Barrier(3), threading.Lock(), 0, 0

    def before(name: str, moved: Moved) -> None:
        nonlocal now, most
        if name == "manifest.json":
            return
        with guard:
            now += 1
            most = max(most, now)
        meeting.wait(60)  # nobody goes on before three are here
        with guard:
            now -= 1

    wrapped(monkeypatch, before)
    made = make_many(here, 11)  # and the evidence: four times three
    place(here, f"file://{nas}", jobs=3).put(made)
    assert most == 3
    assert same(here, made, nas)


@pytest.mark.parametrize("jobs", [1, 2, 7, 40])
def test_the_manifest_goes_last(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    began: list[str] = []
    wrapped(monkeypatch, lambda name, moved: began.append(name))
    made = make_many(here)
    there = place(here, f"file://{nas}", jobs=jobs)
    there.put(made)
    assert began[-1] == "manifest.json"
    assert set(began[:-1]) == set(made.files)
    assert there.listing().records == (made,)


def test_one_that_fails_ends_the_others_and_begins_no_more(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meeting, began, ended = threading.Barrier(4), list[str](), list[str]()

    def before(name: str, moved: Moved) -> None:
        began.append(name)
        meeting.wait(60)
        if name == "table-11":  # the largest, so it is among the first
            raise OffsiteFailed("the disk of the NAS is full")
        try:
            while True:  # it would never end by itself
                moved(0)
        finally:
            ended.append(name)

    wrapped(monkeypatch, before)
    made = make_many(here)
    there = place(here, f"file://{nas}", jobs=4)
    with pytest.raises(OffsiteFailed, match="the disk of the NAS is full"):
        there.put(made)
    assert len(began) == 4
    assert sorted(ended) == sorted(set(began) - {"table-11"})
    assert there.listing().records == ()
    assert offsite_notes.copies(here, made) == ()
    monkeypatch.undo()
    there.put(made)  # it is gone on with
    assert same(here, made, nas)


def test_ctrl_c_ends_all_of_them() -> None:
    began = threading.Event()

    def first(stop: threading.Event) -> None:
        began.set()
        assert stop.wait(60)

    def second(stop: threading.Event) -> None:
        assert began.wait(60)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        together(2, {"first": first, "second": second})


def test_a_copy_of_which_one_file_is_damaged_is_not_fetched(
    here: Path, nas: Path, tmp_path: Path
) -> None:
    place(here, f"file://{nas}").put(make_many(here))
    damaged = nas / FIRST / "table-5"
    damaged.chmod(0o600)
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    with pytest.raises(OffsiteFailed, match="table-5 is damaged"):
        place(tmp_path / "fresh", f"file://{nas}", jobs=4).get(FIRST)
    assert not list((tmp_path / "fresh").glob("*/"))


def test_progress_counts_all_files_together(here: Path, nas: Path) -> None:
    said: list[str] = []
    place(here, f"file://{nas}", said, jobs=4).put(make_many(here))
    percents = [int(line.partition(" %")[0]) for line in said]
    assert percents == sorted(percents)
    assert percents[-1] >= 90
    assert len(percents) <= 11
