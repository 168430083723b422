"""Mutated SQL is never taken to be harmless in silence: oracles that know nothing of our readers say what it does."""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import postgast
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from postgast import pg_query_pb2 as pb

from deployguard.model import Body, Evidence, Facts, Revision, Risk, Script, Statement
from deployguard.rules import judge
from deployguard.sql import lower, split
from tests.sql.grammar import Grammar
from tests.sql.rare import RARE
from tests.sql.statements import WRITTEN
from tests.sql.test_mysql import EXACT, UNDERSTOOD
from tests.sql.test_sqlite import REAL
from tests.support.calls import calls

PIECES = (
    "'", '"', "`", "$$", "(", ")", ";", "--", "/*", "*/", ",", "%s", "é", "\n", "\r", "#", "\\", "/*!50000", "--x",
    "DROP", "TABLE", "t", "DELETE", "FROM", "CASCADE", "ALTER", "TRUNCATE", "IF", "EXISTS", "COLUMN", "UPDATE", "SET",
    "WHERE", "1=1", "E'\\'", "\u00a0", "[", "]", "AS", "SELECT", "NULL", "DROP TABLE t;", "; DELETE FROM t", ":a",
)  # fmt: skip
SEEDS = st.integers(0, 2**32)


def mutated(statement: str, seed: int) -> str:
    """``statement`` with pieces deleted, doubled, moved, cut off or put in."""
    pick = random.Random(seed)
    words = re.findall(r"\s+|\w+|[^\w\s]", statement)
    for _ in range(pick.randint(1, 4)):
        at = pick.randrange(len(words) + 1)
        match pick.randrange(6):
            case 0:
                del words[at : at + pick.randint(1, 3)]
            case 1:
                words[at:at] = words[at : at + 3]
            case 2 | 3:
                words.insert(at, f" {pick.choice(PIECES)} ")
            case 4:
                words = words[: at + 1]
            case _:
                words[at : at + 4] = reversed(words[at : at + 4])
    return "".join(words)


def level(text: str, dialect: str) -> Risk:
    """What the book makes of the text as the upgrade of a revision, without a database."""
    statements = tuple(Statement(sql, 1, found) for sql, found in lower(text, dialect))
    up = Script(Body.PRESENT, 1, statements)
    revision = Revision("r1", (), "versions/r1.py", "", "", up, up, Evidence.RECORDED)
    return judge((revision,), Facts(dialect))[0].risk


# --- PostgreSQL: what its own grammar finds in the text ---------------------------------------------


def least(statement: pb.Node) -> Risk:
    """The level that the kind of a statement demands at least, by the parse tree alone."""
    match statement.WhichOneof("node"):
        case "drop_stmt":
            lost = {pb.OBJECT_TABLE, pb.OBJECT_SCHEMA, pb.OBJECT_SEQUENCE, pb.OBJECT_MATVIEW}
            kind = statement.drop_stmt.remove_type
            return Risk.CRITICAL if kind in lost else Risk.MEDIUM if kind == pb.OBJECT_INDEX else Risk.LOW  # fmt: skip
        case "truncate_stmt" | "update_stmt" | "delete_stmt" | "merge_stmt" | "dropdb_stmt":
            return Risk.CRITICAL
        case "insert_stmt":
            harmless = statement.insert_stmt.on_conflict_clause.action == pb.ONCONFLICT_NOTHING
            return Risk.LOW if harmless else Risk.MEDIUM
        case "copy_stmt":
            return Risk.CRITICAL if statement.copy_stmt.is_from else Risk.LOW
        case "create_table_as_stmt" if writes(statement):
            return Risk.CRITICAL
        case "alter_table_stmt" if statement.alter_table_stmt.objtype == pb.OBJECT_TABLE:
            return max(_action(node.alter_table_cmd) for node in statement.alter_table_stmt.cmds)
        case "rename_stmt":
            broken = {pb.OBJECT_TABLE, pb.OBJECT_COLUMN, pb.OBJECT_SCHEMA, pb.OBJECT_VIEW}
            return Risk.HIGH if statement.rename_stmt.rename_type in broken else Risk.LOW
        case "select_stmt" if writes(statement):
            return Risk.CRITICAL
        case "index_stmt":
            return Risk.MEDIUM if statement.index_stmt.relation.inh else Risk.LOW
        case "do_stmt" | "call_stmt" | "execute_stmt" | "cluster_stmt" | "alter_system_stmt":
            return Risk.HIGH
        case "grant_stmt" | "create_role_stmt" | "alter_role_stmt" | "create_policy_stmt":
            return Risk.MEDIUM
        case _:
            return Risk.LOW


