"""Archiving is only well when a segment that was finished just now is in the archive, and no segment is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from deployguard.backups import physical_marks
from deployguard.backups.physical_check import check
from deployguard.config import parse_url
from deployguard.errors import BackupFailed, UsageError
from tests.support import physical as support
from tests.support.physical import Cluster, verified


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with support.cluster(support.tree()) as made:
        yield made


@pytest.fixture
def broken(cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, to be given another archive_command; afterwards it archives again."""
    yield cluster
    cluster.archive_by(cluster.archive_command)


def test_a_segment_that_is_finished_now_is_archived_by_deployguard(cluster: Cluster) -> None:
    store = cluster.physical()
    found = check(store, "suggested")
    assert found.problems == ()
    facts = dict(found.facts)
    assert store.archive.path(facts["archived just now"]) is not None
    assert "archive-wal" in facts["archive_command"]
    assert facts["failures"] == "none"
    assert store.archive.system() != ""


def test_a_command_that_fails_is_told_with_what_the_archiver_says(broken: Cluster) -> None:
    broken.archive_by("false")
    store = broken.physical(archive_wait=5)
    found = check(store, "suggested")
    assert any("archive_command fails" in problem for problem in found.problems), found
    assert dict(found.facts)["failures"] != "none"


def test_a_command_that_only_says_so_is_found_out(broken: Cluster) -> None:
    broken.archive_by("true")
    found = check(broken.physical(archive_wait=2), "suggested")
    assert any("may lead elsewhere" in problem for problem in found.problems), found


def test_a_server_that_archives_nothing_is_told_how_to_begin(broken: Cluster) -> None:
    broken.archive_by("")
    with pytest.raises(UsageError, match="archives nothing") as caught:
        check(broken.physical(), "deployguard's own %p")
    assert (
        "ALTER SYSTEM SET archive_command = 'deployguard''s own %p'"
        in caught.value.next_commands[1]
    )
    with pytest.raises(UsageError, match="no restore point could be reached"):
        physical_marks.mark(broken.physical(), "never")


def test_a_gap_is_told_by_check_and_by_verify(cluster: Cluster) -> None:
    store = cluster.physical("gaps")
    record = verified(store)
    first = dict(check(store, "x").facts)["archived just now"]
    check(store, "x")
    assert store.recoverable(record).startswith("the archive goes on without a gap to ")
    there = store.archive.path(first)
    assert there is not None
    aside = there.rename(there.with_name("aside"))
    try:
        assert any(f"{first} is missing" in problem for problem in check(store, "x").problems)
        found = store.verify(record)
        assert found.ok  # it can be restored as it was
        assert f"the archive lacks {first}" in found.evidence[-1]
        verified(store)  # what there is to do about it
        after = check(store, "x")
        assert after.problems == ()
        assert dict(after.facts)["missing before the newest base backup"] == first
    finally:
        aside.rename(there)
    assert check(store, "x").problems == ()


def test_a_restore_point_is_archived_before_it_is_told(cluster: Cluster) -> None:
    store = cluster.physical("marks")
    made = physical_marks.mark(store, "before-b017")
    assert store.archive.path(made.segment) is not None
    known = physical_marks.known(store)
    assert known["before-b017"].lsn == made.lsn
    with pytest.raises(UsageError, match="already"):
        physical_marks.mark(store, "before-b017")


def test_a_restore_point_that_cannot_be_read_is_passed_over(cluster: Cluster) -> None:
    store = cluster.physical("unread")
    store.folder.mkdir()
    good = '{"system": "1", "lsn": "0/1", "at": "2026-02-18T10:29:00+00:00"}'
    (store.folder / physical_marks.FILE).write_text(f'{{"a": 1, "b": {{"at": "x"}}, "c": {good}}}')
    assert [*physical_marks.known(store)] == ["c"]


@pytest.mark.parametrize("name", ["", "-x", "a b", "x" * 64, "é", "a'b"])
def test_a_name_that_no_command_line_takes_is_refused(cluster: Cluster, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a restore point"):
        physical_marks.mark(cluster.physical(), name)


def test_a_restore_point_that_is_not_archived_fails(broken: Cluster) -> None:
    broken.archive_by("false")
    with pytest.raises(BackupFailed, match="was not in"):
        physical_marks.mark(broken.physical("unarchived", archive_wait=2), "lost")


def test_a_role_without_the_rights_is_told_the_grant(cluster: Cluster) -> None:
    cluster.server.sql("CREATE ROLE copier LOGIN REPLICATION PASSWORD 'copier-secret'")
    url = cluster.server.url("app").replace(
        f"{cluster.server.user}:{cluster.server.password}", "copier:copier-secret"
    )
    store = cluster.physical("granted")
    store = replace(store, site=replace(store.site, source=parse_url(url, "x")))
    with pytest.raises(UsageError, match="may not name") as caught:
        physical_marks.mark(store, "denied")
    assert "psql -d app" in caught.value.next_commands[0]
    cluster.sql(caught.value.next_commands[0].split('"')[1])
    assert physical_marks.mark(store, "granted").segment
