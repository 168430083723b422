"""What all runners share: names, commands, and which errors are worth a second try."""

import pytest

from deployguard.config import MigrateConfig
from deployguard.migrators import Job, job_argv, retryable

PSYCOPG2 = """INFO  [alembic.runtime.migration] Running upgrade a -> b
Traceback (most recent call last):
  File "engine/base.py", line 1967, in _exec_single_context
psycopg2.errors.LockNotAvailable: canceling statement due to lock timeout

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "versions/b.py", line 9, in upgrade
    op.add_column("t", sa.Column("x", sa.Integer()))
sqlalchemy.exc.OperationalError: (psycopg2.errors.LockNotAvailable) canceling statement due to lock timeout

[SQL: ALTER TABLE t ADD COLUMN x INTEGER]
"""


@pytest.mark.parametrize(
    "error",
    [
        PSYCOPG2,
        "sqlalchemy.exc.OperationalError: (psycopg2.errors.DeadlockDetected) Verklemmung entdeckt",
        "sqlalchemy.exc.OperationalError: (psycopg.errors.SerializationFailure) Zugriff konnte",
        "psycopg.errors.LockNotAvailable: Anweisung wird abgebrochen",
        "(sqlalchemy.dialects.postgresql.asyncpg.Error) <class 'asyncpg.exceptions.LockNotAvailableError'>: x",
        "asyncpg.exceptions.DeadlockDetectedError: deadlock detected",
        "asyncpg.exceptions.SerializationError: could not serialize access due to concurrent update",
        "pg8000.exceptions.DatabaseError: {'S': 'ERROR', 'V': 'ERROR', 'C': '55P03', 'M': 'x'}",
        "pg8000.dbapi.ProgrammingError: {'S': 'FEHLER', 'C': '40P01', 'M': 'Verklemmung'}",
        "ERROR:  could not obtain lock on relation t",
    ],
)
def test_a_lock_timeout_a_deadlock_and_a_serialization_failure_are_retryable(error: str) -> None:
    assert retryable(error)


@pytest.mark.parametrize(
    "error",
    [
        "",
        "INFO  [alembic.runtime.migration] Running upgrade a -> b",
        "sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateColumn) column x already exists",
        "(psycopg2.errors.QueryCanceled) canceling statement due to statement timeout",
        "pg8000.exceptions.DatabaseError: {'S': 'ERROR', 'C': '57014', 'M': 'canceling'}",
        "KeyError: 'the code was 40001'",
    ],
)
def test_other_errors_are_not(error: str) -> None:
    assert not retryable(error)


@pytest.mark.parametrize(
    "statement",
    [
        "[SQL: CREATE INDEX CONCURRENTLY i ON t (a)]",
        "    op.create_index('i', 't', ['a'], postgresql_concurrently=True)",
        "[SQL: drop index concurrently i]",
    ],
)
def test_a_concurrent_build_is_never_retried(statement: str) -> None:
    assert not retryable(PSYCOPG2 + statement)


def test_only_the_last_error_counts() -> None:
    later = "Traceback (most recent call last):\n  File x\nValueError: the handler failed\n"
    assert not retryable(PSYCOPG2 + later)
    earlier = "op.execute('CREATE INDEX CONCURRENTLY i ON t (a)')\n"
    assert retryable(earlier + PSYCOPG2)


def test_names_are_unique_to_the_attempt() -> None:
    names = {
        Job("d1", "upgrade").name,
        Job("d1", "downgrade").name,
        Job("d1", "upgrade", attempt=2).name,
        Job("d2", "upgrade").name,
    }
    assert names == {"d1-upgrade", "d1-downgrade", "d1-upgrade-2", "d2-upgrade"}


def test_a_downgrade_names_its_revision() -> None:
    config = MigrateConfig(downgrade_command=("flask", "db", "downgrade", "{revision}"))
    assert job_argv(config, Job("d", "downgrade", "ae1027a6acf")) == (
        *("flask", "db", "downgrade", "ae1027a6acf"),
    )
    assert job_argv(config, Job("d", "upgrade", "ae1")) == ("alembic", "upgrade", "head")
