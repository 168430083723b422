"""Google Cloud Storage against FakeGcs, which is not Google's: what gcsfs asks of it is answered as Google's would."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_gcs import GcsStore
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from tests.backups.copying import FIRST, make, make_many, place, same
from tests.support import objects

CHUNK = 1 << 18  # the least that Google takes
SIZE = 3 * CHUNK + 77


@pytest.fixture
def gcs() -> Iterator[objects.FakeGcs]:
    with objects.fake_gcs() as fake:
        yield fake


def at(
    gcs: objects.FakeGcs, folder: Path, said: list[str] | None = None, **keys: object
) -> Offsite:
    given = {"endpoint_url": gcs.url, "timeout": 20, "tries": 2} | keys
    found = place(folder, "gs://bucket/deep/prefix", said, **given)
    assert isinstance(found.store, GcsStore)
    found.store.chunk = CHUNK
    return found


def test_a_copy_is_listed_fetched_and_deleted(gcs: objects.FakeGcs, tmp_path: Path) -> None:
    made = make(tmp_path / "here", SIZE)
    there = at(gcs, tmp_path / "here")
    there.preflight()
    copy = there.put(made)
    assert copy.url == f"gs://bucket/deep/prefix/{FIRST}"
    assert copy.files["data"] == "MD5 by the store, sha256 as read back"
    assert sorted(gcs.objects) == [
        f"deep/prefix/{FIRST}/{name}" for name in ("data", "evidence.json", "manifest.json")
    ]
    uploads = [path for method, path in gcs.requests if "/upload/" in path and "name=" in path]
    assert all("ifGenerationMatch=0" in path for path in uploads)
    assert there.listing().records == (made,)
    at(gcs, tmp_path / "fresh").get("latest")
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    there.delete(FIRST)
    assert gcs.objects == {}


@pytest.mark.parametrize("read_back", [True, False])
def test_what_arrives_damaged_is_found_and_sent_again(
    gcs: objects.FakeGcs, tmp_path: Path, read_back: bool
) -> None:
    made = make(tmp_path / "here", SIZE)
    gcs.damage = 1
    said: list[str] = []
    at(gcs, tmp_path / "here", said, read_back=read_back).put(made)
    assert gcs.damage == 0
    assert [line for line in said if "arrived damaged" in line]
    at(gcs, tmp_path / "fresh").get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")


def test_what_always_arrives_damaged_is_no_copy(gcs: objects.FakeGcs, tmp_path: Path) -> None:
    made = make(tmp_path, SIZE)
    gcs.damage = 99
    with pytest.raises(BackupFailed, match="MD5"):
        at(gcs, tmp_path).put(made)
    assert gcs.objects == {}


def test_another_backup_is_never_overwritten(gcs: objects.FakeGcs, tmp_path: Path) -> None:
    theirs = make(tmp_path / "theirs", 3000)
    at(gcs, tmp_path / "theirs").put(theirs)
    before = dict(gcs.objects)
    with pytest.raises(BackupFailed, match="another backup"):
        at(gcs, tmp_path / "mine").put(make(tmp_path / "mine", 3000))
    assert gcs.objects == before


def test_a_service_that_fails_for_a_while_is_asked_again(
    gcs: objects.FakeGcs, tmp_path: Path
) -> None:
    made = make(tmp_path / "here", 3000)
    gcs.fail = 2
    there = at(gcs, tmp_path / "here")
    there.put(made)
    assert gcs.fail == 0
    assert there.listing().records == (made,)


def test_nobody_who_answers_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep  # gcsfs would wait half a minute between its own tries
    monkeypatch.setattr(asyncio, "sleep", lambda seconds, *rest: real(0, *rest))
    there = place(tmp_path, "gs://bucket/x", endpoint_url="http://127.0.0.1:1", tries=1, timeout=1)
    with pytest.raises(EnvironmentUnreachable, match="gs://bucket/x: listing failed"):
        there.preflight()


def test_without_google_credentials_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(EnvironmentUnreachable, match=r"none\.json"):
        place(tmp_path, "gs://bucket/x", tries=1).preflight()


def test_many_files_go_and_come_several_at_once(gcs: objects.FakeGcs, tmp_path: Path) -> None:
    made = make_many(tmp_path / "here")
    there = at(gcs, tmp_path / "here", jobs=4)
    copy = there.put(made)
    assert set(copy.files) == {*made.files, "manifest.json"}
    assert there.listing().records == (made,)
    at(gcs, tmp_path / "fresh", jobs=4).get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    # and what is damaged here is put right from there
    damaged = tmp_path / "here" / FIRST / "table-7"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    assert there.get(FIRST) == made
    assert same(tmp_path / "here", made, tmp_path / "fresh")
