"""MySQL and MariaDB: what people write is understood exactly, and what is not known is refused."""

import pytest

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterTable,
    AlterType,
    ChangeAccess,
    ColumnShape,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropNotNull,
    DropTable,
    LockTable,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RenameColumn,
    RenameIndex,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetNotNull,
    SetSetting,
    Truncate,
    Unrecognised,
    Volatility,
    WriteRows,
)
from deployguard.sql import lower, split

FK, CHECK, UNIQUE, PK = (
    Constraint.FOREIGN_KEY,
    Constraint.CHECK,
    Constraint.UNIQUE,
    Constraint.PRIMARY_KEY,
)
CONST, STABLE, VOLATILE = Volatility.CONSTANT, Volatility.STABLE, Volatility.VOLATILE

EXACT: dict[str, tuple[Operation, ...]] = {
    "ALTER TABLE t ADD a VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'x' COMMENT 'it''s'": (
        AddColumn("t", "a", "VARCHAR(20)", nullable=False, default=CONST, default_sql="'x'"),
    ),
    "ALTER TABLE t ADD COLUMN (a INT UNSIGNED, b TEXT, INDEX ix (a))": (
        AddColumn("t", "a", "INT UNSIGNED"),
        AddColumn("t", "b", "TEXT"),
        CreateIndex("t", "ix", ("a",)),
    ),
    "ALTER TABLE t ADD COLUMN a INT FIRST": (
        AddColumn("t", "a", "INT"),
        AlterTable("t", "column position"),
    ),
    "ALTER TABLE t ADD COLUMN a INT AFTER b, ALGORITHM=INSTANT": (
        AddColumn("t", "a", "INT"),
        AlterTable("t", "column position, online"),
    ),
    "ALTER TABLE t DROP b, MODIFY c BIGINT NOT NULL, ADD UNIQUE KEY u (a(10), d DESC), RENAME TO x": (
        DropColumn("t", "b"),
        AlterType("t", "c", "BIGINT"),
        SetNotNull("t", "c"),
        AddConstraint("t", UNIQUE, "u", ("a", "d")),
        RenameTable("t", "x"),
    ),
    "ALTER TABLE t CHANGE COLUMN `a` `b` ENUM('x','y') DEFAULT NULL": (
        AlterType("t", "a", "ENUM('x','y')"),
        DropNotNull("t", "a"),
        RenameColumn("t", "a", "b"),
    ),
    "ALTER TABLE t MODIFY a VARCHAR(50), ALGORITHM=INSTANT": (
        AlterType("t", "a", "VARCHAR(50)", online=True),
    ),
    "ALTER TABLE t ADD FULLTEXT INDEX ft (a, b) WITH PARSER ngram": (
        CreateIndex("t", "ft", ("a", "b"), kind="fulltext"),
    ),
    "ALTER TABLE t ADD INDEX ix (a), ALGORITHM=INPLACE, LOCK=NONE": (
        CreateIndex("t", "ix", ("a",), concurrently=True),
    ),
    "ALTER TABLE t ADD INDEX ix (a), LOCK=EXCLUSIVE": (
        CreateIndex("t", "ix", ("a",)),
        LockTable("t", "exclusive"),
    ),
    "ALTER TABLE t ADD INDEX ix (a), ALGORITHM=INPLACE, LOCK=SHARED": (
        CreateIndex("t", "ix", ("a",)),
        LockTable("t", "shared"),
    ),
    "ALTER TABLE t ADD FULLTEXT ft (a), ALGORITHM=INPLACE": (
        CreateIndex("t", "ft", ("a",), kind="fulltext"),
    ),
    "ALTER TABLE t ADD UNIQUE u (a), ALGORITHM=INPLACE, LOCK=NONE": (
        CreateIndex("t", "u", ("a",), unique=True, concurrently=True),
    ),
    "ALTER TABLE t ENGINE=InnoDB ROW_FORMAT=DYNAMIC AUTO_INCREMENT=5": (
        RewriteTable("t", "engine"),
        RewriteTable("t", "row_format"),
        AlterTable("t", "auto_increment"),
    ),
    "ALTER TABLE t ENGINE=InnoDB, ALGORITHM=COPY": (
        RewriteTable("t", "engine"),
        RewriteTable("t", "algorithm=copy"),
    ),
    "ALTER TABLE t ENGINE=InnoDB, ALGORITHM=INPLACE, LOCK=NONE": (
        AlterTable("t", "engine, online"),
    ),
    "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_bin": (
        RewriteTable("t", "convert to character set"),
    ),
    "ALTER TABLE t DEFAULT CHARSET=utf8mb4, COMMENT 'x'": (
        AlterTable("t", "charset"),
        AlterTable("t", "comment"),
    ),
    "ALTER TABLE t PARTITION BY RANGE (YEAR(d)) (PARTITION p0 VALUES LESS THAN (2000))": (
        RewriteTable("t", "partition by"),
    ),
    "ALTER TABLE t ADD PARTITION (PARTITION p2 VALUES LESS THAN (2010))": (
        AlterTable("t", "add partition"),
    ),
    "ALTER TABLE t DROP PARTITION p0, p1": (Truncate("t", partitions=("p0", "p1")),),
    "ALTER TABLE t TRUNCATE PARTITION ALL": (Truncate("t", partitions=("all",)),),
    "ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u WITHOUT VALIDATION": (
        WriteRows("t", "merge"),
        WriteRows("u", "merge"),
    ),
    "ALTER TABLE t DISCARD TABLESPACE": (Truncate("t"),),
    "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (a, b)": (
        DropConstraint("t", "PRIMARY"),
        RewriteTable("t", "drop primary key"),
        AddConstraint("t", PK, "", ("a", "b")),
    ),
    "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES s.u (id) ON DELETE SET NULL": (
        AddConstraint("t", FK, "fk", ("a",), references="s.u"),
    ),
    "ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0)": (
        AddConstraint("t", CHECK, "ck", expression="a > 0"),
    ),
    "ALTER TABLE t ADD total INT GENERATED ALWAYS AS (a * b) STORED": (
        AddColumn("t", "total", "INT", generated="stored"),
    ),
    "ALTER TABLE t ADD id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY": (
        AddColumn("t", "id", "BIGINT", nullable=False, generated="identity", constraints=(PK,)),
    ),
    "ALTER TABLE t ADD u INT REFERENCES users(id)": (
        AddColumn("t", "u", "INT"),
        AlterTable("t", "inline references: u to users"),
    ),
    "ALTER TABLE t ADD k CHAR(36) NOT NULL DEFAULT (UUID())": (
        AddColumn("t", "k", "CHAR(36)", nullable=False, default=VOLATILE, default_sql="(UUID())"),
    ),
    "ALTER TABLE t ADD m TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP": (
        AddColumn(
            "t", "m", "TIMESTAMP", nullable=False, default=STABLE, default_sql="CURRENT_TIMESTAMP"
        ),
    ),
    "ALTER TABLE t ALTER a SET DEFAULT 5": (SetDefault("t", "a", "5"),),
    "ALTER TABLE t RENAME INDEX a TO b": (RenameIndex("t.a", "b"),),
    "ALTER TABLE t DROP CHECK ck": (DropConstraint("t", "ck"),),
    "ALTER IGNORE TABLE t ADD UNIQUE (a)": (
        AddConstraint("t", UNIQUE, "", ("a",)),
        WriteRows("t", "delete", where=True),
    ),
    "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT, a DOUBLE PRECISION, PRIMARY KEY (id), KEY k (a),"
    " CONSTRAINT f FOREIGN KEY (a) REFERENCES u (id)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='x; y'": (
        CreateTable(
            "t",
            ("id", "a"),
            ("u",),
            shapes=(
                ColumnShape("id", "INT", nullable=False),
                ColumnShape("a", "DOUBLE PRECISION"),
            ),
        ),
    ),
    "CREATE TABLE t LIKE u": (CreateTable("t"),),
    "CREATE TABLE t (a INT) SELECT a FROM u": (
        CreateTable("t", ("a",), from_query=True, shapes=(ColumnShape("a", "INT"),)),
    ),
    "CREATE UNIQUE INDEX ix ON t (a) ALGORITHM=INPLACE LOCK=NONE": (
        CreateIndex("t", "ix", ("a",), unique=True, concurrently=True),
    ),
    "DROP INDEX ix ON t": (DropIndex("t.ix"),),
    "DROP INDEX `PRIMARY` ON t": (
        DropConstraint("t", "PRIMARY"),
        RewriteTable("t", "drop primary key"),
    ),
    "DROP TABLE IF EXISTS a, s.b": (
        DropTable("a", if_exists=True),
        DropTable("s.b", if_exists=True),
    ),
    "RENAME TABLE a TO b, c TO d": (RenameTable("a", "b"), RenameTable("c", "d")),
    "LOCK TABLES t WRITE, u AS x READ": (LockTable("t", "write"), LockTable("u", "read")),
    "OPTIMIZE TABLE t": (RewriteTable("t", "optimize table"),),
    "ANALYZE TABLE t": (Maintain("analyze"),),
    "SET SESSION foreign_key_checks = 0, @x = 'a,b'": (
        SetSetting("foreign_key_checks", "0", local=True),
        SetSetting("@x", "'a,b'", local=True),
    ),
    "SET @@GLOBAL.sql_mode := ''": (SetSetting("sql_mode", "''"),),
    "GRANT SELECT ON app.* TO 'bob'@'%'": (ChangeAccess("grant", "app.*"),),
    "CREATE DEFINER=`root`@`%` PROCEDURE p() SELECT 1": (Procedural("create procedure", "p"),),
    "LOAD DATA LOCAL INFILE '/x' INTO TABLE t": (WriteRows("t", "copy"),),
    "REPLACE INTO t (a) SELECT a FROM u": (WriteRows("t", "merge", from_query=True),),
    "UPDATE t JOIN u ON t.id = u.id SET t.a = 1 WHERE u.b = 2": (
        WriteRows("t", "update", where=True, columns=("a",)),
    ),
    "UPDATE t, app.u AS x SET x.a = t.a, t.b = 1": (
        WriteRows("app.u", "update", columns=("a",)),
        WriteRows("t", "update", columns=("b",)),
    ),
    "UPDATE t JOIN u ON t.id = u.id SET a = 1": (
        WriteRows("t", "update", columns=("a",)),
        WriteRows("u", "update", columns=("a",)),
    ),
    "DELETE a, b FROM t AS a JOIN u b ON a.id = b.id WHERE a.x = 1": (
        WriteRows("t", "delete", where=True),
        WriteRows("u", "delete", where=True),
    ),
    "DELETE LOW_PRIORITY FROM t": (WriteRows("t", "delete"),),
    "SELECT a INTO @x FROM t": (ReadRows(()),),
    "SELECT * FROM t INTO OUTFILE '/x'": (Procedural("select into file"),),
}  # fmt: skip

