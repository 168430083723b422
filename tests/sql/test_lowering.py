"""The canary table: SQL text and exactly the operations that it must become, also after an upgrade of a parser."""

import subprocess
import sys

import pytest

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AddEnumValue,
    AlterObject,
    AlterTable,
    AlterType,
    ChangeAccess,
    ChangeTrigger,
    ColumnShape,
    Constraint,
    ControlTransaction,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    DetachPartition,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    LockTable,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RefreshView,
    Reindex,
    RenameColumn,
    RenameConstraint,
    RenameEnumValue,
    RenameIndex,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetNotNull,
    SetSchema,
    SetSetting,
    Truncate,
    Unrecognised,
    ValidateConstraint,
    Volatility,
    WriteRows,
)
from deployguard.sql import lower
from deployguard.sql.functions import volatility

FK, CHECK, UNIQUE, PK = (
    Constraint.FOREIGN_KEY,
    Constraint.CHECK,
    Constraint.UNIQUE,
    Constraint.PRIMARY_KEY,
)
CONST, STABLE, VOLATILE = Volatility.CONSTANT, Volatility.STABLE, Volatility.VOLATILE

POSTGRESQL: dict[str, tuple[Operation, ...]] = {
    # The traps of the two parsers.
    "ALTER TABLE t RENAME a TO b": (RenameColumn("t", "a", "b"),),
    "ALTER TABLE t RENAME TO b": (RenameTable("t", "b"),),
    "SAVEPOINT a": (ControlTransaction("savepoint"),),
    "RELEASE SAVEPOINT a": (ControlTransaction("release"),),
    "ROLLBACK TO SAVEPOINT a": (ControlTransaction("rollback to"),),
    "START TRANSACTION": (ControlTransaction("begin"),),
    "CLUSTER t": (RewriteTable("t", "cluster"),),
    "ALTER TABLE t ADD COLUMN c SERIAL": (AddColumn("t", "c", "SERIAL", generated="serial"),),
    "ALTER TABLE t ADD COLUMN c timestamptz DEFAULT now()": (
        AddColumn("t", "c", "timestamptz", default=STABLE, default_sql="now()"),
    ),
    "ALTER TABLE t ADD COLUMN c timestamptz DEFAULT clock_timestamp()": (
        AddColumn("t", "c", "timestamptz", default=VOLATILE, default_sql="clock_timestamp()"),
    ),
    "ALTER TABLE t ADD COLUMN c uuid NOT NULL DEFAULT gen_random_uuid()": (
        AddColumn("t", "c", "uuid", False, default=VOLATILE, default_sql="gen_random_uuid()"),
    ),
    "ALTER TABLE t ADD CHECK (a > 0) NOT VALID, ADD FOREIGN KEY (a) REFERENCES u": (
        AddConstraint("t", CHECK, expression="a > 0", not_valid=True),
        AddConstraint("t", FK, columns=("a",), references="u"),
    ),
    "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID": (
        AddConstraint("t", CHECK, "c", expression="a IS NOT NULL", not_valid=True),
    ),
    "ALTER TABLE t VALIDATE CONSTRAINT c": (ValidateConstraint("t", "c"),),
    "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i": (
        AddConstraint("t", UNIQUE, "c", using_index="i"),
    ),
    "ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY (a, b)": (
        AddConstraint("t", PK, "c", columns=("a", "b")),
    ),
    "ALTER TABLE t ADD COLUMN c int REFERENCES app.u (id)": (
        AddColumn("t", "c", "int", constraints=(FK,), references="app.u"),
    ),
    'ALTER TABLE "Order" DROP COLUMN "Name", DROP COLUMN b CASCADE': (
        DropColumn("Order", "Name"),
        DropColumn("Order", "b", cascade=True),
    ),
    "ALTER TABLE t ALTER COLUMN a TYPE varchar(50) USING a::varchar(50)": (
        AlterType("t", "a", "varchar(50)", using=True, using_sql="a::varchar(50)"),
    ),
    'ALTER TABLE t ALTER a TYPE text COLLATE "C"': (AlterType("t", "a", "text", collation=True),),
    "ALTER TABLE t ALTER a SET NOT NULL, ALTER b DROP NOT NULL": (
        SetNotNull("t", "a"),
        DropNotNull("t", "b"),
    ),
    "ALTER TABLE t ALTER a SET DEFAULT 'x', ALTER b DROP DEFAULT": (
        SetDefault("t", "a", "'x'"),
        DropDefault("t", "b"),
    ),
    "ALTER TABLE t SET SCHEMA app": (SetSchema("t", "app"),),
    "ALTER TABLE t SET UNLOGGED": (RewriteTable("t", "set unlogged"),),
    "ALTER TABLE t REPLICA IDENTITY FULL": (AlterTable("t", "replica identity"),),
    "ALTER TABLE t OWNER TO bob": (ChangeAccess("owner", "t"),),
    "ALTER TABLE t DETACH PARTITION p CONCURRENTLY": (DetachPartition("t", "p", concurrently=True),),
    "ALTER TABLE t RENAME CONSTRAINT a TO b": (RenameConstraint("t", "a", "b"),),
    "ALTER TABLE t DROP CONSTRAINT IF EXISTS c CASCADE": (
        DropConstraint("t", "c", cascade=True, if_exists=True),
    ),
    "ALTER TABLE t DISABLE TRIGGER ALL": (ChangeTrigger("t", "disable"),),
    "ALTER INDEX i RENAME TO j": (RenameIndex("i", "j"),),
    "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'sad'": (AddEnumValue("mood", "sad"),),
    "ALTER TYPE app.mood RENAME VALUE 'a' TO 'b'": (RenameEnumValue("app.mood", "a", "b"),),
    "ALTER DOMAIN d ADD CHECK (VALUE > 0) NOT VALID": (
        AlterObject("domain", "d", "add constraint not valid"),
    ),
    "CREATE TABLE t (id serial PRIMARY KEY, u int NOT NULL REFERENCES u (id), v int REFERENCES v)": (
        CreateTable(
            "t",
            ("id", "u", "v"),
            references=("u", "v"),
            shapes=(
                ColumnShape("id", "serial", nullable=False),
                ColumnShape("u", "int", nullable=False),
                ColumnShape("v", "int"),
            ),
        ),
    ),
    "CREATE TABLE IF NOT EXISTS t AS SELECT * FROM u": (
        CreateTable("t", from_query=True, if_not_exists=True),
    ),
    "CREATE TABLE p1 PARTITION OF app.p FOR VALUES IN (1)": (CreateTable("p1", partition_of="app.p"),),
    "SELECT * INTO t FROM u": (CreateTable("t", from_query=True),),
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.t (a, lower(b))": (
        CreateIndex("app.t", "i", ("a",), True, True, True, True),
    ),
    "DROP INDEX CONCURRENTLY a, b": (
        DropIndex("a", concurrently=True),
        DropIndex("b", concurrently=True),
    ),
    "DROP TABLE IF EXISTS a, app.b CASCADE": (DropTable("a", True, True), DropTable("app.b", True, True)),
    "DROP TRIGGER tr ON app.t": (ChangeTrigger("app.t", "drop", "tr"),),
    "DROP FUNCTION f(int)": (DropObject("function", "f"),),
    "DROP SCHEMA s CASCADE": (DropObject("schema", "s", cascade=True),),
    "DROP OWNED BY bob": (DropObject("owned objects", "bob"),),
    "CREATE TYPE mood AS ENUM ('a', 'b')": (CreateType("mood", ("a", "b")),),
    "CREATE SCHEMA s CREATE TABLE t (a int)": (
        CreateObject("schema", "s"),
        CreateTable("t", ("a",), shapes=(ColumnShape("a", "int"),)),
    ),
    "TRUNCATE a, b CASCADE": (Truncate("a", cascade=True), Truncate("b", cascade=True)),
    "LOCK TABLE t IN SHARE MODE": (LockTable("t", "SHARE"),),
    "VACUUM (FULL) t": (RewriteTable("t", "vacuum full"),),
    "VACUUM (FULL false) t": (Maintain("vacuum"),),
    "REINDEX (CONCURRENTLY) TABLE t": (Reindex("table", "t", concurrently=True),),
    "REFRESH MATERIALIZED VIEW v": (RefreshView("v"),),
    "DO $$ BEGIN DELETE FROM t; END $$": (WriteRows("t", "delete"),),
    "DO LANGUAGE plpython3u $$ plpy.execute('x') $$": (Procedural("do"),),
    "DO $$ BEGIN x; END $$": (Procedural("do"),),
    "DO $$ BEGIN COMMIT; END $$": (Procedural("do"),),
    "DO $$ BEGIN RAISE NOTICE 'x'; END $$": (ReadRows(()),),
    "DO $$ DECLARE n int := f(); BEGIN n := g(n); CALL p(); END $$": (
        Procedural("select function", "f"),
        Procedural("select function", "g"),
        Procedural("call", "p"),
    ),
    "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$": (DropTable("t"),),
    "DO $$ BEGIN EXECUTE 'DROP TABLE ' || 't'; DROP TABLE u; END $$": (
        Procedural("do"),
        DropTable("u"),
    ),
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM t) THEN CREATE TABLE t (a int); END IF; END $$": (
        CreateTable("t", ("a",), if_not_exists=True, shapes=(ColumnShape("a", "int"),)),
    ),
    "CALL p(1)": (Procedural("call", "p"),),
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'": (
        Procedural("replace function", "f"),
    ),
    "SET LOCAL lock_timeout = '5s'": (SetSetting("lock_timeout", "5s", local=True),),
    "GRANT SELECT ON t TO bob": (ChangeAccess("grant", "t"),),
    # Data.
    "INSERT INTO t (a) VALUES (1)": (WriteRows("t", "insert", columns=("a",)),),
    "INSERT INTO t SELECT * FROM u": (WriteRows("t", "insert", from_query=True),),
    "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2": (
        WriteRows("t", "merge", columns=("a",)),
    ),
    "INSERT INTO t (a) VALUES (my_function())": (
        WriteRows("t", "insert", columns=("a",)),
        Procedural("select function", "my_function"),
    ),
    "UPDATE t SET a = 1, b = 2 WHERE c": (
        WriteRows("t", "update", where=True, columns=("a", "b")),
    ),
    "UPDATE t SET a = 1 WHERE 1 = 1": (WriteRows("t", "update", columns=("a",)),),
    "DELETE FROM t WHERE true": (WriteRows("t", "delete"),),
    "WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone": (WriteRows("t", "delete"),),
    "EXPLAIN ANALYZE DELETE FROM t": (WriteRows("t", "delete"),),
    "EXPLAIN DELETE FROM t": (ReadRows(()),),
    "COPY t (a) FROM STDIN": (WriteRows("t", "copy", columns=("a",)),),
    "COPY t TO STDOUT": (ReadRows(("t",)),),
    "COPY t FROM PROGRAM 'x'": (WriteRows("t", "copy"), Procedural("copy program")),
    "WITH x AS (SELECT * FROM t) SELECT * FROM x JOIN app.u USING (id)": (ReadRows(("app.u", "t")),),
    "SELECT my_function(a) FROM t": (
        ReadRows(("t",)),
        Procedural("select function", "my_function"),
    ),
    "SELECT create_hypertable('t', 'time')": (Procedural("select function", "create_hypertable"),),
    "SELECT setval('app.\"S\"', 5)": (AlterObject("sequence", "app.S", "set value"),),
    "SELECT nextval('s'::regclass)": (AlterObject("sequence", "s", "next value"),),
    "SELECT set_config('lock_timeout', '5s', true)": (SetSetting("lock_timeout", "5s", local=True),),
    "SELECT pg_advisory_xact_lock(1)": (Maintain("advisory lock"),),
    "SELECT lower('A'), now(), current_user": (ReadRows(()),),
}  # fmt: skip

