"""A connection that is reset in the middle of a migration is classified by what the database says, not by the error."""

from __future__ import annotations

import pytest

from tests.kills.arena import Arena
from tests.kills.chase import DEPLOY
from tests.support.reset import ResettingProxy

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def dropped(prepared: tuple[Arena, str], at: bytes, when: str, after: bytes = b"") -> str:
    """Deploy through a proxy that resets; how deployguard sums it up, for a person."""
    production, digest = prepared
    production.reset()
    server = production.server
    assert server is not None
    with ResettingProxy(server.port, at=at, when=when, after=after) as proxy:
        ended = production.run(
            *DEPLOY,
            "--approve",
            digest,
            environ={"MIGRATE_BY": str(proxy.port)},
        )
        assert proxy.resets == 1, ended.said
    said = " ".join(ended.said.split())
    if (
        ended.code == 22
    ):  # whether others have written as well cannot always be told: then a person orders the restore
        assert "No way back is safe without a person" in said
        [deploy] = [one[0] for one in production.rows()]
        ended = production.run("rollback", deploy, "--restore", "--confirm", deploy)
        assert ended.code == 0, ended.said
    else:
        assert ended.code == 21, ended.said
    return said


def assert_as_before(production: Arena) -> None:
    found = production.judge("before old", restored=True)
    assert found == ("before old", []), "\n".join(production.log)


def test_reset_in_the_middle_of_ddl_nothing_was_done(prepared: tuple[Arena, str]) -> None:
    said = dropped(prepared, b"CREATE TABLE notes", "during")
    assert "it had come to revision r1" in said
    assert "nothing to undo" in said
    assert_as_before(prepared[0])


def test_reset_before_the_commit_reached_the_server_nothing_was_done(
    prepared: tuple[Arena, str],
) -> None:
    said = dropped(prepared, b"COMMIT", "before", after=b"UPDATE alembic_version")
    assert "it had come to revision r1" in said
    assert "nothing to undo" in said
    assert_as_before(prepared[0])


def test_reset_after_the_server_has_committed_the_revision_is_found_and_taken_back(
    prepared: tuple[Arena, str],
) -> None:
    said = dropped(prepared, b"COMMIT", "after", after=b"DROP COLUMN size")
    assert "it had come to revision r5" in said
    assert "nothing to undo" not in said
    assert_as_before(prepared[0])


def test_reset_while_a_statement_runs_that_commits_by_itself_what_it_did_is_found(
    prepared: tuple[Arena, str],
) -> None:
    said = dropped(prepared, b"CREATE INDEX CONCURRENTLY", "after")
    assert "it had come to revision r2" in said
    assert "nothing to undo" not in said
    assert_as_before(prepared[0])