UNDERSTOOD = """
ALTER TABLE t ADD COLUMN a DECIMAL(10,2) UNSIGNED ZEROFILL NOT NULL DEFAULT '0.00'
ALTER TABLE t ADD COLUMN a SET('x','y') NOT NULL DEFAULT 'x'
ALTER TABLE t ADD COLUMN a BIT(1) NOT NULL DEFAULT b'0'
ALTER TABLE t ADD COLUMN a JSON DEFAULT (JSON_OBJECT())
ALTER TABLE t ADD COLUMN a POINT NOT NULL SRID 4326
ALTER TABLE t ADD COLUMN a VARCHAR(5) INVISIBLE
ALTER TABLE t ADD COLUMN a INT CHECK (a > 0)
ALTER TABLE t ADD COLUMN a INT CONSTRAINT c CHECK (a > 0) NOT ENFORCED
ALTER TABLE t ADD a INT, ADD b INT, ALGORITHM=INPLACE, LOCK=NONE
ALTER TABLE t ADD KEY (a), ADD INDEX USING BTREE (b), ADD SPATIAL INDEX (g)
ALTER TABLE t ADD INDEX ((lower(a)), (b + 1) DESC) INVISIBLE COMMENT 'x'
ALTER TABLE t ADD CONSTRAINT UNIQUE (a)
ALTER TABLE t ADD CONSTRAINT `c` PRIMARY KEY USING BTREE (a)
ALTER TABLE t ADD FOREIGN KEY fk (a) REFERENCES u (id) ON UPDATE CASCADE ON DELETE NO ACTION
ALTER TABLE t ALTER COLUMN a SET DEFAULT (uuid()), ALTER b DROP DEFAULT, ALTER INDEX ix INVISIBLE
ALTER TABLE t ALTER CHECK ck NOT ENFORCED
ALTER TABLE t DROP COLUMN IF EXISTS a, DROP INDEX IF EXISTS b, DROP FOREIGN KEY IF EXISTS c
ALTER TABLE IF EXISTS t ADD COLUMN IF NOT EXISTS a INT
ALTER TABLE t WAIT 5 ADD COLUMN a INT
ALTER TABLE t CONVERT TO CHARSET latin1
ALTER TABLE t KEY_BLOCK_SIZE=8 PACK_KEYS=1, STATS_PERSISTENT=1
ALTER TABLE t DISABLE KEYS
ALTER TABLE t FORCE
ALTER TABLE t ORDER BY a DESC, b
ALTER TABLE t REMOVE PARTITIONING
ALTER TABLE t COALESCE PARTITION 2
ALTER TABLE t REORGANIZE PARTITION p0, p1 INTO (PARTITION p VALUES LESS THAN (9))
ALTER TABLE t REBUILD PARTITION ALL
ALTER TABLE t ANALYZE PARTITION p0
ALTER TABLE t OPTIMIZE PARTITION p0
ALTER TABLE t ADD PARTITION PARTITIONS 4
ALTER TABLE t PARTITION BY LINEAR KEY (id) PARTITIONS 4
ALTER TABLE t PARTITION BY LIST COLUMNS(c) (PARTITION a VALUES IN ('x'))
ALTER TABLE t COMMENT 'x' PARTITION BY HASH(id) PARTITIONS 4
ALTER DATABASE d CHARACTER SET utf8mb4
ALTER USER 'bob'@'%' IDENTIFIED BY 'x'
CREATE TABLE IF NOT EXISTS `s`.`t` (`id` bigint(20) unsigned NOT NULL AUTO_INCREMENT, `a` varchar(255) COLLATE utf8mb4_unicode_ci DEFAULT NULL, `b` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, `c` tinyint(1) NOT NULL DEFAULT '0', `d` enum('x','y') NOT NULL, UNIQUE KEY `u` (`a`,`b`), FULLTEXT KEY `f` (`a`), SPATIAL KEY `g` (`b`), CONSTRAINT `k` CHECK (`c` > 0), PRIMARY KEY (`id`) USING BTREE) ENGINE=InnoDB AUTO_INCREMENT=7 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci ROW_FORMAT=DYNAMIC COMMENT='it''s'
CREATE TABLE t (id INT, d DATE) PARTITION BY RANGE COLUMNS(d) (PARTITION p0 VALUES LESS THAN ('2020-01-01') ENGINE = InnoDB, PARTITION p1 VALUES LESS THAN MAXVALUE)
CREATE TABLE t (a INT, b INT AS (a + 1) VIRTUAL, c INT GENERATED ALWAYS AS (a * 2) STORED NOT NULL)
CREATE TABLE t AS SELECT * FROM u
CREATE TABLE t (LIKE u)
CREATE TEMPORARY TABLE t (a INT)
CREATE FULLTEXT INDEX ix ON t (a)
CREATE INDEX ix USING BTREE ON t (a(20), b)
CREATE OR REPLACE ALGORITHM=MERGE DEFINER=CURRENT_USER() SQL SECURITY INVOKER VIEW v AS SELECT 1
CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1
CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t
CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1
CREATE DATABASE IF NOT EXISTS d CHARACTER SET utf8mb4
CREATE USER IF NOT EXISTS bob@localhost IDENTIFIED BY 'x'
DROP DATABASE d
DROP VIEW IF EXISTS v, w
DROP PROCEDURE IF EXISTS p
DROP TRIGGER tr
DROP TEMPORARY TABLE t
TRUNCATE TABLE t
RENAME TABLE a TO s.b
CHECK TABLE t
REPAIR TABLE t
FLUSH TABLES WITH READ LOCK
SET FOREIGN_KEY_CHECKS=0
SET NAMES utf8mb4 COLLATE utf8mb4_bin
SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO'
SET TRANSACTION ISOLATION LEVEL READ COMMITTED
START TRANSACTION WITH CONSISTENT SNAPSHOT
ROLLBACK TO SAVEPOINT a
SHOW CREATE TABLE t
EXPLAIN SELECT 1
USE app
CALL p(1, 'x')
PREPARE s FROM 'DROP TABLE t'
EXECUTE s USING @a
DEALLOCATE PREPARE s
REVOKE ALL PRIVILEGES ON *.* FROM 'bob'@'%'
INSERT IGNORE INTO t (a) VALUES (1)
INSERT DELAYED INTO t VALUES (1)
INSERT INTO t SET a = 1
INSERT INTO t (a) SELECT a FROM u ON DUPLICATE KEY UPDATE a = VALUES(a)
INSERT INTO t(a, b) VALUES (UUID(), NOW())
UPDATE IGNORE t SET a = 1 WHERE b = 2
UPDATE t SET a = 1 ORDER BY b LIMIT 10
UPDATE t LEFT JOIN (SELECT id FROM u) AS x ON x.id = t.id SET t.a = x.id
DELETE t FROM t LEFT JOIN u ON t.id = u.id WHERE u.id IS NULL
DELETE FROM t USING t JOIN u ON t.id = u.id
WITH x AS (SELECT 1) DELETE FROM t WHERE id IN (SELECT * FROM x)
SELECT 1 -- the end
SELECT 5--3
DO SLEEP(1)
""".strip().splitlines()