SQLITE: dict[str, tuple[Operation, ...]] = {
    "PRAGMA foreign_keys=OFF": (SetSetting("foreign_keys", "OFF"),),
    'PRAGMA main.table_info("t")': (ReadRows(("sqlite_master",)),),
    "SAVEPOINT a": (ControlTransaction("savepoint"),),
    "BEGIN IMMEDIATE": (ControlTransaction("begin"),),
    "ALTER TABLE t RENAME a TO b": (RenameColumn("t", "a", "b"),),
    "ALTER TABLE _alembic_tmp_t RENAME TO t": (RenameTable("_alembic_tmp_t", "t"),),
    "INSERT INTO _alembic_tmp_t (id, b) SELECT t.id, CAST(t.a AS INTEGER) AS anon_1 FROM t": (
        WriteRows("_alembic_tmp_t", "insert", from_query=True, columns=("id", "b"), sources=("id", "a"), copies="t"),
    ),
    "REPLACE INTO t VALUES (1)": (WriteRows("t", "merge"),),
    "INSERT OR IGNORE INTO t VALUES (1)": (WriteRows("t", "insert"),),
    "CREATE TABLE t (id INTEGER PRIMARY KEY, a) WITHOUT ROWID, STRICT": (
        CreateTable(
            "t",
            ("id", "a"),
            shapes=(ColumnShape("id", "INTEGER", nullable=False), ColumnShape("a", "")),
        ),
    ),
    "CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE t SET a = 1; DELETE FROM u; END": (
        ChangeTrigger("t", "create", "tr"),
    ),
    "DROP INDEX i": (DropIndex("i"),),
    "VACUUM": (RewriteTable("*", "vacuum"),),
}  # fmt: skip

