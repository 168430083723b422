"""SQLite's copy-and-move, written by hand or by another tool, is one change, judged by what differs."""

import sqlite3

import pytest

from deployguard.model import Body, Evidence, Facts, Revision, Risk, Script, Statement, Verdict
from deployguard.operations import ColumnShape, RebuildTable
from deployguard.rules import judge
from deployguard.rules.batch import collapse
from deployguard.sql import lower

BEFORE = {
    "t": (
        ColumnShape("id", "INTEGER", nullable=False),
        ColumnShape("a", "VARCHAR(20)"),
        ColumnShape("B", "INTEGER"),
    )
}
NEW = "CREATE TABLE {0} (id INTEGER PRIMARY KEY, a VARCHAR(20), b INTEGER)"


def script(*texts: str, shapes: dict[str, tuple[ColumnShape, ...]] | None = None) -> Script:
    known = BEFORE if shapes is None else shapes
    statements = tuple(
        Statement(sql, number, operations)
        for number, text in enumerate(texts, start=1)
        for sql, operations in lower(text, "sqlite", shapes=known)
    )
    return Script(Body.PRESENT, 1, statements)


def verdict(*texts: str, shapes: dict[str, tuple[ColumnShape, ...]] | None = None) -> Verdict:
    up = script(*texts, shapes=shapes)
    revision = Revision("r1", (), "versions/r1.py", "", "", up, up, Evidence.RECORDED)
    return judge((revision,), Facts("sqlite"))[0]


def codes(one: Verdict) -> set[str]:
    return {finding.rule for finding in one.findings} - {"DG601"}


def copied(new: str, definition: str = NEW, select: str = "INSERT INTO {0} (id, a, b) SELECT id, a, b FROM t") -> tuple[str, ...]:  # fmt: skip
    return (
        definition.format(new),
        select.format(new),
        "DROP TABLE t",
        f"ALTER TABLE {new} RENAME TO t",
    )


@pytest.mark.parametrize("new", ["t_new", "new__t", "temporary_t", '"_t_old"', "x"])
def test_a_copy_of_any_name_is_one_change(new: str) -> None:
    one = verdict(*copied(new))
    assert codes(one) == {"DG212"}
    assert one.risk is Risk.MEDIUM


def test_a_copy_with_what_is_usual_around_it_is_one_change() -> None:
    make, fill, drop, move = copied("t_new")
    one = verdict("PRAGMA foreign_keys=OFF", make, "SELECT count(*) FROM t", fill, drop, move, "PRAGMA foreign_keys=ON")  # fmt: skip
    assert codes(one) == {"DG212"}


def test_all_columns_in_their_order_are_a_copy() -> None:
    assert codes(verdict(*copied("n", select="INSERT INTO {0} SELECT * FROM t"))) == {"DG212"}
    assert codes(verdict(*copied("n", select="INSERT INTO {0} SELECT id, a, b FROM t"))) == {"DG212"}  # fmt: skip


def test_the_old_table_may_step_aside_first() -> None:
    texts = (
        "ALTER TABLE t RENAME TO t_old",
        NEW.format("t"),
        "INSERT INTO t (id, a, b) SELECT id, a, b FROM t_old",
        "DROP TABLE t_old",
    )
    assert codes(verdict(*texts)) == {"DG212"}


@pytest.mark.parametrize(
    ("definition", "select", "code"),
    [
        # a column is left out
        ("CREATE TABLE {0} (id INTEGER, b INTEGER)", "INSERT INTO {0} SELECT id, b FROM t", "DG102"),
        # it arrives changed
        (NEW, "INSERT INTO {0} (id, a, b) SELECT id, upper(a), b FROM t", "DG102"),
        # another type, another name, NOT NULL
        ("CREATE TABLE {0} (id INTEGER PRIMARY KEY, a INT, b INTEGER)", "INSERT INTO {0} SELECT * FROM t", "DG301"),
        ("CREATE TABLE {0} (id INTEGER PRIMARY KEY, z VARCHAR(20), b INTEGER)", "INSERT INTO {0} SELECT id, a, b FROM t", "DG401"),
        ("CREATE TABLE {0} (id INTEGER PRIMARY KEY, a VARCHAR(20) NOT NULL, b INTEGER)", "INSERT INTO {0} SELECT * FROM t", "DG208"),
    ],
)  # fmt: skip
def test_a_copy_is_judged_by_what_differs(definition: str, select: str, code: str) -> None:
    found = codes(verdict(*copied("n", definition, select)))
    assert code in found
    assert "DG101" not in found


@pytest.mark.parametrize(
    "select",
    [
        "INSERT INTO {0} SELECT id, a, b FROM t WHERE id > 5",
        "INSERT INTO {0} SELECT DISTINCT id, a, b FROM t",
        "INSERT INTO {0} SELECT id, a, b FROM t LIMIT 5",
        "INSERT OR IGNORE INTO {0} SELECT id, a, b FROM t",
        "INSERT INTO {0} SELECT t.id, a, b FROM t JOIN u ON u.id = t.id",
        "INSERT INTO {0} SELECT id, a, b FROM u",
        "INSERT INTO {0} VALUES (1, 'x', 2)",
        "INSERT INTO {0} (id, a) SELECT id, a, b FROM t",
    ],
)
def test_where_not_every_row_arrives_the_table_is_dropped(select: str) -> None:
    one = verdict(*copied("n", select=select))
    assert "DG101" in codes(one)
    assert one.risk is Risk.CRITICAL


def test_an_unknown_table_is_dropped() -> None:
    assert verdict(*copied("n"), shapes={}).risk is Risk.CRITICAL


def test_a_copy_under_another_name_leaves_the_old_one_lost() -> None:
    make, fill, drop, _ = copied("n")
    assert "DG101" in codes(verdict(make, fill, drop, "ALTER TABLE n RENAME TO other"))
    assert "DG101" in codes(verdict(make, fill, drop))
    assert "DG101" in codes(verdict(make, drop, fill, "ALTER TABLE n RENAME TO t"))


def test_only_sqlite_has_no_other_way() -> None:
    texts = copied("n")
    assert collapse(script(*texts), "mysql") == script(*texts)
    (one,) = collapse(script(*texts), "sqlite").statements
    assert one.operations == (RebuildTable("t", ()),)


def test_with_foreign_keys_on_the_copy_deletes_what_points_at_it() -> None:
    """DG151, and that SQLite does so indeed."""
    assert "DG151" in codes(verdict("PRAGMA foreign_keys = ON", *copied("n")))
    assert "DG151" not in codes(verdict("PRAGMA foreign_keys=ON", "PRAGMA foreign_keys=0", *copied("n")))  # fmt: skip
    widened = "CREATE TABLE {0} (id INTEGER PRIMARY KEY, a INT, b INTEGER)"
    assert {"DG151", "DG301"} <= codes(verdict("PRAGMA foreign_keys=ON", *copied("n", widened)))
    with sqlite3.connect(":memory:", isolation_level=None) as connection:
        connection.executescript(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b);"
            "CREATE TABLE child (t REFERENCES t (id) ON DELETE CASCADE);"
            "INSERT INTO t VALUES (1, 'x', 2); INSERT INTO child VALUES (1); PRAGMA foreign_keys=ON;"
            + ";".join(copied("n"))
        )
        assert connection.execute("SELECT count(*) FROM child").fetchone() == (0,)
