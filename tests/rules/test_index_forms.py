"""The safe form of an index keeps all that the index was to be."""

import pytest

from deployguard.rules import judge
from deployguard.rules.examples import read


def safe(code: str, text: str) -> str:
    verdicts = judge(*read(text))
    return next(one.instead for one in verdicts[0].findings if one.rule == code)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders (a)",
            'op.create_index("ix", "orders", ["a"], unique=True, postgresql_concurrently=True)',
        ),
        (
            "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS ix ON app.orders (a) WHERE b > 0",
            'op.execute("CREATE UNIQUE INDEX CONCURRENTLY ix ON app.orders (a) WHERE b > 0")',
        ),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders USING gin (a) INCLUDE (b)",
            'op.execute("CREATE INDEX CONCURRENTLY ix ON orders USING gin (a) INCLUDE (b)")',
        ),
    ],
)
def test_an_index_built_anew_is_the_same_index(written: str, kept: str) -> None:
    lines = safe("DG506", f"-- autocommit\n{written}").splitlines()
    assert lines[0] == "with op.get_context().autocommit_block():"
    home = "app." if "app." in written else ""
    assert lines[1:] == [
        f'    op.execute("DROP INDEX CONCURRENTLY IF EXISTS {home}ix")',
        f"    {kept}",
    ]


@pytest.mark.parametrize(
    ("code", "written", "kept"),
    [
        (
            "DG201",
            "CREATE UNIQUE INDEX ix ON orders (a(20), b)",
            "CREATE UNIQUE INDEX ix ON orders (a(20), b) ALGORITHM=INPLACE LOCK=NONE",
        ),
        (
            "DG201",
            "ALTER TABLE orders ADD INDEX ix (a(20))",
            "ALTER TABLE orders ADD INDEX ix (a(20)), ALGORITHM=INPLACE, LOCK=NONE",
        ),
        (
            "DG205",
            "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (a(20))",
            "ALTER TABLE orders ADD CONSTRAINT u UNIQUE (a(20)), ALGORITHM=INPLACE, LOCK=NONE",
        ),
    ],
)
def test_an_index_of_mysql_keeps_its_prefixes(code: str, written: str, kept: str) -> None:
    assert f'op.execute("{kept}")' in safe(code, f"-- dialect: mysql\n{written}")


@pytest.mark.parametrize(
    ("code", "constraint"),
    [
        ("DG201", "CREATE UNIQUE INDEX ix ON orders ({0})"),
        ("DG203", "ALTER TABLE orders ADD FOREIGN KEY ({0}) REFERENCES users (id)"),
        ("DG204", "ALTER TABLE orders ADD CONSTRAINT c CHECK ({0} > 0)"),
        ("DG205", "ALTER TABLE orders ADD UNIQUE ({0})"),
        ("DG208", "ALTER TABLE orders ALTER COLUMN {0} SET NOT NULL"),
    ],
)
def test_no_query_names_a_column_that_the_same_run_adds(code: str, constraint: str) -> None:
    added = "ALTER TABLE orders ADD COLUMN new int\n"
    assert "SELECT" not in safe(code, added + constraint.format("new"))
    assert "# first: must find nothing: SELECT" in safe(code, added + constraint.format("old"))