MYSQL: dict[str, tuple[Operation, ...]] = {
    "ALTER TABLE t CHANGE a b BIGINT NOT NULL": (
        AlterType("t", "a", "BIGINT"),
        SetNotNull("t", "a"),
        RenameColumn("t", "a", "b"),
    ),
    "ALTER TABLE `t` DROP FOREIGN KEY fk": (DropConstraint("t", "fk"),),
    "DROP INDEX i ON t": (DropIndex("t.i"),),
    "RENAME TABLE a TO b": (RenameTable("a", "b"),),
    "INSERT INTO t (a) VALUES (%s) ON DUPLICATE KEY UPDATE a = 2": (
        WriteRows("t", "merge", columns=("a",)),
    ),
}  # fmt: skip

UNREADABLE = (
    ("postgresql", "ALTER TABLE t FROBNICATE"),
    ("postgresql", "SELEC 1"),
    ("postgresql", "DROP TABLE"),
    ("postgresql", "\\copy t from x"),
    ("postgresql", "SELECT 1\0; DROP TABLE t"),
    ("postgresql", "'unterminated"),
    ("postgresql", "$$ unterminated"),
    ("sqlite", "ATTACH DATABASE"),
    ("sqlite", "CREATE TABLE t (a INT FROB(1) NICATE)"),
    ("sqlite", "ALTER TABLE t ALTER COLUMN a FROBNICATE"),
    ("mysql", "ALTER TABLE t ENGINE=InnoDB, FROBNICATE"),
    ("klingon", "SELECT 1"),
)