REFUSED = """
ALTER TABLE t FROBNICATE
ALTER TABLE t ENGINE=InnoDB, FROBNICATE
ALTER TABLE t ADD COLUMN a INT FROBNICATE
ALTER TABLE t ADD COLUMN
ALTER TABLE t ADD INDEX ix (a), LOCK=SOMETIMES
ALTER TABLE t DROP COLUMN a b
CREATE TABLE t (a INT) FROBNICATE=1
CREATE OR REPLACE TABLE t (a INT)
CREATE INDEX ix ON t (a) WHERE a > 0
DROP INDEX ix
DROP TABLE t u
RENAME TABLE a b
CREATE TABLE t
LOCK TABLES t
SET x
DELIMITER //
FROBNICATE t
'unterminated
""".strip().splitlines()


@pytest.mark.parametrize(("statement", "operations"), EXACT.items())
def test_statement_becomes_exactly_these_operations(
    statement: str, operations: tuple[Operation, ...]
) -> None:
    assert lower(statement, "mysql") == ((statement, operations),)


@pytest.mark.parametrize("statement", [*EXACT, *UNDERSTOOD])
@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_what_people_write_is_understood(statement: str, dialect: str) -> None:
    ((_, operations),) = lower(statement, dialect)
    assert operations
    assert not [one for one in operations if isinstance(one, Unrecognised)]


