"""An error that people would have to look up is told in plain words, with what to type next."""

import pytest

from deployguard.deploy.causes import plainly
from deployguard.migrators.base import Cancelled, Job, cancelled_by

TRACE = "Traceback (most recent call last):\n  File 'x'\n"
JOB = Job("d1", "upgrade", statement_timeout=60)


@pytest.mark.parametrize(
    ("error", "by"),
    [
        (
            "psycopg.errors.QueryCanceled: canceling statement due to statement timeout",
            Cancelled.TIMEOUT,
        ),
        (
            "asyncpg.exceptions.QueryCanceledError: canceling statement due to statement timeout",
            Cancelled.TIMEOUT,
        ),
        (
            "pg8000.DatabaseError: {'C': '57014', 'M': 'canceling statement due to statement timeout'}",
            Cancelled.TIMEOUT,
        ),
        (
            "psycopg2.errors.QueryCanceled: canceling statement due to user request",
            Cancelled.SOMEBODY,
        ),
        (
            "psycopg2.errors.QueryCanceled: storniere Anfrage wegen Zeitüberschreitung",
            Cancelled.SOMEBODY,
        ),
        (
            "psycopg.errors.LockNotAvailable: canceling statement due to lock timeout",
            Cancelled.NOT,
        ),
        ("ValueError: no", Cancelled.NOT),
    ],
)
def test_who_cancelled_a_statement(error: str, by: Cancelled) -> None:
    assert cancelled_by(TRACE + error) is by


def test_a_statement_timeout_names_the_limit_and_where_it_is_set() -> None:
    tail = TRACE + "psycopg.errors.QueryCanceled: canceling statement due to statement timeout"
    said, commands = plainly(tail, JOB, 5, "production")
    assert said.startswith("A statement ran longer than the 60 s that [migrate] statement_timeout")
    assert "nothing of its transaction stays" in said
    assert commands[0].startswith("deployguard check --env production")
    assert "[migrate] statement_timeout" in commands[1]


def test_where_the_language_hides_who_cancelled_it_both_are_said() -> None:
    tail = TRACE + "psycopg2.errors.QueryCanceled: storniere Anfrage wegen Zeitüberschreitung"
    assert "or somebody cancelled it" in plainly(tail, JOB, 5, "production")[0]
    assert plainly(tail, Job("d1", "upgrade"), 5, "p")[0].startswith("Somebody cancelled")


def test_a_lock_that_was_never_free_names_the_tries_and_how_to_see_who_holds_it() -> None:
    tail = TRACE + "psycopg.errors.LockNotAvailable: canceling statement due to lock timeout"
    said, commands = plainly(tail, Job("d1", "upgrade", attempt=6), 5, "production")
    assert "in any of 6 tries: no lock within 5 s" in said
    assert commands[0].startswith("deployguard watch --once --env production")


def test_an_error_that_speaks_for_itself_is_left_alone() -> None:
    assert plainly(TRACE + "ValueError: no", JOB, 5, "production") == ("", ())
