"""A backup that is damaged here is put right from its copy, file by file, and never made worse."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployguard.backups import beside, catalogue, offsite_notes, sealed
from deployguard.backups.offsite_base import OffsiteFailed
from deployguard.errors import UsageError
from deployguard.model import Pin, Verification
from tests.backups.copying import FIRST, make_many, place, same

NOW = datetime(2026, 2, 18, tzinfo=UTC)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    """The place, with a copy of the backup that is here."""
    (tmp_path / "nas").mkdir()
    place(tmp_path / "here", f"file://{tmp_path}/nas").put(make_many(tmp_path / "here", 4))
    return tmp_path / "nas"


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / FIRST).iterdir()}


def left(folder: Path) -> list[str]:
    return [
        path.name for path in folder.iterdir() if path.name.startswith((".damaged", ".partial"))
    ]


def test_only_what_is_damaged_or_missing_is_fetched_and_the_rest_stays(
    here: Path, nas: Path
) -> None:
    [made] = catalogue.listing(here).records
    beside.pin(here, made, Pin("the audit", "ada", NOW))
    kept = {name: (here / FIRST / name).stat().st_ino for name in made.files}
    damage(here / FIRST / "table-1")
    (here / FIRST / "table-2").unlink()
    catalogue.keep_verification(here, made, Verification(ok=False, evidence=("bad",), at=NOW))
    said: list[str] = []
    assert place(here, f"file://{nas}", said).get(FIRST) == made
    assert "replacing what is damaged here: table-1, table-2" in said
    assert same(here, made, nas)
    now = {name: (here / FIRST / name).stat().st_ino for name in made.files}
    assert {name for name in now if now[name] != kept[name]} == {"table-1", "table-2"}
    assert beside.pinned(here, made) is not None
    assert catalogue.verification(here, made) is None  # it was of the damaged files
    assert left(here) == []
    [copy] = offsite_notes.copies(here, made)
    assert set(copy.files) == {*made.files, "manifest.json"}


def test_that_it_was_read_back_before_the_damage_still_holds(here: Path, nas: Path) -> None:
    [made] = catalogue.listing(here).records
    good = Verification(ok=True, evidence=("fine",), at=NOW)
    catalogue.keep_verification(here, made, good)
    damage(here / FIRST / "table-1")
    place(here, f"file://{nas}").get(FIRST)
    assert catalogue.verification(here, made) == good


def test_a_manifest_that_is_cut_is_put_right(here: Path, nas: Path) -> None:
    whole = (here / FIRST / "manifest.json").read_bytes()
    (here / FIRST / "manifest.json").write_bytes(whole[:50])
    place(here, f"file://{nas}").get(FIRST)
    assert (here / FIRST / "manifest.json").read_bytes() == whole
    assert len(catalogue.listing(here).records) == 1


def test_another_backup_of_the_same_name_is_not_replaced(here: Path, nas: Path) -> None:
    manifest = here / FIRST / "manifest.json"
    other = json.loads(manifest.read_text()) | {"reason": "manual", "seconds": 99.0}
    manifest.write_text(json.dumps(other))
    damage(here / FIRST / "table-1")
    before = content(here)
    with pytest.raises(OffsiteFailed, match="not the copy's; nothing is replaced"):
        place(here, f"file://{nas}").get(FIRST)
    assert content(here) == before


def test_a_whole_backup_is_left_alone(here: Path, nas: Path) -> None:
    with pytest.raises(UsageError, match="already, and every byte is as sealed"):
        place(here, f"file://{nas}").get(FIRST)


def test_a_copy_that_is_damaged_too_replaces_nothing(here: Path, nas: Path) -> None:
    damage(here / FIRST / "table-1")
    damage(here / FIRST / "table-3")
    damage(nas / FIRST / "table-3")
    before = content(here)
    with pytest.raises(OffsiteFailed, match="table-3 is damaged"):
        place(here, f"file://{nas}").get(FIRST)
    assert content(here) == before
    assert left(here) == []


def test_what_does_not_hold_on_this_disk_is_told_and_the_files_of_before_are_kept(
    here: Path, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damage(here / FIRST / "table-1")
    bad = (here / FIRST / "table-1").read_bytes()
    real = sealed.flush

    def flush(path: Path) -> None:
        real(path)
        if path == here / FIRST:  # the disk forgets what it was given
            damage(here / FIRST / "table-1")

    monkeypatch.setattr(sealed, "flush", flush)
    with pytest.raises(OffsiteFailed, match="damaged again: table-1") as caught:
        place(here, f"file://{nas}").get(FIRST)
    assert f".damaged-{FIRST}" in caught.value.state
    assert (here / f".damaged-{FIRST}" / "table-1").read_bytes() == bad
    monkeypatch.undo()
    place(here, f"file://{nas}").get(FIRST)
    assert left(here) == []


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.backups.copying import FIRST, place
left = [{at}]
real = Path.replace, os.link
def counted(number):
    def call(*given):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real[number](*given)
    return call
Path.replace, os.link = counted(0), counted(1)
place(Path({here!r}), {url!r}).get(FIRST)
"""


@pytest.mark.parametrize("at", range(1, 7))
def test_kill_9_at_each_rename_leaves_no_file_worse_than_it_was(
    here: Path, nas: Path, at: int
) -> None:
    [made] = catalogue.listing(here).records
    whole = content(here)
    for name in ("table-0", "table-1", "table-2"):
        damage(here / FIRST / name)
    bad = content(here)
    root = str(Path(__file__).parents[2])
    code = KILLED.format(root=root, at=at, here=str(here), url=f"file://{nas}")
    ended = subprocess.run([sys.executable, "-c", code], cwd=root, env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert catalogue.listing(here).records == (made,)  # it was listed all the time
    now = content(here)
    assert all(now[name] in (whole[name], bad[name]) for name in made.files)
    place(here, f"file://{nas}").get(FIRST)
    assert same(here, made, nas)
    assert left(here) == []