@pytest.mark.parametrize("statement", REFUSED)
def test_what_is_not_known_is_refused(statement: str) -> None:
    read = lower(statement, "mysql")
    assert any(isinstance(one, Unrecognised) for _, operations in read for one in operations)


def test_what_the_server_runs_in_a_comment_is_no_comment() -> None:
    text = "SELECT 1 /* DROP TABLE a */; /*!50000 DROP TABLE b */; /*M!100100 DROP TABLE c */"
    assert [operations[0] for _, operations in lower(text, "mysql")][1:] == [
        DropTable("b"),
        DropTable("c"),
    ]
    made = "CREATE TABLE t (a INT) /*!50100 PARTITION BY HASH (a) PARTITIONS 2 */"
    assert isinstance(lower(made, "mysql")[0][1][0], CreateTable)


def test_two_dashes_without_a_space_hide_nothing() -> None:
    assert len(split("SELECT 5--3; DROP TABLE t", "mysql")) == 2
    assert len(split("SELECT 5 -- 3; DROP TABLE t", "mysql")) == 1
    assert len(split("SELECT 5--3; DROP TABLE t", "sqlite")) == 1


def test_a_parenthesis_hides_no_statement() -> None:
    for dialect in ("mysql", "sqlite"):
        assert len(split("SELECT (1; DELETE FROM t)", dialect)) == 2


def test_a_stored_program_is_one_statement() -> None:
    text = "CREATE PROCEDURE p() BEGIN IF 1 THEN DELETE FROM t; END IF; DROP TABLE u; END; SELECT 1"
    assert [operations for _, operations in lower(text, "mysql")] == [
        (Procedural("create procedure", "p"),),
        (ReadRows(()),),
    ]


def test_mariadb_makes_a_foreign_key_of_what_mysql_ignores() -> None:
    ((_, operations),) = lower("ALTER TABLE t ADD u INT REFERENCES users (id)", "mariadb")
    assert operations == (AddColumn("t", "u", "INT", constraints=(FK,), references="users"),)


def test_modify_that_only_restates_null_is_not_a_new_rule_for_the_column() -> None:
    before = {"t": (ColumnShape("a", "INT", nullable=False),)}
    ((_, same),) = lower("ALTER TABLE t MODIFY a BIGINT NOT NULL", "mysql", shapes=before)
    assert same == (AlterType("t", "a", "BIGINT"),)
    ((_, other),) = lower("ALTER TABLE t MODIFY a BIGINT", "mysql", shapes=before)
    assert other == (AlterType("t", "a", "BIGINT"), DropNotNull("t", "a"))
