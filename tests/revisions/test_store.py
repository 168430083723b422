"""What is kept between checks: only what is whole, ours and small is ever given back, and nothing here raises."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from deployguard.model import Json
from deployguard.revisions import store as stores
from deployguard.revisions.store import Store, digest, open_store

SECRET = b"s" * 32
VALUE: Json = {"reading": ["a", 1, None, {"b": True}], "files": []}

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state" / "cache", SECRET)


def entry(store: Store, key: str = "k") -> Path:
    return store.folder / f"{key}.json"


@given(value=plain)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_put_is_given_back(store: Store, value: Json) -> None:
    store.put("k", value)
    assert store.get("k") == value


def test_nothing_is_known_of_another_key(store: Store) -> None:
    store.put("k", VALUE)
    assert store.get("other") is None
    entry(store).rename(entry(store, "other"))
    assert store.get("other") is None


def test_folder_and_files_are_the_users_own_and_git_does_not_see_them(store: Store) -> None:
    store.put("k", VALUE)
    assert store.folder.stat().st_mode & 0o777 == 0o700
    assert entry(store).stat().st_mode & 0o777 == 0o600
    assert (store.folder / ".gitignore").read_text() == "*\n"


@given(junk=st.binary(max_size=300))
@example(junk=b"")
@example(junk=b"\n")
@example(junk=b"0" * 128 + b"\n{}")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_junk_is_no_entry_and_is_replaced_by_the_next(store: Store, junk: bytes) -> None:
    store.put("k", VALUE)
    entry(store).write_bytes(junk)
    assert store.get("k") is None
    store.put("k", VALUE)
    assert store.get("k") == VALUE


@given(where=st.floats(0, 1), change=st.integers(1, 255))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_changed_byte_is_noticed(store: Store, where: float, change: int) -> None:
    store.put("k", VALUE)
    content = bytearray(entry(store).read_bytes())
    at = min(int(where * len(content)), len(content) - 1)
    content[at] ^= change
    entry(store).write_bytes(bytes(content))
    assert store.get("k") is None


@given(part=st.floats(0, 0.999))
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_entry_is_noticed(store: Store, part: float) -> None:
    store.put("k", VALUE)
    content = entry(store).read_bytes()
    entry(store).write_bytes(content[: int(part * len(content))])
    assert store.get("k") is None


def test_an_entry_that_another_user_or_machine_made_is_not_believed(store: Store) -> None:
    Store(store.folder, b"o" * 32).put("k", VALUE)
    assert store.get("k") is None


def _readable(store: Store) -> None:
    entry(store).chmod(0o644)


def _checked_out(store: Store) -> None:
    store.folder.chmod(0o755)


def _linked(store: Store) -> None:
    entry(store).rename(store.folder / "elsewhere")
    entry(store).symlink_to(store.folder / "elsewhere")


def _folder(store: Store) -> None:
    entry(store).unlink()
    entry(store).mkdir(mode=0o700)


@pytest.mark.parametrize("spoil", [_readable, _checked_out, _linked, _folder])
def test_what_others_could_have_written_is_not_believed(
    store: Store, spoil: Callable[[Store], None]
) -> None:
    store.put("k", VALUE)
    spoil(store)
    assert store.get("k") is None


def test_a_folder_that_cannot_be_made_is_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    store = Store(tmp_path / "state" / "cache", SECRET)
    store.put("k", VALUE)
    assert store.get("k") is None


def test_the_oldest_entries_go_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MOST_FILES", 3)
    for number in range(5):
        store.put(f"k{number}", number)
        for known in range(number + 1):
            if entry(store, f"k{known}").exists():
                os.utime(entry(store, f"k{known}"), (known, known))
    assert [store.get(f"k{number}") for number in range(5)] == [None, None, 2, 3, 4]


def test_an_entry_that_is_asked_for_stays(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MOST_FILES", 2)
    store.put("old", 1)
    store.put("new", 2)
    os.utime(entry(store, "old"), (1, 1))
    os.utime(entry(store, "new"), (2, 2))
    assert store.get("old") == 1
    store.put("newest", 3)
    assert (store.get("old"), store.get("new"), store.get("newest")) == (1, None, 3)


def test_too_much_is_not_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "MOST_BYTES", 1000)
    store.put("large", "x" * 300)
    assert store.get("large") is None
    for number in range(10):
        store.put(f"k{number}", "x" * 100)
    assert sum(path.stat().st_size for path in store.folder.glob("*.json")) <= 1000


def test_an_abandoned_file_of_a_killed_writer_is_swept(store: Store) -> None:
    store.put("k", VALUE)
    left = store.folder / ".new-abandoned"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    store.put("k", VALUE)
    assert not left.exists()


def test_readers_and_writers_at_once_never_see_a_part(store: Store) -> None:
    values: list[Json] = [[f"{number}" * 5000] for number in range(4)]
    seen: list[Json] = []

    def write(value: Json) -> None:
        for _ in range(25):
            store.put("k", value)
            seen.append(store.get("k"))

    threads = [threading.Thread(target=write, args=(value,)) for value in values]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen
    assert all(one in values for one in seen)
    assert not list(store.folder.glob(".new-*"))


def test_the_secret_is_made_once_and_outside_of_the_project(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "home")}
    first = open_store(tmp_path / "cache", environ)
    second = open_store(tmp_path / "cache", environ)
    assert first is not None
    assert second is not None
    first.put("k", VALUE)
    assert second.get("k") == VALUE
    kept = tmp_path / "home" / "deployguard" / "seal"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert str(first.secret) not in repr(first)


@pytest.mark.parametrize("environ", [{}, {"HOME": ""}, {"XDG_CACHE_HOME": "relative"}])
def test_without_a_home_nothing_is_kept(tmp_path: Path, environ: dict[str, str]) -> None:
    assert open_store(tmp_path, environ) is None


def test_a_secret_that_others_can_read_is_none(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert open_store(tmp_path / "cache", environ) is not None
    (tmp_path / ".cache" / "deployguard" / "seal").chmod(0o644)
    assert open_store(tmp_path / "cache", environ) is None


def test_the_name_of_a_value_hangs_on_all_of_it_and_on_nothing_else() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert len({digest({"a": 1}), digest({"a": "1"}), digest([{"a": 1}]), digest(None)}) == 4
