"""SQLite backups bring every row back, or say that they cannot."""

import errno
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import BackupRequest, BackupStore, Site, catalogue, file_swap, room, store
from deployguard.backups.base import TransientFailure
from deployguard.backups.sqlite import SqliteBackups
from deployguard.config import BackupConfig, RdsConfig, parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError

ROOT = Path(__file__).parents[2]
Say = Callable[[str], None]


def quiet(line: str) -> None:
    pass


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        for statement in statements:
            link.execute(statement)


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as link:
        return int(link.execute("SELECT count(*) FROM bookings").fetchone()[0])


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "live" / "app.db"
    path.parent.mkdir()
    write(
        path,
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO alembic_version VALUES ('b014')",
        "CREATE TABLE rooms (id INTEGER PRIMARY KEY)",
        "CREATE TABLE bookings (id INTEGER PRIMARY KEY, room INTEGER REFERENCES rooms, note TEXT)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)"
        " INSERT INTO bookings (note) SELECT hex(randomblob(40)) FROM n",
    )
    path.chmod(0o640)
    return path


@pytest.fixture
def site(tmp_path: Path, app: Path) -> Site:
    return Site(
        url=parse_url("sqlite:///live/app.db", "x"),
        directory=tmp_path,
        project="bookings",
        environment="development",
        config=BackupConfig(tries=2, pause=1),
        sleep=lambda _: None,
    )


@pytest.fixture
def backups(site: Site) -> BackupStore:
    return store(site)


def test_a_backup_counts_and_is_verified(backups: BackupStore, site: Site) -> None:
    made = backups.take(BackupRequest("pre-deploy", "d-1", "c0ffee"))
    assert made.counts == {"alembic_version": 1, "bookings": 5000, "rooms": 0}
    assert (made.revision, made.reason, made.deploy) == (("b014",), "pre-deploy", "d-1")
    assert made.id.startswith("bookings-development-")
    found = backups.verify(made)
    assert found.ok, found.evidence
    assert catalogue.verification(site.folder, made) == found
    assert catalogue.listing(site.folder).records == (made,)
    names = {path.name for path in (site.folder / made.id).iterdir()}
    assert names == {"database.sqlite3", "evidence.json", "manifest.json", "verification.json"}


def test_writers_in_wal_mode_go_on_and_the_copy_is_of_one_instant(
    backups: BackupStore, site: Site, app: Path
) -> None:
    write(app, "PRAGMA journal_mode = WAL")
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        writer.execute("PRAGMA wal_autocheckpoint = 0")
        writer.execute("INSERT INTO bookings (note) VALUES ('only in the log')")
        wrote: list[int] = []

        def meanwhile(line: str) -> None:
            writer.execute("INSERT INTO bookings (note) VALUES ('later')")
            wrote.append(1)

        made = store(replace(site, say=meanwhile)).take(BackupRequest())
    assert wrote
    assert made.counts["bookings"] == 5001
    assert backups.verify(made).ok
    assert rows(app) == 5001 + len(wrote)


def test_foreign_keys_that_were_broken_before_are_not_held_against_the_backup(
    backups: BackupStore, app: Path
) -> None:
    write(app, "INSERT INTO bookings (room) VALUES (99)")
    assert backups.verify(backups.take(BackupRequest())).ok


