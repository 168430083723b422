"""What is counted lies in the dump's own snapshot, says when it is not exact, and must come back."""

import json
import threading
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, sealed
from deployguard.backups.postgres import PostgresBackups
from deployguard.backups.postgres_restore import differences
from deployguard.config import BackupConfig, parse_url
from deployguard.database import counting
from deployguard.database.counting import estimate
from deployguard.database.snapshot import sequence_problems
from deployguard.errors import BackupFailed
from deployguard.model import BackupRecord
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT 'n' || i FROM generate_series(1, 3000) i;
CREATE TABLE parts (id int, of text) PARTITION BY LIST (of);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
INSERT INTO parts SELECT i, 'a' FROM generate_series(1, 5) i;
CREATE SEQUENCE down INCREMENT -1; SELECT nextval('down'), nextval('down');
CREATE SEQUENCE round MAXVALUE 2 CYCLE; SELECT nextval('round');
CREATE SEQUENCE unused;
SELECT lo_create(1), lo_create(2);
"""
COUNTS = {"alembic_version": 1, "bookings": 3000, "parts_a": 5}


def quiet(line: str) -> None:
    pass


@pytest.fixture
def site(tmp_path: Path, live: str, postgres_server: Server) -> Site:
    return Site(
        url=parse_url(live, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin), tries=1, jobs=2),
    )


def evidence(site: Site, made: BackupRecord) -> dict[str, object]:
    content = json.loads((site.folder / made.id / sealed.EVIDENCE).read_bytes())
    assert isinstance(content, dict)
    return content


def test_everything_seen_in_the_snapshot_is_kept(site: Site) -> None:
    made = PostgresBackups(site).take(BackupRequest())
    assert (made.counts, made.estimates) == (COUNTS, {})
    seen = evidence(site, made)
    assert seen["sequences"] == {
        "public.bookings_id_seq": 3000,
        "public.down": -2,
        "public.round": 1,
        "public.unused": None,
    }
    assert seen["sequences_after"] == seen["sequences"]
    assert seen["large_objects"] == 2
    assert "/" in str(seen["position"])


def test_beyond_the_budget_rows_are_estimated_and_said_to_be(site: Site, live: str) -> None:
    with psycopg.connect(live, autocommit=True) as link:
        link.execute("ANALYZE bookings")
    told: list[str] = []
    hurried = replace(site, config=replace(site.config, count_budget=0), say=told.append)
    backups = PostgresBackups(hurried)
    made = backups.take(BackupRequest())
    assert made.counts == {}
    assert set(made.estimates) == set(COUNTS)
    assert made.estimates["bookings"] == 3000
    assert any("no time to count bookings: about 3000 rows" in line for line in told)
    assert backups.verify(made).ok
    with psycopg.connect(live, autocommit=True) as link:
        link.execute("DELETE FROM bookings")
    assert backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet).counts == COUNTS
    forged = replace(made, estimates={**made.estimates, "bookings": 1})
    assert not backups.verify(forged).ok


def test_a_table_that_takes_too_long_is_estimated_and_the_others_are_exact(
    site: Site, live: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is told the time that is left, and what it gives up is no failure."""

    def slow(cursor: psycopg.Cursor[tuple[object, ...]], table: counting.Table) -> int:
        if table.label == "bookings":
            cursor.execute("SELECT pg_sleep(600)")
        return real(cursor, table)

    real = counting.tables.count_rows
    monkeypatch.setattr(counting.tables, "count_rows", slow)
    hurried = replace(site, config=replace(site.config, count_budget=3))
    made = PostgresBackups(hurried).take(BackupRequest())
    assert made.counts == {"alembic_version": 1, "parts_a": 5}
    assert list(made.estimates) == ["bookings"]


def test_an_estimate_is_the_planners() -> None:
    assert estimate(1000, 10, 20 * 8192, None) == 2000
    assert estimate(-1, 0, 8192, 7) == 7
    assert estimate(-1, 0, 8192, 0) is None
    assert estimate(5, 1, 0, 5) == 0


def test_exact_rows_must_be_equal_and_estimated_tables_must_be_there(site: Site) -> None:
    made = PostgresBackups(site).take(BackupRequest())
    half = replace(made, counts={"alembic_version": 1}, estimates={"bookings": 7, "parts_a": None})
    assert differences(half, COUNTS) == ()
    assert differences(half, {"alembic_version": 2, "bookings": 0})[0].startswith("alembic_version")
    assert "parts_a is missing" in differences(half, {"alembic_version": 1, "bookings": 0})
    assert differences(half, {**COUNTS, "new": 1}) != ()


