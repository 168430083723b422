"""MySQL: the level of what people write, and reasons and ways out that fit it."""

import re

import pytest

from deployguard.model import Risk
from deployguard.rules import BOOK, judge
from deployguard.rules.examples import read
from deployguard.rules.mysql_types import unchanged_rows
from deployguard.rules.mysql_words import MYSQL
from tests.sql.test_mysql import EXACT, UNDERSTOOD

LEVELS = {
    Risk.LOW: """
CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20) NOT NULL DEFAULT 'x', KEY (a)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
CREATE TABLE t (a INT) PARTITION BY HASH (a) PARTITIONS 4
CREATE TABLE t LIKE u
ALTER TABLE t ADD COLUMN a INT
ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0 COMMENT 'x', ADD COLUMN b TEXT NULL
ALTER TABLE t ADD COLUMN a TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
ALTER TABLE t ADD COLUMN a INT AS (b + 1) VIRTUAL
ALTER TABLE t ADD COLUMN a INT AFTER b, ALGORITHM=INSTANT
ALTER TABLE t ADD INDEX ix (a), ALGORITHM=INPLACE, LOCK=NONE
CREATE INDEX ix ON t (a) ALGORITHM=INPLACE LOCK=NONE
DROP INDEX ix ON t ALGORITHM=INPLACE LOCK=NONE
ALTER TABLE t MODIFY a VARCHAR(50), ALGORITHM=INSTANT
ALTER TABLE t COMMENT = 'x'
ALTER TABLE t AUTO_INCREMENT = 100
ALTER TABLE t ALTER COLUMN a SET DEFAULT 5
ALTER TABLE t RENAME INDEX a TO b
ALTER TABLE t ADD PARTITION (PARTITION p VALUES LESS THAN (9))
ALTER TABLE t ALTER INDEX ix INVISIBLE
ANALYZE TABLE t
SET FOREIGN_KEY_CHECKS=0
SET NAMES utf8mb4
SELECT COUNT(*) FROM t
SHOW TABLES
/*!40101 SET NAMES utf8 */
""",
    Risk.MEDIUM: """
CREATE INDEX ix ON t (a)
ALTER TABLE t ADD FULLTEXT INDEX ft (a)
ALTER TABLE t ADD UNIQUE KEY u (a)
ALTER TABLE t DROP INDEX ix
ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES u (id)
ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0)
ALTER TABLE t DROP FOREIGN KEY fk
ALTER TABLE t ADD COLUMN a INT AFTER b
ALTER TABLE t ADD COLUMN a INT REFERENCES u (id)
ALTER TABLE t ALTER a DROP DEFAULT
INSERT INTO t (a) VALUES (1)
""",
    Risk.HIGH: """
ALTER TABLE t MODIFY a BIGINT
ALTER TABLE t CHANGE a b VARCHAR(20)
ALTER TABLE t ADD COLUMN a INT NOT NULL
ALTER TABLE t ADD COLUMN a INT AS (b + 1) STORED
ALTER TABLE t ADD COLUMN a INT NOT NULL AUTO_INCREMENT UNIQUE
ALTER TABLE t ADD COLUMN a CHAR(36) DEFAULT (UUID())
ALTER TABLE t ADD PRIMARY KEY (id)
ALTER TABLE t DROP PRIMARY KEY
ALTER TABLE t ENGINE=InnoDB
ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4
ALTER TABLE t PARTITION BY HASH (id)
ALTER TABLE t REORGANIZE PARTITION p INTO (PARTITION q VALUES LESS THAN (9))
ALTER TABLE t ADD INDEX ix (a), ALGORITHM=COPY
ALTER TABLE t ADD INDEX ix (a), LOCK=SHARED
ALTER TABLE t RENAME COLUMN a TO b
RENAME TABLE t TO u
LOCK TABLES t WRITE
OPTIMIZE TABLE t
""",
    Risk.CRITICAL: """
DROP TABLE t
/*!50000 DROP TABLE t */
ALTER TABLE t DROP COLUMN a
ALTER TABLE t ADD COLUMN b INT, DROP a
ALTER TABLE t DROP PARTITION p0
ALTER TABLE t TRUNCATE PARTITION p0
ALTER TABLE t EXCHANGE PARTITION p WITH TABLE u
ALTER TABLE t DISCARD TABLESPACE
ALTER IGNORE TABLE t ADD UNIQUE (a)
TRUNCATE t
DROP DATABASE d
UPDATE t JOIN u ON t.id = u.id SET t.a = 1
DELETE t FROM t JOIN u ON t.id = u.id
REPLACE INTO t VALUES (1)
LOAD DATA INFILE '/x' INTO TABLE t
INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = 2
ALTER TABLE t FROBNICATE
CALL p()
""",
}
CASES = [(one, level) for level, text in LEVELS.items() for one in text.strip().splitlines()]
FOREIGN = re.compile(
    r"CONCURRENTLY|concurrently|lock_timeout|NOT VALID|autocommit_block|ACCESS EXCLUSIVE|SHARE |pg_|PostgreSQL|ON CONFLICT|USING INDEX"
)