def writes(statement: pb.Node) -> bool:
    """Whether an UPDATE, a DELETE or a MERGE is anywhere inside."""
    kinds = (pb.UpdateStmt, pb.DeleteStmt, pb.MergeStmt)
    return any(isinstance(message, kinds) for _, message in postgast.walk(statement))


def _action(command: pb.AlterTableCmd) -> Risk:
    match command.subtype:
        case pb.AT_DropColumn:
            return Risk.CRITICAL
        case pb.AT_AlterColumnType | pb.AT_SetNotNull | pb.AT_SetUnLogged | pb.AT_SetLogged:
            return Risk.HIGH
        case pb.AT_DropConstraint | pb.AT_EnableRowSecurity | pb.AT_ChangeOwner:
            return Risk.MEDIUM
        case _:
            return Risk.LOW


def check_postgresql(text: str) -> None:
    try:
        tree = postgast.parse(text)
    except (postgast.PgQueryError, DecodeError, UnicodeError):
        level(text, "postgresql")  # the server takes none of it; only no crash is asked for
        return
    nodes = [one.stmt for one in tree.stmts]
    made = {
        "create_stmt",
        "create_table_as_stmt",
        "create_schema_stmt",
        "create_seq_stmt",
        "alter_table_stmt",
    }
    if len(nodes) > 1 and any(one.WhichOneof("node") in made for one in nodes):
        return  # what follows may be about a table that is new
    demanded = max((least(one) for one in nodes), default=Risk.LOW)
    if len(nodes) > 1 and demanded is Risk.MEDIUM:
        return  # a table renamed away, an index dropped that was just made
    assert level(text, "postgresql") >= demanded, text


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*WRITTEN, *RARE]), SEEDS)
def test_mutated_postgresql_has_the_level_of_what_its_grammar_reads(text: str, seed: int) -> None:
    check_postgresql(mutated(text, seed))


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_generated_and_mutated_postgresql_has_it_too(seed: int) -> None:
    text = Grammar(seed).statement()
    check_postgresql(text.replace("%s", "$1").replace("%(x)s", "$2"))
    check_postgresql(mutated(text, seed))


@pytest.mark.parametrize("text", [*WRITTEN, *RARE])
def test_the_oracle_holds_for_what_is_written_out(text: str) -> None:
    check_postgresql(text)


# --- every dialect: words that stand outside of strings and comments ----------------------------------

DANGERS = re.compile(
    r"^\s*(drop\s+(table|schema|database)|truncate|delete\s+from|update\s+\w+\s+set)\b",
    re.IGNORECASE,
)
HIDING = re.compile(r"['\"`\\#$\[/]|--|create|prepare|explain", re.IGNORECASE)


def check_words(text: str, dialect: str) -> None:
    """A plain text that begins with a dangerous word, or has one behind a semicolon, is critical."""
    if not HIDING.search(text) and any(DANGERS.match(part) for part in text.split(";")):
        assert level(text, dialect) is Risk.CRITICAL, text
    else:
        level(text, dialect)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([*EXACT, *UNDERSTOOD]), SEEDS)
def test_mutated_mysql_never_hides_a_dangerous_word(text: str, seed: int) -> None:
    check_words(mutated(text, seed), "mysql")
    check_words(mutated("SELECT 1; " + text, seed), "mariadb")


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["DROP TABLE t", "TRUNCATE TABLE t", "DELETE FROM t", "UPDATE t SET a = 1"]),
    st.text(" \t\n;", max_size=4),
    st.sampled_from(["postgresql", "sqlite", "mysql", "mariadb", "oracle"]),
    SEEDS,
)
def test_a_dangerous_statement_is_found_wherever_it_stands(
    danger: str, space: str, dialect: str, seed: int
) -> None:
    harmless = random.Random(seed).choice(
        ["SELECT 1", "SELECT 'a;b'", "SELECT 1 -- c\n", "SELECT 1 /* ; */"]
    )
    for text in (
        f"{harmless};{space}{danger}",
        f"{danger};{space}{harmless}",
        space + danger + space,
    ):
        assert level(text, dialect) is Risk.CRITICAL, text


# --- SQLite: what it really does --------------------------------------------------------------------

SCHEMA = """
CREATE TABLE u (id INTEGER PRIMARY KEY);
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT);
CREATE INDEX ix ON t (a);
INSERT INTO u VALUES (1), (2);
INSERT INTO t VALUES (1, 'x', 5), (2, 'y', 6), (3, NULL, 7);
"""
LITE = [
    *REAL,
    *(one for one in WRITTEN if one.startswith(("ALTER TABLE t", "DELETE", "UPDATE", "INSERT", "DROP", "SELECT", "WITH"))),
]  # fmt: skip


