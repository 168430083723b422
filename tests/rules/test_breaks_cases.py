"""What people write, dangerous and safe, with all that is to be found in it at medium or above: a table of cases.

The statements are about a small lending library. A case that begins with ``op.`` is Alembic code, rendered by Alembic.
"""

from __future__ import annotations

import io

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from deployguard.model import Risk
from deployguard.rules import judge
from deployguard.rules.examples import read

# (id, what is run, what is found: "code level" each, in any order)
CASES: tuple[tuple[str, str, str], ...] = (
    # --- tables and columns that go -----------------------------------------------------------------
    ("drop-table", "DROP TABLE loans", "DG101 critical"),
    ("drop-two-tables", "DROP TABLE loans, fines CASCADE", "DG101 critical"),
    ("drop-table-op", 'op.drop_table("loans", schema="desk")', "DG101 critical"),
    ("drop-made-table", "CREATE TABLE s (a int); DROP TABLE s", ""),
    ("drop-temporary-table", "CREATE TEMPORARY TABLE s (a int); DROP TABLE s", ""),
    ("drop-other-schema", "CREATE TABLE s (a int); DROP TABLE desk.s", "DG101 critical"),
    ("drop-renamed-table", "ALTER TABLE loans RENAME TO old; DROP TABLE old", "DG402 high, DG101 critical"),
    ("drop-column", "ALTER TABLE books DROP COLUMN shelf", "DG102 critical"),
    ("drop-columns", "ALTER TABLE books DROP a, DROP COLUMN IF EXISTS b CASCADE", "DG102 critical"),
    ("drop-column-op", 'op.drop_column("books", "shelf")', "DG102 critical"),
    ("drop-made-column", "ALTER TABLE books ADD s text; ALTER TABLE books DROP s", ""),
    ("drop-column-of-new", "CREATE TABLE s (a int, b int); ALTER TABLE s DROP b", ""),
    ("truncate", "TRUNCATE fines", "DG103 critical"),
    ("truncate-only", "TRUNCATE TABLE ONLY fines RESTART IDENTITY CASCADE", "DG103 critical"),
    ("truncate-op", 'op.execute("TRUNCATE TABLE fines")', "DG103 critical"),
    ("truncate-new", "CREATE TABLE s (a int); TRUNCATE s", ""),
    ("drop-schema", "DROP SCHEMA desk", "DG104 critical"),
    ("drop-schema-cascade", "DROP SCHEMA IF EXISTS desk CASCADE", "DG104 critical"),
    ("drop-made-schema", "CREATE SCHEMA desk; DROP SCHEMA desk", ""),
    ("drop-owned", "DROP OWNED BY clerk CASCADE", "DG104 critical"),
    # --- rows ---------------------------------------------------------------------------------------
    ("delete-all", "DELETE FROM fines", "DG105 critical"),
    ("delete-true", "DELETE FROM fines WHERE true", "DG105 critical"),
    ("delete-one-is-one", "DELETE FROM fines WHERE 1 = 1", "DG105 critical"),
    ("delete-some", "DELETE FROM fines WHERE paid", "DG105 critical"),
    ("delete-using", "DELETE FROM fines USING loans WHERE fines.loan = loans.id", "DG105 critical"),
    ("update-all", "UPDATE books SET shelf = upper(shelf)", "DG105 critical"),
    ("update-from", "UPDATE books b SET n = x.n FROM (SELECT 1 AS n) x", "DG105 critical"),
    ("update-op", "op.execute(\"UPDATE books SET shelf = 'A' WHERE shelf IS NULL\")", "DG105 critical"),
    ("update-new-table", "CREATE TABLE s (a int); UPDATE s SET a = 1", ""),
    ("copy-rows", "INSERT INTO old_loans SELECT * FROM loans", "DG105 critical"),
    ("upsert", "INSERT INTO shelves VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 2", "DG105 critical"),
    ("merge", "MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE", "DG105 critical"),
    ("move-rows", "WITH m AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM m", "DG105 critical"),
    ("copy-from", "COPY books FROM STDIN", "DG105 critical"),
    ("seed", "INSERT INTO shelves (id) VALUES (1), (2)", "DG106 medium"),
    ("seed-op", 'op.bulk_insert(sa.table("shelves", sa.column("id", sa.Integer)), [{"id": 1}])', "DG106 medium"),
    ("seed-once", "INSERT INTO shelves SELECT 1 WHERE NOT EXISTS (SELECT FROM shelves)", "DG106 medium"),
    ("seed-again", "INSERT INTO shelves VALUES (1) ON CONFLICT DO NOTHING", ""),
    ("seed-new", "CREATE TABLE s (a int); INSERT INTO s VALUES (1)", ""),
    ("copy-into-new", "CREATE TABLE s (a int); INSERT INTO s SELECT id FROM books", ""),
    ("create-as", "CREATE TABLE s AS SELECT * FROM books", ""),
    ("select", "SELECT count(*) FROM books", ""),
    # --- objects that go ----------------------------------------------------------------------------
    ("drop-sequence", "DROP SEQUENCE book_numbers", "DG107 critical"),
    ("drop-made-sequence", "CREATE SEQUENCE s; DROP SEQUENCE s", ""),
    ("drop-type", "DROP TYPE genre", "DG107 high"),
    ("drop-type-cascade", "DROP TYPE genre CASCADE", "DG107 critical"),
    ("drop-type-op", 'sa.Enum(name="genre").drop(op.get_bind())', "DG107 high"),
    ("drop-domain-cascade", "DROP DOMAIN isbn CASCADE", "DG107 critical"),
    ("drop-extension", "DROP EXTENSION IF EXISTS citext CASCADE", "DG107 critical"),
    ("drop-view", "DROP VIEW overdue", "DG107 high"),
    ("drop-view-cascade", "DROP VIEW overdue CASCADE", "DG107 critical"),
    ("drop-materialized-view", "DROP MATERIALIZED VIEW totals", "DG107 critical"),
    ("drop-server", "DROP SERVER archive CASCADE", "DG107 critical"),
    ("drop-foreign-table", "DROP FOREIGN TABLE archive", "DG107 critical"),
    ("drop-statistics", "DROP STATISTICS hints", ""),
    ("drop-made-view", "CREATE VIEW v AS SELECT 1 AS a; DROP VIEW v", ""),
    # --- values that a narrower type can't hold ------------------------------------------------------
    ("shorter-text", "-- was: books.isbn varchar(20)\nALTER TABLE books ALTER isbn TYPE varchar(13)", "DG108 high, DG301 high"),
    ("cut-text", "-- was: books.isbn text\nALTER TABLE books ALTER isbn TYPE varchar(9) USING isbn::varchar(9)", "DG108 critical, DG301 high"),
    ("smaller-integer", "-- was: books.n bigint\nALTER TABLE books ALTER n TYPE int", "DG108 high, DG301 high"),
    ("rounded", "-- was: fines.sum numeric(10,4)\nALTER TABLE fines ALTER sum TYPE numeric(10,2)", "DG108 critical, DG301 high"),
    ("fewer-digits", "-- was: fines.sum numeric(10,2)\nALTER TABLE fines ALTER sum TYPE numeric(8,2)", "DG108 high, DG301 high"),
    ("no-time-of-day", "-- was: loans.due timestamptz\nALTER TABLE loans ALTER due TYPE date", "DG108 critical, DG301 high"),
    ("no-zone", "-- was: loans.due timestamptz\nALTER TABLE loans ALTER due TYPE timestamp", "DG108 critical, DG301 high"),
    ("to-float", "-- was: fines.sum numeric(10,2)\nALTER TABLE fines ALTER sum TYPE real", "DG108 critical, DG301 high"),
    ("text-to-integer", "-- was: books.n text\nALTER TABLE books ALTER n TYPE int USING n::int", "DG108 high, DG301 high"),
    ("text-to-uuid", "-- was: books.k varchar(36)\nALTER TABLE books ALTER k TYPE uuid USING k::uuid", "DG108 high, DG301 high"),
    ("constant", "-- was: books.n text\nALTER TABLE books ALTER n TYPE int USING 0", "DG108 critical, DG301 high"),
    ("wider-integer", "-- was: books.n int\nALTER TABLE books ALTER n TYPE bigint", "DG301 high"),
    ("wider-text", "-- was: books.isbn varchar(13)\nALTER TABLE books ALTER isbn TYPE varchar(20)", ""),
    ("text-without-end", "-- was: books.isbn varchar(13)\nALTER TABLE books ALTER isbn TYPE text", ""),
    ("wider-text-op", "-- was: books.isbn varchar(13)\nop.alter_column('books', 'isbn', type_=sa.String(40))", ""),
    ("wider-numeric", "-- was: fines.sum numeric(8,2)\nALTER TABLE fines ALTER sum TYPE numeric(12,2)", ""),
    ("narrow-new-column", "ALTER TABLE books ADD n bigint; ALTER TABLE books ALTER n TYPE int", "DG301 high"),
    ("narrow-made-column", "-- was: books.n bigint\nALTER TABLE books ADD n bigint; ALTER TABLE books ALTER n TYPE int", "DG301 high"),
    ("computed-type", "-- was: fines.sum numeric(8,2)\nALTER TABLE fines ALTER sum TYPE int USING (sum * 100)::int", "DG301 high"),
    ("unknown-old-type", "ALTER TABLE books ALTER n TYPE smallint", "DG301 high"),
    # --- enums --------------------------------------------------------------------------------------
    ("enum-swap", "ALTER TYPE genre RENAME TO genre_old; CREATE TYPE genre AS ENUM ('a'); ALTER TABLE books ALTER g TYPE genre USING g::text::genre; DROP TYPE genre_old", "DG301 high"),
    ("enum-swap-cascade", "ALTER TYPE genre RENAME TO genre_old; CREATE TYPE genre AS ENUM ('a'); DROP TYPE genre_old CASCADE", "DG107 critical"),
    ("enum-rename-value", "ALTER TYPE genre RENAME VALUE 'crime' TO 'thriller'", "DG406 high"),
    ("enum-rename-beside-another", "ALTER TYPE genre RENAME TO kind; CREATE TYPE mood AS ENUM ('a')", "DG406 high"),
    ("enum-rename", "ALTER TYPE genre RENAME TO kind", "DG406 high"),
    ("enum-add", "ALTER TYPE genre ADD VALUE 'poetry'", "DG407 medium"),
    ("enum-add-outside", "-- autocommit\nALTER TYPE genre ADD VALUE IF NOT EXISTS 'poetry'", ""),
    ("enum-add-new", "CREATE TYPE genre AS ENUM ('a'); ALTER TYPE genre ADD VALUE 'b'", ""),
    ("enum-create", "CREATE TYPE genre AS ENUM ('a', 'b'); ALTER TABLE books ADD g genre", ""),
    # --- counters -----------------------------------------------------------------------------------
    ("matview-tablespace", "ALTER MATERIALIZED VIEW totals SET TABLESPACE fast", "DG304 high"),
    ("restart", "ALTER SEQUENCE book_numbers RESTART", "DG109 medium"),
    ("restart-with", "ALTER SEQUENCE book_numbers RESTART WITH 1000", "DG109 medium"),
    ("setval", "SELECT setval('book_numbers', 1)", "DG109 medium"),
    ("setval-max", "SELECT setval('books_id_seq', (SELECT max(id) FROM books))", ""),
    ("setval-greatest", "SELECT setval('books_id_seq', COALESCE((SELECT MAX(id) + 1 FROM books), 1), false)", ""),
    ("setval-new", "CREATE TABLE s (id serial); SELECT setval('s_id_seq', 10)", ""),
    ("sequence-owner", "ALTER SEQUENCE book_numbers OWNED BY books.id", ""),
    ("nextval", "SELECT nextval('book_numbers')", ""),
    # --- names --------------------------------------------------------------------------------------
    ("rename-column", "ALTER TABLE books RENAME COLUMN shelf TO place", "DG401 high"),
    ("rename-column-op", 'op.alter_column("books", "shelf", new_column_name="place")', "DG401 high"),
    ("rename-table", "ALTER TABLE books RENAME TO volumes", "DG402 high"),
    ("rename-table-op", 'op.rename_table("books", "volumes", schema="desk")', "DG402 high"),
    ("rename-with-view", "ALTER TABLE books RENAME TO volumes; CREATE VIEW books AS SELECT * FROM volumes", ""),
    ("rename-with-other-view", "ALTER TABLE books RENAME TO volumes; CREATE VIEW b AS SELECT * FROM volumes", "DG402 high"),
    ("rename-then-view-later", "-- autocommit\nALTER TABLE books RENAME TO volumes\nCREATE VIEW books AS SELECT * FROM volumes", "DG402 high"),
    ("rename-then-view-in-one-string", "-- autocommit\nALTER TABLE books RENAME TO volumes; CREATE VIEW books AS SELECT * FROM volumes", ""),
    (
        "rename-after-a-view",
        "CREATE VIEW books AS SELECT 1 AS a; DROP VIEW books; ALTER TABLE books RENAME TO volumes",
        "DG402 high",
    ),
    ("rename-new", "CREATE TABLE s (a int); ALTER TABLE s RENAME TO r", ""),
    ("rename-view", "ALTER VIEW overdue RENAME TO late", "DG402 high"),
    ("rename-view-column", "ALTER VIEW overdue RENAME COLUMN a TO b", "DG402 high"),
    ("move-view", "ALTER VIEW overdue SET SCHEMA desk", "DG402 high"),
    ("move-table", "ALTER TABLE books SET SCHEMA desk", "DG406 high"),
    ("move-function", "ALTER FUNCTION total(int) SET SCHEMA desk", "DG406 high"),
    ("rename-schema", "ALTER SCHEMA desk RENAME TO front", "DG406 high"),
    ("rename-attribute", "ALTER TYPE address RENAME ATTRIBUTE zip TO code", "DG406 high"),
    ("retype-attribute", "ALTER TYPE address ALTER ATTRIBUTE zip TYPE text", "DG406 high"),
    ("rename-index", "ALTER INDEX ix_books RENAME TO ix_volumes", ""),
    ("rename-constraint", "ALTER TABLE books RENAME CONSTRAINT a TO b", ""),
    ("no-inherit", "ALTER TABLE loans_2020 NO INHERIT loans", "DG406 high"),
    ("inherit", "ALTER TABLE loans_2020 INHERIT loans", "DG406 medium"),
    # --- required columns, defaults -----------------------------------------------------------------
    ("required", "ALTER TABLE books ADD COLUMN isbn text NOT NULL", "DG403 high"),
    ("required-op", 'op.add_column("books", sa.Column("isbn", sa.String(13), nullable=False))', "DG403 high"),
    ("required-default", "ALTER TABLE books ADD isbn text NOT NULL DEFAULT ''", ""),
    ("required-default-op", 'op.add_column("books", sa.Column("n", sa.Integer(), server_default="0", nullable=False))', ""),
    ("required-new", "CREATE TABLE s (a int); ALTER TABLE s ADD b int NOT NULL", ""),
    ("optional", 'op.add_column("books", sa.Column("isbn", sa.String(13)))', ""),
    ("default-taken-at-once", "ALTER TABLE books ADD n int NOT NULL DEFAULT 0; ALTER TABLE books ALTER n DROP DEFAULT", "DG404 high"),
    ("default-taken-at-once-optional", "ALTER TABLE books ADD n int DEFAULT 0; ALTER TABLE books ALTER n DROP DEFAULT", ""),
    ("drop-default", "ALTER TABLE books ALTER n DROP DEFAULT", "DG404 medium"),
    ("drop-default-op", 'op.alter_column("books", "n", server_default=None)', "DG404 medium"),
    ("set-default", "ALTER TABLE books ALTER n SET DEFAULT 5", ""),
    ("drop-identity", "ALTER TABLE books ALTER id DROP IDENTITY IF EXISTS", "DG404 medium"),
    ("drop-expression", "ALTER TABLE fines ALTER total DROP EXPRESSION", "DG404 medium"),
    ("only-generated", "ALTER TABLE books ALTER id SET GENERATED ALWAYS", "DG404 medium"),
    ("generated-by-default", "ALTER TABLE books ALTER id SET GENERATED BY DEFAULT", ""),
    ("restart-new-identity", "CREATE TABLE s (id int GENERATED ALWAYS AS IDENTITY); ALTER TABLE s ALTER id RESTART WITH 5", ""),
    ("restart-identity", "ALTER TABLE books ALTER id RESTART WITH 5", "DG109 medium"),
    ("drop-attribute-cascade", "ALTER TYPE address DROP ATTRIBUTE zip CASCADE", "DG406 critical"),
    ("own-temporary", "INSERT INTO pg_temp.x VALUES (1); UPDATE pg_temp.x SET a = 2; DROP TABLE pg_temp.x", ""),
    ("privileges-in-new-schema", "CREATE SCHEMA s; ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO clerk", ""),
    ("privileges-in-schema", "ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO clerk", "DG801 medium"),
    ("domain-default", "ALTER DOMAIN isbn DROP DEFAULT", "DG404 medium"),
    ("null-allowed", "ALTER TABLE books ALTER isbn DROP NOT NULL", "DG409 medium"),
    ("null-allowed-op", 'op.alter_column("books", "isbn", nullable=True)', "DG409 medium"),
    ("null-allowed-new-column", "ALTER TABLE books ADD n int NOT NULL DEFAULT 1; ALTER TABLE books ALTER n DROP NOT NULL", ""),
    ("check-before-code", "ALTER TABLE books ADD n int; ALTER TABLE books ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID", "DG411 high"),
    ("check-before-code-quoted", 'ALTER TABLE books ADD "N n" int; ALTER TABLE books ADD CONSTRAINT c CHECK ("N n" IS NOT NULL) NOT VALID', "DG411 high"),
    ("check-with-default", "ALTER TABLE books ADD n int; ALTER TABLE books ALTER n SET DEFAULT 1; ALTER TABLE books ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID", ""),
    ("check-on-old-column", "ALTER TABLE books ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID", ""),
    ("unique-and-alike", "ALTER TABLE books ADD n int DEFAULT 0; ALTER TABLE books ADD CONSTRAINT u UNIQUE (n)", "DG205 medium, DG411 high"),
    ("unique-and-alike-together", "ALTER TABLE books ADD n int DEFAULT 0\n-- own transaction\nCREATE UNIQUE INDEX u ON books (n, isbn)", "DG201 medium"),
    ("unique-and-different", "ALTER TABLE books ADD n uuid DEFAULT gen_random_uuid()\n-- own transaction\nCREATE UNIQUE INDEX u ON books (n)", "DG201 medium, DG302 high"),
    ("unique-and-empty", "ALTER TABLE books ADD n int UNIQUE", "DG205 medium"),
    ("check-of-range", "ALTER TABLE books ADD n int; ALTER TABLE books ADD CONSTRAINT c CHECK (n > 0) NOT VALID", ""),
    # --- rules that go ------------------------------------------------------------------------------
    ("drop-constraint", "ALTER TABLE loans DROP CONSTRAINT loans_book_fkey", "DG405 medium"),
    ("drop-constraint-op", 'op.drop_constraint("loans_book_fkey", "loans", type_="foreignkey")', "DG405 medium"),
    ("drop-primary-key", "ALTER TABLE loans DROP CONSTRAINT loans_pkey", "DG405 high"),
    ("drop-primary-key-op", 'op.drop_constraint("pk_loans", "loans", type_="primary")', "DG405 high"),
    ("drop-constraint-cascade", "ALTER TABLE books DROP CONSTRAINT books_isbn_key CASCADE", "DG405 high"),
    ("drop-index-cascade", "DROP INDEX ix_books CASCADE", "DG202 high"),
    ("drop-index", "DROP INDEX ix_books", "DG202 medium"),
    ("drop-made-constraint", "ALTER TABLE books ADD CONSTRAINT c CHECK (n > 0) NOT VALID; ALTER TABLE books DROP CONSTRAINT c", ""),
    ("domain-constraint", "ALTER DOMAIN isbn DROP CONSTRAINT digits", "DG405 medium"),
    # --- code and replicas --------------------------------------------------------------------------
    ("replace-view", "CREATE OR REPLACE VIEW overdue AS SELECT 1 AS a", "DG408 high"),
    ("replace-function", "CREATE OR REPLACE FUNCTION total() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DG408 high"),
    ("drop-function", "DROP FUNCTION IF EXISTS total(int)", "DG408 high"),
    ("drop-function-cascade", "DROP FUNCTION total(int) CASCADE", "DG408 critical"),
    ("drop-procedure", "DROP PROCEDURE tidy", "DG408 high"),
    ("create-view", "CREATE VIEW overdue AS SELECT 1 AS a", ""),
    ("create-function", "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$", ""),
    ("create-definer", "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "DG907 medium"),
    ("create-rule", "CREATE RULE r AS ON DELETE TO books DO INSTEAD NOTHING", "DG408 high"),
    ("switch-rule", "ALTER TABLE books DISABLE RULE r", "DG408 medium"),
    ("update-extension", "ALTER EXTENSION postgis UPDATE", "DG408 medium"),
    ("function-setting", "ALTER FUNCTION total(int) SET search_path = desk", "DG408 medium"),
    ("identity-nothing", "ALTER TABLE books REPLICA IDENTITY NOTHING", "DG410 medium"),
    ("identity-default", "ALTER TABLE books REPLICA IDENTITY DEFAULT", ""),
    ("drop-publication", "DROP PUBLICATION feed", "DG410 medium"),
    ("publication-drops", "ALTER PUBLICATION feed DROP TABLE books", "DG410 medium"),
    # --- access -------------------------------------------------------------------------------------
    ("grant", "GRANT SELECT, INSERT ON books TO clerk", "DG801 medium"),
    ("grant-new", "CREATE TABLE s (a int); GRANT ALL ON s TO clerk", ""),
    ("grant-new-sequence", "CREATE SEQUENCE s; GRANT USAGE ON SEQUENCE s TO clerk", ""),
    ("revoke", "REVOKE ALL ON books FROM PUBLIC", "DG801 medium"),
    ("row-security", "ALTER TABLE loans ENABLE ROW LEVEL SECURITY", "DG801 medium"),
    ("policy", "CREATE POLICY own ON loans USING (reader = current_user)", "DG801 medium"),
    ("drop-policy", "DROP POLICY own ON loans", "DG801 medium"),
    ("owner", "ALTER TABLE books OWNER TO clerk", "DG801 medium"),
    ("role", "CREATE ROLE clerk LOGIN", "DG801 medium"),
    ("superuser", "ALTER ROLE clerk SUPERUSER", "DG801 medium"),
    ("definer", "ALTER FUNCTION total(int) SECURITY DEFINER", "DG801 medium"),
    ("view-rights", "ALTER VIEW overdue SET (security_invoker = false)", "DG801 medium"),
    ("default-privileges", "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO clerk", "DG801 medium"),
    ("set-role", "SET ROLE clerk", ""),
    ("reset-role", "RESET ROLE", ""),
    # --- outside ------------------------------------------------------------------------------------
    ("copy-program", "COPY books TO PROGRAM 'gzip > /tmp/b.gz'", "DG802 high"),
    ("copy-to-file", "COPY books TO '/tmp/books'", "DG802 high"),
    ("copy-to-client", "COPY books TO STDOUT", ""),
    ("dblink", "SELECT dblink_exec('other', 'DELETE FROM books')", "DG802 high"),
    ("read-file", "SELECT pg_read_file('/etc/passwd')", "DG802 high"),
    ("import-file", "SELECT lo_import('/tmp/x')", "DG802 high"),
    # --- code that nobody read ----------------------------------------------------------------------
    ("do-block", "DO $$ BEGIN DELETE FROM books; END $$", "DG105 critical"),
    ("do-block-op", 'op.execute("DO $$ BEGIN PERFORM 1; END $$")', ""),
    (
        "do-block-dynamic",
        ("DO $$ DECLARE r record; BEGIN FOR r IN SELECT tablename FROM pg_tables LOOP"
        " EXECUTE format('ALTER TABLE %I ADD n int', r.tablename); END LOOP; END $$"),
        "DG907 critical",
    ),
    ("do-block-type", "DO $$ BEGIN CREATE TYPE m AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN NULL; END $$", ""),
    (
        "do-block-handler-drops",
        "DO $$ BEGIN PERFORM 1; EXCEPTION WHEN OTHERS THEN DROP TABLE books; END $$",
        "DG101 critical",
    ),
    (
        "do-block-made-table",  # it may have been there: what follows is not done to a new table
        "DO $$ BEGIN IF now() > '2020-01-01' THEN CREATE TABLE s (a int); END IF; END $$; DROP TABLE s",
        "DG101 critical",
    ),
    ("do-block-calls", "DO $$ BEGIN IF tidy_up() THEN RAISE EXCEPTION 'no'; END IF; END $$", "DG907 critical"),
    ("do-block-concurrently", "-- autocommit\nDO $$ BEGIN DROP INDEX CONCURRENTLY ix; END $$", "DG501 high"),
    ("call", "CALL tidy_up()", "DG907 critical"),
    ("own-function", "SELECT desk.tidy_up(5)", "DG907 critical"),
    ("large-object", "SELECT lo_unlink(4711)", "DG907 critical"),
    ("terminate", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity", "DG907 high"),
    ("prepare", "PREPARE p AS DELETE FROM books", "DG105 critical"),
    ("prepare-to-read", "PREPARE p AS SELECT title FROM books", ""),
    ("known-function", "SELECT lower(title) FROM books", ""),
    ("advisory-lock", "SELECT pg_advisory_xact_lock(7)", ""),
    ("nonsense", "ALTER TABLE books FROBNICATE", "DG908 critical"),
    # --- downgrades ---------------------------------------------------------------------------------
    ("down-fine", "ALTER TABLE books ADD n int\n-- down: ALTER TABLE books DROP COLUMN n", ""),
    ("down-other-column", "ALTER TABLE books ADD n int\n-- down: ALTER TABLE books DROP COLUMN m", "DG602 medium"),
    ("down-other-table", "CREATE TABLE s (a int)\n-- down: DROP TABLE s; DROP TABLE books", "DG602 medium"),
    ("down-truncates", "ALTER TABLE books ADD n int\n-- down: TRUNCATE books", "DG602 medium"),
    ("down-forgets", "ALTER TABLE books ADD n int; ALTER TABLE books ADD m int\n-- down: ALTER TABLE books DROP n", ""),
    ("down-missing", "ALTER TABLE books ADD n int\n-- downgrade: missing", ""),
    ("down-empty", "CREATE TABLE s (a int)\n-- downgrade: empty", ""),
    ("down-in-transaction", "ALTER TABLE books ADD n int\n-- down: DROP INDEX CONCURRENTLY ix", "DG604 medium"),
    ("down-is-up", "CREATE TABLE s (a int)\n-- down: CREATE TABLE s (a int)", "DG604 medium"),
    ("down-own-counter", "CREATE TABLE s (id serial)\n-- down: DROP TABLE s; DROP SEQUENCE IF EXISTS s_id_seq", ""),
    ("down-other-counter", "CREATE TABLE s (id serial)\n-- down: DROP TABLE s; DROP SEQUENCE book_numbers", "DG602 medium"),
    ("down-unseeds", "CREATE TABLE s (a int); INSERT INTO s VALUES (1)\n-- down: DELETE FROM s; DROP TABLE s", ""),
    # --- SQLite -------------------------------------------------------------------------------------
    ("sqlite-drop-table", "-- dialect: sqlite\nDROP TABLE loans", "DG101 critical"),
    ("sqlite-drop-column", "-- dialect: sqlite\nALTER TABLE books DROP COLUMN shelf", "DG102 critical"),
    ("sqlite-delete", "-- dialect: sqlite\nDELETE FROM fines", "DG105 critical"),
    ("sqlite-rename", "-- dialect: sqlite\nALTER TABLE books RENAME COLUMN a TO b", "DG401 high"),
    ("sqlite-seed", "-- dialect: sqlite\nINSERT OR IGNORE INTO shelves VALUES (1)", ""),
    ("sqlite-add", "-- dialect: sqlite\nALTER TABLE books ADD COLUMN n INTEGER", ""),
    ("sqlite-view", "-- dialect: sqlite\nDROP VIEW overdue", "DG107 high"),
)  # fmt: skip


def rendered(code: str) -> str:
    """The SQL of Alembic code on PostgreSQL; plain SQL as it is, with its lines of notation."""
    notation = [line for line in code.splitlines() if line.startswith("--")]
    body = "\n".join(line for line in code.splitlines() if not line.startswith("--"))
    if not body.startswith(("op.", "sa.")):
        return code
    buffer = io.StringIO()
    context = MigrationContext.configure(
        dialect_name="postgresql", opts={"as_sql": True, "output_buffer": buffer}
    )
    with Operations.context(context) as op:
        exec(body, {"op": op, "sa": sa})
    sql = " ".join(buffer.getvalue().split())
    return "\n".join([*notation, sql])


def found(code: str) -> set[str]:
    revisions, facts = read(rendered(code))
    return {
        f"{one.rule} {one.risk}"
        for verdict in judge(revisions, facts)
        for one in verdict.findings
        if one.risk >= Risk.MEDIUM
    }


@pytest.mark.parametrize(
    ("code", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_case_is_judged_as_it_should_be(code: str, expected: str) -> None:
    assert found(code) == {one for one in expected.split(", ") if one}


def test_each_case_has_a_name_of_its_own_and_there_are_enough_of_both_kinds() -> None:
    assert len({case[0] for case in CASES}) == len(CASES)
    safe = [case for case in CASES if not case[2]]
    assert len(safe) > 50
    assert len(CASES) - len(safe) > 100