def test_truncation_at_every_5_percent_is_caught(backups: BackupStore, site: Site) -> None:
    made = backups.take(BackupRequest())
    data = site.folder / made.id / "database.sqlite3"
    whole = data.read_bytes()
    for percent in range(0, 100, 5):
        data.write_bytes(whole[: len(whole) * percent // 100])
        assert not backups.verify(made).ok, percent
    data.write_bytes(whole)
    assert backups.verify(made).ok


def test_any_flipped_byte_is_caught(backups: BackupStore, site: Site) -> None:
    made = backups.take(BackupRequest())
    chance = random.Random(7)
    for name in ("database.sqlite3", "evidence.json"):
        path = site.folder / made.id / name
        whole = path.read_bytes()
        for _ in range(20):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(made).ok
        path.write_bytes(whole)
    assert backups.verify(made).ok


def test_a_manifest_whose_counts_were_changed_is_caught(backups: BackupStore) -> None:
    made = backups.take(BackupRequest())
    assert not backups.verify(replace(made, counts={**made.counts, "bookings": 4999})).ok
    assert not backups.verify(replace(made, revision=("other",))).ok
    assert not backups.verify(replace(made, files={})).ok


def test_a_database_that_was_corrupt_before_is_not_verified(
    backups: BackupStore, app: Path
) -> None:
    content = bytearray(app.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 16] = b"\xff" * 16
    app.write_bytes(content)
    with pytest.raises(BackupFailed, match="malformed"):
        backups.take(BackupRequest())


def test_a_corrupt_index_that_counting_does_not_see_is_found_by_verify(
    backups: BackupStore, app: Path
) -> None:
    write(app, "CREATE INDEX i ON bookings (note)")
    with closing(sqlite3.connect(app)) as link:
        note = link.execute("SELECT note FROM bookings WHERE id = 2500").fetchone()[0].encode()
    content = app.read_bytes()
    in_the_index = content.rindex(note)  # the index was made last
    assert content.index(note) != in_the_index
    app.write_bytes(content[:in_the_index] + b"x" + content[in_the_index + 1 :])
    found = backups.verify(backups.take(BackupRequest()))
    assert not found.ok
    assert "integrity_check" in found.evidence[0]


def test_a_restore_brings_every_row_back_and_keeps_the_failed_file(
    backups: BackupStore, app: Path
) -> None:
    made = backups.take(BackupRequest())
    write(
        app, "PRAGMA journal_mode = WAL", "DELETE FROM bookings WHERE id > 10", "DROP TABLE rooms"
    )
    told: list[str] = []
    kept = backups.kept_name("d-1")
    done = backups.restore(made, kept_as=kept, on_progress=told.append)
    assert (done.kept_as, done.database) == ("app.db.failed-d-1", "app.db")
    assert dict(done.counts) == dict(made.counts)
    assert told
    assert rows(app) == 5000
    assert rows(app.with_name(kept)) == 10
    assert app.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in app.parent.iterdir()) == [
        "app.db",
        "app.db.failed-d-1",
        "app.db.failed-d-1.restored.json",
    ]


def test_a_file_system_without_hard_links_keeps_a_copy(
    backups: BackupStore, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(source: Path, target: Path) -> None:
        locked = [sys.executable, "-c", HOLD, str(source), "SELECT 1 FROM bookings"]
        other = subprocess.run(locked, capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr  # nobody writes between here and the swap
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    made = backups.take(BackupRequest())
    write(app, "DELETE FROM bookings WHERE id > 10")
    monkeypatch.setattr(os, "link", link)
    backups.restore(made, kept_as="kept.db", on_progress=quiet)
    assert (rows(app), rows(app.with_name("kept.db"))) == (5000, 10)


def test_asked_again_a_restore_answers_with_what_it_did(backups: BackupStore, app: Path) -> None:
    made = backups.take(BackupRequest())
    other = backups.take(BackupRequest())
    backups.restore(made, kept_as="kept.db", on_progress=quiet)
    write(app, "INSERT INTO bookings (note) VALUES ('after the restore')")
    again = backups.restore(made, kept_as="kept.db", on_progress=quiet)
    assert again.counts["bookings"] == 5001
    with pytest.raises(UsageError, match="exists already"):
        backups.restore(other, kept_as="kept.db", on_progress=quiet)
    for name in ("", "a/b", "../x"):
        with pytest.raises(UsageError):
            backups.restore(made, kept_as=name, on_progress=quiet)


def test_a_lost_file_is_restored(backups: BackupStore, app: Path) -> None:
    made = backups.take(BackupRequest())
    app.unlink()
    app.with_name("app.db-wal").write_bytes(b"of the file that was lost")
    done = backups.restore(made, kept_as="kept.db", on_progress=quiet)
    assert done.kept_as == ""
    assert rows(app) == 5000


def test_a_damaged_backup_is_not_restored(backups: BackupStore, site: Site, app: Path) -> None:
    made = backups.take(BackupRequest())
    data = site.folder / made.id / "database.sqlite3"
    data.write_bytes(data.read_bytes()[:-4096])
    before = app.read_bytes()
    with pytest.raises(BackupFailed, match="damaged") as caught:
        backups.restore(made, kept_as="kept.db", on_progress=quiet)
    assert "not touched" in caught.value.state
    assert app.read_bytes() == before
    assert sorted(p.name for p in app.parent.iterdir()) == ["app.db"]


HOLD = """
import sqlite3, sys
link = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    link.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.readline()
"""


OPEN = ("SELECT 1 FROM bookings",)
LOCKED = ("BEGIN EXCLUSIVE",)
READING = ("PRAGMA journal_mode = WAL", "BEGIN", "SELECT 1 FROM bookings")


@pytest.mark.parametrize(
    ("statements", "visible"),
    # without /proc an idle connection cannot be seen, a lock can
    [(OPEN, True), (LOCKED, True), (READING, True), (LOCKED, False), (READING, False)],
)
def test_a_file_that_another_process_uses_is_not_replaced(
    backups: BackupStore,
    app: Path,
    statements: tuple[str, ...],
    visible: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = backups.take(BackupRequest())
    if not visible:
        monkeypatch.setattr(file_swap, "open_elsewhere", lambda _: ())
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(app), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(EnvironmentUnreachable, match="cannot be replaced while") as caught:
            backups.restore(made, kept_as="kept.db", on_progress=quiet)
        assert "not touched" in caught.value.state
        other.communicate("\n")
    monkeypatch.undo()
    assert not app.with_name("kept.db").exists()
    backups.restore(made, kept_as="kept.db", on_progress=quiet)
    assert rows(app) == 5000


CRASH = """
import os, signal, sys
from pathlib import Path
from deployguard.backups import Site, find, file_swap, sealed, store
from deployguard.config import parse_url
directory, backup, point = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
site = Site(url=parse_url("sqlite:///live/app.db", "x"), directory=directory, project="b", environment="development")
calls = 0
def counted(real):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == point:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call
record = find(site.folder, backup)
backups = store(site)
verified = backups.verify(record)
type(backups).verify = lambda self, record: verified
os.link, Path.replace, Path.unlink = counted(os.link), counted(Path.replace), counted(Path.unlink)
sealed.flush = counted(sealed.flush)
backups.restore(record, kept_as="kept.db", on_progress=print)
print("calls", calls)
"""


def test_kill_9_at_any_moment_leaves_the_old_or_the_new_file_and_can_be_repeated(
    backups: BackupStore, site: Site, app: Path
) -> None:
    made = backups.take(BackupRequest())
    write(app, "DELETE FROM bookings WHERE id > 10")
    old = app.read_bytes()
    seen: set[int] = set()
    for point in range(1, 40):
        for path in app.parent.iterdir():
            path.unlink()
        app.write_bytes(old)
        argv = [sys.executable, "-c", CRASH, str(site.directory), made.id, str(point)]
        ended = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        present = rows(app)
        assert present in (10, 5000), point
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
        seen.add(present)
        backups.restore(made, kept_as="kept.db", on_progress=quiet)
        assert rows(app) == 5000, point
        assert rows(app.with_name("kept.db")) == 10, point
        assert not list(app.parent.glob(".app.db.restoring-*")), point
        if ended.returncode == 0:
            break
    else:
        raise AssertionError("it never came to its end")
    assert seen == {10, 5000}


@pytest.mark.parametrize("reason", ["manual", "scheduled", "phase"])
def test_a_missing_file_is_a_clear_error(backups: BackupStore, app: Path, reason: str) -> None:
    app.unlink()
    with pytest.raises(BackupFailed, match="no database file"):
        backups.take(BackupRequest(reason))
    assert not app.exists()


def test_the_empty_state_before_a_first_deploy_can_be_gone_back_to(
    backups: BackupStore, app: Path
) -> None:
    content = app.read_bytes()
    app.unlink()
    made = backups.take(BackupRequest("pre-deploy", "d-1"))
    assert not app.exists()
    assert (dict(made.counts), made.revision) == ({}, ())
    assert backups.verify(made).ok
    app.write_bytes(content)
    backups.restore(made, kept_as="kept.db", on_progress=quiet)
    with closing(sqlite3.connect(app)) as link:
        assert link.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    assert rows(app.with_name("kept.db")) == 5000


def test_a_locked_file_is_tried_again_and_then_a_clear_error(
    site: Site, app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.database.sqlite.WAIT", 0.1)
    slept: list[float] = []
    patient = store(replace(site, sleep=slept.append))
    with closing(sqlite3.connect(app, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(BackupFailed, match=r"locked.*tried 2 times"):
            patient.take(BackupRequest())
        assert slept == [1]

        def free(seconds: float) -> None:
            other.execute("ROLLBACK")

        assert store(replace(site, sleep=free)).take(BackupRequest()).counts["bookings"] == 5000
    assert len(catalogue.listing(site.folder).records) == 1


def test_a_file_size_limit_is_a_full_disk_and_nothing_is_left(
    backups: BackupStore, site: Site
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(BackupFailed) as caught:
            backups.take(BackupRequest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert caught.value.exit_code == 20
    assert catalogue.listing(site.folder).records == ()
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_file_system_is_one_clear_error_and_nothing_is_left(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", small], check=True)
    try:
        config = replace(site.config, directory="small/backups")
        backups = store(replace(site, config=config))
        with pytest.raises(BackupFailed, match="not enough room"):
            backups.take(BackupRequest())
        monkeypatch.setattr(room, "need", lambda *_: None)
        with pytest.raises(BackupFailed, match="is full"):
            backups.take(BackupRequest())
        folder = small / "backups"
        assert {path.name for path in folder.iterdir()} == {".busy", ".gitignore"}
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_folder_that_cannot_be_written_is_told_first(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = store(replace(site, config=replace(site.config, directory="file/backups")))
    with pytest.raises(BackupFailed, match=r"cannot be written.*\[backup\] directory") as raised:
        blocked.preflight()
    look, again = raised.value.next_commands
    assert look.startswith("ls -ld ")
    assert look.endswith("/file")  # what is there, not what is to be made
    assert again == "deployguard backup create"


def test_the_time_out_counts_from_the_last_page_that_was_copied(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("deployguard.backups.sqlite.time.monotonic", lambda: now[0])
    look = SqliteBackups(replace(site, config=BackupConfig(timeout=10)))._progress()
    for left in (300, 200, 100, 0):
        now[0] += 9
        look(0, left, 400)
    now[0] += 9
    look(0, 0, 400)
    now[0] += 2
    with pytest.raises(TransientFailure, match=r"No page of .* was copied for 10 seconds"):
        look(0, 0, 400)


def test_the_backup_of_another_store_is_not_called_damaged(
    backups: BackupStore, site: Site
) -> None:
    """It may go once it is damaged."""
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    for url, kind in (("postgresql://h/d", ""), ("postgresql://h/d", "rds")):
        config = replace(site.config, store=kind or "auto")
        other = store(
            replace(site, url=parse_url(url, "x"), config=config, rds=RdsConfig(instance="i"))
        )
        with pytest.raises(UsageError, match="made by the store 'sqlite'"):
            other.verify(made)
    with pytest.raises(UsageError, match="made by the store 'rds'"):
        backups.verify(replace(made, store="rds"))
    kept = catalogue.verification(site.folder, made)
    assert kept is not None
    assert kept.ok
