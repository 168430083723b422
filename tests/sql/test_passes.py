"""A real PostgreSQL drops first, whatever the order in which one ALTER TABLE says it."""

import psycopg
import pytest

from deployguard.operations import AddColumn, DropColumn, DropConstraint
from deployguard.sql import lower
from tests.support import postgres


def test_an_added_and_dropped_column_is_the_old_one_dropped(
    postgres_server: postgres.Server,
) -> None:
    text = "ALTER TABLE passes ADD COLUMN a int, DROP COLUMN a"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE passes (id int, a int)")
        connection.execute("INSERT INTO passes VALUES (1, 5)")
        try:
            connection.execute(text)
            assert connection.execute("SELECT a FROM passes").fetchone() == (None,)
        finally:
            connection.execute("DROP TABLE passes")
    ((_, operations),) = lower(text, "postgresql")
    assert [type(one) for one in operations] == [DropColumn, AddColumn]


@pytest.mark.parametrize("dialect", ["postgresql", "mysql"])
def test_elsewhere_the_order_is_the_one_that_is_written(dialect: str) -> None:
    ((_, operations),) = lower("ALTER TABLE t ADD COLUMN a int, DROP CONSTRAINT c", dialect)
    first = DropConstraint if dialect == "postgresql" else AddColumn
    assert isinstance(operations[0], first)