def test_a_dump_and_a_count_go_on_beside_each_other(site: Site) -> None:
    """Neither waits for the other: the first thing counted waits for pg_dump to have begun."""
    began = threading.Event()

    def say(line: str) -> None:
        if "dumping contents" in line:
            began.set()
        if line.startswith("counting"):
            assert began.wait(60)

    made = PostgresBackups(replace(site, say=say)).take(BackupRequest())
    assert made.counts == COUNTS


def test_a_count_that_fails_ends_the_dump(site: Site, live: str) -> None:
    def say(line: str) -> None:
        if line.startswith("counting"):
            with psycopg.connect(live, autocommit=True) as link:
                link.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name LIKE 'deployguard-backup:%' AND state = 'idle in transaction'"
                    " AND query NOT LIKE '%pg_export_snapshot%'"
                )

    with pytest.raises(BackupFailed):
        PostgresBackups(replace(site, say=say)).take(BackupRequest())
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}


def test_nothing_can_be_dropped_or_emptied_meanwhile(site: Site, live: str) -> None:
    """TRUNCATE would show the table empty to a snapshot that was taken before."""
    tried = list[str]()

    def say(line: str) -> None:
        for statement in ("TRUNCATE bookings", "DROP TABLE parts_a"):
            with psycopg.connect(live, autocommit=True) as link:
                link.execute("SET lock_timeout = 50")
                try:
                    link.execute(statement.encode())
                except psycopg.errors.LockNotAvailable:
                    tried.append(statement)

    # Of one connection: another one of a parallel dump gives up, to be tried again, where somebody queues just then.
    config = replace(site.config, format="custom")
    made = PostgresBackups(replace(site, config=config, say=say)).take(BackupRequest())
    assert made.counts == COUNTS
    assert set(tried) == {"TRUNCATE bookings", "DROP TABLE parts_a"}


def test_a_migration_that_waits_for_a_table_does_not_stop_the_count(site: Site, live: str) -> None:
    """Others queue behind it; the session that holds the lock does not."""
    waiting = list[threading.Thread]()

    def migrate() -> None:
        with psycopg.connect(live, autocommit=True) as link:
            link.execute("ALTER TABLE bookings ADD COLUMN more int")

    def say(line: str) -> None:
        if "dumping contents" in line and not waiting:
            waiting.append(threading.Thread(target=migrate))
            waiting[0].start()
            with psycopg.connect(live, autocommit=True) as link:
                ask = b"SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
                while (link.execute(ask).fetchone() or (0,))[0] == 0:
                    pass
            begun.set()
        if line.startswith("counting"):
            assert begun.wait(60)

    begun = threading.Event()
    config = replace(site.config, format="custom")  # of one connection, which has its locks
    made = PostgresBackups(replace(site, config=config, say=say)).take(BackupRequest())
    waiting[0].join()
    assert made.counts == COUNTS


def test_sequences_are_compared_by_value(site: Site, live: str) -> None:
    backups = PostgresBackups(site)
    made = backups.take(BackupRequest())
    folder = site.folder / made.id
    taken = evidence(site, made)
    wrong = {**taken["sequences_after"], "public.bookings_id_seq": 3001}  # type: ignore[dict-item]
    for key in ("sequences", "sequences_after"):
        taken[key] = wrong
    (folder / sealed.EVIDENCE).write_text(json.dumps(taken))

    class Fooled(PostgresBackups):
        def verify(self, record: BackupRecord) -> object:  # type: ignore[override]
            from deployguard.model import Verification

            return Verification(True, ("fooled",), site.now())

    with pytest.raises(BackupFailed, match=r"bookings_id_seq is at 3000, it was at 3001"):
        Fooled(site).restore(made, kept_as="never", on_progress=quiet)
    taken["sequences"] = taken["sequences_after"] = {}
    taken["large_objects"] = 3
    (folder / sealed.EVIDENCE).write_text(json.dumps(taken))
    with pytest.raises(BackupFailed, match="has 2 large objects of 3"):
        Fooled(site).restore(made, kept_as="never", on_progress=quiet)


def test_a_sequence_may_only_lie_between_what_was_seen_before_and_after() -> None:
    assert sequence_problems({"a": 3}, {"a": 7}, {"a": 5}) == ()
    assert sequence_problems({"a": -3}, {"a": -7}, {"a": -5}) == ()
    assert sequence_problems({"a": 3}, {"a": 7}, {"a": 8}) == ("sequence a is at 8, it was at 3",)
    assert sequence_problems({"a": 3}, {"a": 3}, {"a": 2}) == ("sequence a is at 2, it was at 3",)
    assert sequence_problems({"a": 3}, {}, {"a": 1}) == ()
    assert sequence_problems({"a": 3}, {}, {}) == ("sequence a has no value",)
    assert sequence_problems({"a": None}, {"a": 1}, {}) == ()