def state(connection: sqlite3.Connection) -> dict[str, tuple[tuple[str, ...], frozenset[str]]]:
    """Of each table of before: its columns, and its rows."""
    found = {}
    for table in ("t", "u"):
        columns = tuple(row[1] for row in connection.execute(f"PRAGMA main.table_info({table})"))
        if columns:
            names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
            rows = connection.execute(f"SELECT {names} FROM main.{table}").fetchall()
            found[table] = (columns, frozenset(map(repr, rows)))
    return found


def done_by(text: str) -> Iterator[Risk]:
    """The level that the text has earned by what it does to a database with rows."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        before = state(connection)
        connection.set_authorizer(
            lambda action, *_: (
                sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_ATTACH else sqlite3.SQLITE_OK
            )
        )
        connection.set_progress_handler(lambda: 1, 200_000)
        try:
            connection.executescript(text)
        except (sqlite3.Error, sqlite3.Warning, ValueError):
            return  # it fails; what it did before that is told by the statements alone
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)
        if connection.in_transaction:
            connection.rollback()
            return
        after = state(connection)
        indexed = connection.execute(
            "SELECT 1 FROM main.sqlite_master WHERE name = 'ix'"
        ).fetchone()
    for table, (columns, rows) in before.items():
        if table not in after:
            yield Risk.HIGH  # gone, or of another name
            continue
        now, kept = after[table]
        if not set(columns) <= set(now):
            yield Risk.HIGH
        elif columns == now and not rows <= kept:
            yield Risk.CRITICAL
    if indexed is None:
        yield Risk.MEDIUM


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(LITE), SEEDS)
def test_what_mutated_sql_does_to_a_real_sqlite_it_is_judged_by(text: str, seed: int) -> None:
    changed = mutated(text, seed)
    earned = max(done_by(changed), default=Risk.LOW)
    assert level(changed, "sqlite") >= earned, changed


def test_the_sqlite_oracle_sees_what_is_done() -> None:
    assert max(done_by("DELETE FROM t WHERE id = 1")) is Risk.CRITICAL
    assert max(done_by("UPDATE t SET a = 'z'")) is Risk.CRITICAL
    assert max(done_by("DROP TABLE t")) is Risk.HIGH
    assert max(done_by("ALTER TABLE t DROP COLUMN b")) is Risk.HIGH
    assert max(done_by("DROP INDEX ix")) is Risk.MEDIUM
    assert not list(done_by("ALTER TABLE t ADD COLUMN c INT"))
    assert not list(done_by("CREATE TABLE n (a)"))


# --- size -------------------------------------------------------------------------------------------


def reading(text: str, dialect: str) -> int:
    found: list[object] = []
    made = calls(lambda: found.extend(lower(text, dialect)))
    assert found
    return made


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql"])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: "DELETE FROM t WHERE a = 1;\n" * n,
        lambda n: (
            f"CREATE TABLE t ({', '.join(f'c{i} VARCHAR(20) DEFAULT 5 NOT NULL' for i in range(n))})"
        ),
        lambda n: f"INSERT INTO t (a) VALUES {', '.join(['(1)'] * n)}",
        lambda n: f"SELECT 1 FROM t WHERE a IN ({', '.join(['5'] * n)})",
        lambda n: "'" + "x''" * n,
        lambda n: "/*" * n + "*/" * n + " DROP TABLE t",
        lambda n: ";" * n + "DROP TABLE t",
        lambda n: "DROP TABLE " + ", ".join(f"t{i}" for i in range(n)),
    ],
    ids=["statements", "columns", "rows", "values", "quotes", "comments", "semicolons", "tables"],
)
def test_work_grows_with_the_size_and_no_faster(make: Callable[[int], str], dialect: str) -> None:
    reading(make(4), dialect)  # what is only loaded once does not count
    # Four times the size: four times the work, with a margin; were it quadratic, sixteen times.
    assert reading(make(800), dialect) < 6 * reading(make(200), dialect) + 500


def test_ten_thousand_statements_are_all_seen() -> None:
    text = "SELECT 1; " * 9_999 + "DROP TABLE t"
    for dialect in ("postgresql", "sqlite", "mysql"):
        assert len(split(text, dialect)) == 10_000


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql"])
def test_deep_nesting_is_read_or_refused(dialect: str) -> None:
    for deep in (50, 3_000):
        for text in (
            f"UPDATE t SET a = {'(' * deep}1{')' * deep}",
            f"DELETE FROM t WHERE {'NOT ' * deep} true",
            f"DELETE FROM t WHERE a = {'(SELECT ' * deep}1{')' * deep}",
        ):
            assert level(text, dialect) is Risk.CRITICAL