@pytest.mark.parametrize(("statement", "level"), CASES)
def test_a_statement_has_its_level(statement: str, level: Risk) -> None:
    revisions, facts = read(f"-- dialect: mysql\n{statement}")
    (verdict,) = judge(revisions, facts)
    assert verdict.risk is level, verdict.findings


@pytest.mark.parametrize("statement", [*EXACT, *UNDERSTOOD, *(one for one, _ in CASES)])
def test_no_reason_and_no_way_out_is_of_postgresql(statement: str) -> None:
    revisions, facts = read(f"-- dialect: mysql\n{statement}")
    (verdict,) = judge(revisions, facts)
    for finding in verdict.findings:
        text = f"{finding.message} {finding.why} {finding.instead}"
        assert not FOREIGN.search(text), (finding.rule, text)
        assert "{" not in (finding.instead or "")


def test_words_are_only_for_rules_that_exist() -> None:
    assert set(MYSQL) <= {entry.code for entry in BOOK}


def test_an_index_made_and_dropped_on_a_new_table_is_no_danger() -> None:
    text = (
        "CREATE TABLE t (a INT); CREATE INDEX i ON t (a); DROP INDEX i ON t; ALTER TABLE t DROP a"
    )
    revisions, facts = read(f"-- dialect: mysql\n{text}")
    assert {finding.rule for finding in judge(revisions, facts)[0].findings} == {"DG505"}


def test_an_index_of_the_same_name_on_another_table_is_another_one() -> None:
    text = "CREATE TABLE t (a INT); CREATE INDEX i ON t (a); DROP INDEX i ON u"
    revisions, facts = read(f"-- dialect: mysql\n{text}")
    assert "DG202" in {finding.rule for finding in judge(revisions, facts)[0].findings}


def test_a_known_old_type_tells_whether_rows_are_touched() -> None:
    for old, new, level in (
        ("VARCHAR(20)", "VARCHAR(60)", Risk.LOW),
        ("VARCHAR(20)", "VARCHAR(100)", Risk.HIGH),  # a second byte for the length
        ("VARCHAR(300)", "VARCHAR(500)", Risk.LOW),
        ("INT", "BIGINT", Risk.HIGH),
        ("INT(11)", "INT", Risk.LOW),
        ("ENUM('a')", "ENUM('a','b')", Risk.LOW),
        ("ENUM('a')", "ENUM('b','a')", Risk.HIGH),
        ("DECIMAL(10,2)", "NUMERIC(10, 2)", Risk.LOW),
    ):
        text = f"-- dialect: mysql\n-- was: t.a {old}\nALTER TABLE t MODIFY a {new} NULL"
        revisions, facts = read(text)
        assert judge(revisions, facts)[0].risk is level, (old, new)


@pytest.mark.parametrize(
    ("old", "new", "dialect", "free"),
    [
        (None, "INT", "mysql", None),
        ("INT", "INT UNSIGNED", "mysql", False),
        ("VARCHAR(20) CHARACTER SET latin1", "VARCHAR(30)", "mysql", True),
        ("VARCHAR(50)", "VARCHAR(20)", "mariadb", False),
        ("VARCHAR(20)", "VARCHAR(300)", "mariadb", True),
        ("VARCHAR(20)", "TEXT", "mariadb", False),
        ("SET('a')", "SET('a','b')", "mysql", True),
        ("GEOMETRY", "POINT", "mysql", False),
        ("double precision", "DOUBLE", "mysql", True),
        ("???", "INT", "mysql", False),
    ],
)
def test_rows_stay_as_they_are(old: str | None, new: str, dialect: str, *, free: bool) -> None:
    assert unchanged_rows(old, new, dialect) is free