@pytest.mark.parametrize(
    ("dialect", "statement", "operations"),
    [
        *(("postgresql", *item) for item in POSTGRESQL.items()),
        *(("sqlite", *item) for item in SQLITE.items()),
        *(("mysql", *item) for item in MYSQL.items()),
    ],
)
def test_statement_becomes_exactly_these_operations(
    dialect: str, statement: str, operations: tuple[Operation, ...]
) -> None:
    assert lower(statement, dialect) == ((statement, operations),)


@pytest.mark.parametrize(("dialect", "statement"), UNREADABLE)
def test_what_is_not_understood_is_said_to_be_so(dialect: str, statement: str) -> None:
    ((text, operations),) = lower(statement, dialect)
    assert text == statement
    assert [type(operation) for operation in operations] == [Unrecognised]


def test_one_unreadable_statement_does_not_hide_the_others() -> None:
    read = lower("DROP TABLE a; SELEC 1; DROP TABLE b;", "postgresql")
    assert read[0] == ("DROP TABLE a", (DropTable("a"),))
    assert isinstance(read[1][1][0], Unrecognised)
    assert read[2] == ("DROP TABLE b", (DropTable("b"),))


def test_types_and_defaults_are_the_original_text() -> None:
    text = "ALTER TABLE t ADD  COLUMN c  Character   Varying( 20 )  DEFAULT  'é; -- '  NOT NULL"
    (((_, (added,)),)) = lower(text, "postgresql")
    assert isinstance(added, AddColumn)
    assert added.type == "Character   Varying( 20 )"
    assert added.default_sql == "'é; -- '"


def test_a_name_is_cut_where_postgresql_cuts_it() -> None:
    long = "x" * 70
    assert lower(f"DROP TABLE {long}", "postgresql")[0][1] == (DropTable("x" * 63),)


def test_the_old_type_comes_from_the_caller() -> None:
    read = lower(
        "ALTER TABLE app.t ALTER a TYPE text",
        "postgresql",
        old_types={("app.t", "a"): "varchar(20)"},
    )
    assert read[0][1] == (AlterType("app.t", "a", "text", old_type="varchar(20)"),)


def test_a_batch_copy_remembers_what_it_replaces() -> None:
    ((_, (made,)),) = lower(
        "CREATE TABLE _alembic_tmp_t (id INTEGER)",
        "sqlite",
        old_types={("t", "a"): "TEXT", ("u", "a"): "TEXT"},
    )
    assert isinstance(made, CreateTable)
    assert made.before == (ColumnShape("a", "TEXT"),)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("NULL", Volatility.NONE),
        ("'now()'", CONST),
        ("-1", CONST),
        ("'{}'::varchar(20)[]", CONST),
        ("lower('A')", CONST),
        ("CURRENT_TIMESTAMP", STABLE),
        ("timezone('utc', now())", STABLE),
        ("(now() + interval '1 day')", STABLE),
        ("nextval('s'::regclass)", VOLATILE),
        ("md5(random()::text)", VOLATILE),
        ("uuid_generate_v4()", VOLATILE),
        ("my_function()", Volatility.UNKNOWN),
        ("app.now()", Volatility.UNKNOWN),
    ],
)
def test_volatility_is_judged_on_the_text_as_written(expression: str, expected: Volatility) -> None:
    assert volatility(expression, "postgresql") is expected


def test_importing_the_room_loads_no_parser() -> None:
    code = (
        "import sys, deployguard.sql; "
        "assert not {'sqlglot', 'postgast'} & set(sys.modules); "
        "deployguard.sql.lower('DROP TABLE t', 'sqlite'); "
        "assert 'sqlglot' in sys.modules and 'postgast' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
