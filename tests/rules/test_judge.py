"""Runs of several statements and revisions: what is exempt, what is held, what can be taken back, what is answered."""

from dataclasses import replace

import pytest

from deployguard.model import (
    Body,
    Evidence,
    Facts,
    Opacity,
    Opaque,
    Revision,
    Risk,
    Script,
    Statement,
    TableFact,
    Verdict,
    Way,
)
from deployguard.operations import Operation, RebuildTable, SetNotNull
from deployguard.rules import answers, dropped_by_downgrade, judge
from deployguard.rules.examples import read
from deployguard.sql import lower

PG = Facts("postgresql")
SQLITE = Facts("sqlite")


def script(
    sql: str | None,
    *opacities: Opacity,
    dialect: str = "postgresql",
    types: dict[str, str] | None = None,
    body: Body = Body.PRESENT,
    own: bool = True,
) -> Script:
    old = {tuple(key.rsplit(".", 1)): value for key, value in (types or {}).items()}
    statements = tuple(
        Statement(text, number, operations)
        for number, (text, operations) in enumerate(
            lower(sql or "", dialect, old_types=old), start=1
        )
    )
    if sql is None:
        body = Body.EMPTY
    return Script(body, 1, statements, opacities, own_transaction=own)


def revision(up: Script, down: Script, name: str = "r1") -> Revision:
    return Revision(name, (), f"versions/{name}.py", "", "", up, down, Evidence.RECORDED)


def verdict(up: str, down: str | None = "ANALYZE t", facts: Facts = PG, **types: str) -> Verdict:
    known = {f"t.{name}": text for name, text in types.items()}
    dialect = facts.dialect
    made = revision(
        script(up, dialect=dialect, types=known), script(down, dialect=dialect, types=known)
    )
    return judge((made,), facts)[0]


def codes(one: Verdict) -> list[str]:
    return [finding.rule for finding in one.findings]


# --- context ------------------------------------------------------------------------------------


def test_a_table_of_this_run_is_exempt_in_later_revisions_until_it_has_rows() -> None:
    run = judge(
        (
            revision(script("CREATE TABLE t (a int)"), script("DROP TABLE t"), "r1"),
            revision(script("CREATE INDEX i ON t (a)"), script("DROP INDEX i"), "r2"),
            revision(script("INSERT INTO t VALUES (1)"), script("DELETE FROM t"), "r3"),
            revision(script("CREATE INDEX j ON t (a)"), script("DROP INDEX j"), "r4"),
            revision(script("DROP TABLE t"), script(None), "r5"),
        ),
        PG,
    )
    assert [codes(one) for one in run] == [[], [], [], ["DG201"], ["DG601"]]


def test_the_default_schema_is_the_same_table_and_another_schema_is_not() -> None:
    assert codes(verdict("CREATE TABLE public.t (a int); CREATE INDEX i ON t (a)")) == []
    assert codes(verdict("CREATE TABLE app.t (a int); CREATE INDEX i ON t (a)")) == ["DG201"]


@pytest.mark.parametrize(
    "example",
    [
        "CREATE TEMP TABLE t (a int); DROP TABLE pg_temp.t{}",
        "-- dialect: sqlite\nCREATE TEMP TABLE t (a int); DROP TABLE temp.t{}",
    ],
)
def test_a_temporary_table_hides_the_other_one_until_it_is_dropped(example: str) -> None:
    (once,) = judge(*read(example.format("")))
    (twice,) = judge(*read(example.format("; DROP TABLE t")))
    assert (once.risk, twice.risk) == (Risk.LOW, Risk.CRITICAL)


def test_if_not_exists_exempts_only_what_the_database_does_not_have() -> None:
    sql = "CREATE TABLE IF NOT EXISTS t (a int); DROP TABLE t"
    assert codes(verdict(sql)) == ["DG101"]
    assert codes(verdict(sql, facts=replace(PG, tables=()))) == []
    there = replace(PG, tables=(TableFact("t", 5, 8192),))
    assert codes(verdict(sql, facts=there)) == ["DG101"]
    assert codes(verdict("CREATE SCHEMA IF NOT EXISTS s; DROP SCHEMA s")) == ["DG104"]
    replaced = verdict("CREATE OR REPLACE VIEW v AS SELECT 1; DROP VIEW v")
    assert sorted(codes(replaced)) == ["DG107", "DG408"]


def test_a_live_proof_of_not_null_spares_the_scan() -> None:
    proven = replace(PG, not_null=frozenset({("t", "a")}))
    assert codes(verdict("ALTER TABLE t ALTER a SET NOT NULL", facts=proven)) == []
    assert codes(verdict("ALTER TABLE t ALTER b SET NOT NULL", facts=proven)) == ["DG208"]


@pytest.mark.parametrize(
    ("before", "filled"),
    [
        ("UPDATE t SET a = 1 WHERE a IS NULL", True),
        ("UPDATE t SET a = 1", True),
        ('UPDATE t SET "a" = 1 WHERE ("t"."a" IS NULL)', True),
        ("UPDATE t SET a = 1 WHERE b IS NULL", False),
        ("UPDATE t SET a = 1 WHERE a IS NULL AND b > 5", False),
        ("UPDATE t SET a = NULL", False),
        ("UPDATE u SET a = 1", False),
        ("ALTER TABLE t ADD COLUMN a int DEFAULT 5", True),
    ],
)
def test_nulls_that_the_run_has_filled_in_are_not_warned_of(before: str, filled: bool) -> None:
    found = verdict(f"{before}; ALTER TABLE t ALTER a SET NOT NULL").findings
    (required,) = [one for one in found if one.rule == "DG208"]
    assert ("A NULL makes it fail" not in required.why) is filled
    assert ("must find nothing" not in required.instead) is filled


def test_a_check_proves_only_once_it_is_validated() -> None:
    sql = "ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t ALTER a SET NOT NULL"
    assert codes(verdict(sql)) == ["DG208"]


def test_row_counts_are_named_where_the_database_told_them() -> None:
    facts = replace(PG, tables=(TableFact("public.t", 1_234_567, 10),))
    assert "1,234,567" in verdict("DROP TABLE t", facts=facts).findings[0].message


def test_what_cascade_takes_with_it_is_said() -> None:
    assert "every column of it" in verdict("DROP TYPE m CASCADE").findings[0].message
    assert "everything that depends" in verdict("DROP VIEW v CASCADE").findings[0].message


# --- locks --------------------------------------------------------------------------------------


def test_a_lock_is_held_to_the_end_of_its_transaction() -> None:
    one = verdict(
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c"
    )
    assert [(lock.mode, lock.work) for lock in one.locks] == [("ACCESS EXCLUSIVE", "scan")]


def test_a_transaction_over_two_revisions_holds_the_lock_over_both() -> None:
    def run(*, own: bool) -> list[tuple[str, str]]:
        add = script("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID")
        validate = script("ALTER TABLE t VALIDATE CONSTRAINT c", own=own)
        drop = script("ALTER TABLE t DROP CONSTRAINT c")
        run = judge((revision(add, drop, "r1"), revision(validate, drop, "r2")), PG)
        return [(lock.mode, lock.work) for lock in run[1].locks]

    assert run(own=False) == [("ACCESS EXCLUSIVE", "scan")]
    assert run(own=True) == [("SHARE UPDATE EXCLUSIVE", "scan")]


def test_the_other_table_of_a_foreign_key_is_locked_too() -> None:
    one = verdict("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES u (id)")
    assert {(lock.relation, lock.mode) for lock in one.locks} == {
        ("t", "SHARE ROW EXCLUSIVE"),
        ("u", "SHARE ROW EXCLUSIVE"),
    }


def test_other_dialects_claim_what_is_known_of_them() -> None:
    sqlite = verdict("CREATE INDEX i ON t (a)", facts=SQLITE)
    assert [(lock.relation, lock.mode) for lock in sqlite.locks] == [
        ("the database file", "EXCLUSIVE")
    ]
    mysql = verdict("ALTER TABLE t ADD COLUMN a int", facts=Facts("mysql"))
    assert [(lock.relation, lock.mode, lock.blocks) for lock in mysql.locks] == [
        ("t", "EXCLUSIVE METADATA", "reads and writes")
    ]
    oracle = verdict("ALTER TABLE t ADD COLUMN a int", facts=Facts("oracle"))
    assert [(lock.relation, lock.mode, lock.blocks) for lock in oracle.locks] == [
        ("t", "unknown", "unknown")
    ]
    assert answers((oracle,)).blocks.startswith("unknown")


# --- the way back -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "down", "way"),
    [
        ("CREATE TABLE t (a int)", "DROP TABLE t", Way.LOSSLESS),
        ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t DROP COLUMN a", Way.LOSSLESS),
        ("CREATE TABLE t (a int); ALTER TABLE t RENAME TO u", "DROP TABLE u", Way.LOSSLESS),
        ("ALTER TABLE t RENAME a TO b", "ALTER TABLE t RENAME b TO a", Way.LOSSLESS),
        ("ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t", Way.LOSSLESS),
        ("CREATE INDEX i ON t (a)", "DROP INDEX i", Way.LOSSLESS),
        ("ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE t ALTER a DROP NOT NULL", Way.LOSSLESS),
        ("CREATE TYPE m AS ENUM ('a')", "DROP TYPE m", Way.LOSSLESS),
        ("CREATE SEQUENCE s", "DROP SEQUENCE s", Way.LOSSLESS),
        ("ALTER TABLE t SET UNLOGGED", "ALTER TABLE t SET LOGGED", Way.LOSSLESS),
        ("COMMENT ON TABLE t IS 'x'", "COMMENT ON TABLE t IS NULL", Way.LOSSLESS),
        ("ALTER TABLE t ADD COLUMN a int", "DROP TABLE t", Way.LOSSY),
        ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t DROP COLUMN b", Way.LOSSY),
        ("CREATE TABLE IF NOT EXISTS t (a int)", "DROP TABLE t", Way.LOSSY),
        ("INSERT INTO t VALUES (1)", "DELETE FROM t WHERE a = 1", Way.LOSSY),
        ("ALTER TABLE t ALTER small TYPE bigint", "ALTER TABLE t ALTER small TYPE int", Way.LOSSY),
        ("DROP TABLE t", "CREATE TABLE t (a int)", Way.RESTORE),
        ("ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN a int", Way.RESTORE),
        ("UPDATE t SET a = 1", "UPDATE t SET a = 2", Way.RESTORE),
        ("TRUNCATE t", "ANALYZE t", Way.RESTORE),
        ("DROP SEQUENCE s", "CREATE SEQUENCE s", Way.RESTORE),
        ("ALTER TABLE t ALTER big TYPE int", "ALTER TABLE t ALTER big TYPE bigint", Way.RESTORE),
        ("ALTER TABLE t ALTER nobody TYPE text", "ALTER TABLE t ALTER nobody TYPE int", Way.RESTORE),
        (
            "ALTER TABLE t ALTER small TYPE bigint USING small / 2",
            "ALTER TABLE t ALTER small TYPE int USING small * 2",
            Way.RESTORE,
        ),
        ("CREATE TABLE t (a int)", None, Way.RESTORE),
        ("ANALYZE t", None, Way.NOTHING),
        ("ANALYZE t", "ANALYZE t", Way.NOTHING),
        ("ANALYZE t", "DROP TABLE t", Way.LOSSY),
        ("ANALYZE t", "SELECT tidy_up()", Way.UNKNOWN),
        ("CREATE TABLE n (a int); DROP TABLE n", "ALTER TABLE t DROP a", Way.LOSSY),
        ("ALTER TABLE t VALIDATE CONSTRAINT c", None, Way.NOTHING),
        ("CREATE TABLE t (a int); INSERT INTO t VALUES (1); DROP TABLE t", None, Way.NOTHING),
        ("DROP VIEW v", "CREATE VIEW v AS SELECT 1", Way.LOSSLESS),
        ("DROP VIEW v", None, Way.RESTORE),
        ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", "ANALYZE t", Way.UNKNOWN),
        ("ALTER TABLE t FROBNICATE", "ANALYZE t", Way.UNKNOWN),
        ("CREATE TABLE t (a int)", "SELECT tidy_up()", Way.UNKNOWN),
    ],
)  # fmt: skip
def test_the_way_back_is_judged_by_what_is_lost(up: str, down: str | None, way: Way) -> None:
    assert verdict(up, down, small="int", big="bigint").undo.way is way


@pytest.mark.parametrize(
    ("code", "writes", "way"),
    [
        (Opaque.FAILED, False, Way.UNKNOWN),
        (Opaque.EMPTY, False, Way.UNKNOWN),
        (Opaque.UNSEEN_WRITES, True, Way.RESTORE),
        (Opaque.DATA_DEPENDENT, True, Way.RESTORE),
        (Opaque.NON_ATOMIC, False, Way.LOSSLESS),
    ],
)
def test_what_is_hidden_decides_the_way_back(code: Opaque, writes: bool, way: Way) -> None:
    up = script("CREATE TABLE t (a int)", Opacity(code, 3, "why", writes))
    one = judge((revision(up, script("DROP TABLE t")),), PG)[0]
    assert one.undo.way is way
    hidden = replace(script("DROP TABLE t"), opacities=up.opacities)
    hidden_down = revision(script("CREATE TABLE t (a int)"), hidden)
    expected = Way.LOSSLESS if code is Opaque.NON_ATOMIC else Way.UNKNOWN
    assert judge((hidden_down,), PG)[0].undo.way in {expected, Way.UNKNOWN}


def test_a_merge_needs_no_way_back_and_is_low() -> None:
    one = judge((revision(script(None), script(None)),), PG)[0]
    assert (one.risk, one.undo.way, one.findings, one.expand_only) == (
        Risk.LOW,
        Way.NOTHING,
        (),
        True,
    )


def test_what_the_downgrade_would_drop_is_told_to_the_engine() -> None:
    one = verdict(
        "CREATE TABLE t (a int); ALTER TABLE u ADD COLUMN b int; CREATE TABLE IF NOT EXISTS w (a int)",
        "ALTER TABLE u DROP COLUMN b; DROP TABLE t; DROP TABLE w; ALTER TABLE u DROP COLUMN old",
    )
    assert dropped_by_downgrade(one) == (("u", "b"), ("t", None), ("w", None))


@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [
        ("CREATE TABLE t (a int); ALTER TABLE t RENAME TO n", "DROP TABLE n", (("n", None),)),
        ("CREATE TABLE t (a int)", "ANALYZE t", ()),
        ("CREATE TABLE t (a int)", "TRUNCATE t", (("t", None),)),
        ("CREATE TABLE t (a int)", "DELETE FROM t", (("t", None),)),
        ("CREATE SCHEMA s; CREATE TABLE s.t (a int)", "DROP SCHEMA s CASCADE", (("s.t", None),)),
        ("ALTER TABLE t ADD COLUMN b text", "ALTER TABLE t ALTER b TYPE int USING 0", (("t", "b"),)),
        ("CREATE TYPE m AS ENUM ('a'); CREATE TABLE t (b m)", "DROP TYPE m CASCADE", (("t", None),)),
        ("CREATE TABLE t (b int); CREATE VIEW v AS SELECT 1", "DROP VIEW v CASCADE", ()),
        ("ALTER TABLE t ADD COLUMN b int", "UPDATE t SET b = NULL", (("t", "b"),)),
        ("CREATE TYPE m AS ENUM ('a'); ALTER TABLE t ADD COLUMN b m", "DROP TYPE m CASCADE", (("t", "b"),)),
        ("ALTER TABLE t ADD COLUMN b int; ALTER TABLE t RENAME b TO c", "ALTER TABLE t DROP c", (("t", "c"),)),
    ],
)  # fmt: skip
def test_new_rows_that_a_downgrade_loses_are_known_whatever_it_loses_them_by(
    up: str, down: str, expected: tuple[tuple[str, str | None], ...]
) -> None:
    assert dropped_by_downgrade(verdict(up, down)) == expected


# --- expand only --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "expected"),
    [
        ("CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t (a); INSERT INTO t VALUES (1)", True),
        ("ALTER TABLE t ADD COLUMN a int", True),
        ("ALTER TABLE t ADD COLUMN a int DEFAULT 1 NOT NULL", True),
        ("CREATE INDEX i ON t (a)", True),
        ("CREATE TYPE m AS ENUM ('a'); CREATE SEQUENCE s; ANALYZE t", True),
        ("ALTER TABLE t ALTER v TYPE varchar(50)", True),
        ("ALTER TABLE t ADD COLUMN a int NOT NULL", False),
        ("CREATE UNIQUE INDEX i ON t (a)", False),
        ("ALTER TABLE t ADD CHECK (a > 0) NOT VALID", False),
        ("ALTER TABLE t RENAME a TO b", False),
        ("ALTER TABLE t ALTER v TYPE varchar(5)", False),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", False),
        ("ALTER TYPE m ADD VALUE 'x'", False),
        ("UPDATE t SET a = 1", False),
        ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", False),
        ("NONSENSE", False),
    ],
)
def test_only_what_is_proven_harmless_counts_as_expanding(up: str, expected: bool) -> None:
    assert verdict(up, v="varchar(20)").expand_only is expected


def test_nothing_opaque_counts_as_expanding() -> None:
    up = script("ALTER TABLE t ADD COLUMN a int", Opacity(Opaque.GUARDED, 1, "an inspector"))
    assert judge((revision(up, script("ANALYZE t")),), PG)[0].expand_only is False


# --- SQLite's copies ----------------------------------------------------------------------------


COPY = (
    "CREATE TABLE _alembic_tmp_t ({columns}); INSERT INTO _alembic_tmp_t ({into}) SELECT {source} FROM t;"
    " DROP TABLE t; ALTER TABLE _alembic_tmp_t RENAME TO t"
)


@pytest.mark.parametrize(
    ("columns", "into", "source", "expected"),
    [
        ("id INTEGER, a TEXT", "id, a", "t.id, t.a", ["DG212"]),
        ("id INTEGER", "id", "t.id", ["DG102"]),
        ("id INTEGER, b TEXT", "id, b", "t.id, t.a AS b", ["DG401"]),
        ("id INTEGER, a INTEGER", "id, a", "t.id, CAST(t.a AS INTEGER)", ["DG301"]),
        ("id INTEGER, a TEXT NOT NULL", "id, a", "t.id, t.a", ["DG208"]),
        ("id INTEGER, a TEXT, c TEXT", "id, a", "t.id, t.a", []),
    ],
)
def test_a_batch_copy_is_judged_by_what_differs(
    columns: str, into: str, source: str, expected: list[str]
) -> None:
    sql = COPY.format(columns=columns, into=into, source=source)
    one = verdict(sql, facts=SQLITE, id="INTEGER", a="TEXT")
    assert codes(one) == expected
    assert [lock.work for lock in one.locks] == ["rewrite"]


def test_a_batch_copy_of_something_unknown_is_critical() -> None:
    sql = COPY.format(columns="id INTEGER", into="id", source="t.id")
    one = verdict(sql, facts=SQLITE)
    assert (codes(one), one.risk, one.undo.way) == (["DG212"], Risk.CRITICAL, Way.UNKNOWN)


def test_elsewhere_a_copy_is_the_drop_that_it_is() -> None:
    sql = COPY.format(columns="id INTEGER", into="id", source="t.id")
    assert "DG101" in codes(verdict(sql))


def test_a_rebuild_that_the_reader_saw_is_judged_by_its_changes() -> None:
    operation: Operation = RebuildTable("t", (SetNotNull("t", "a"),))
    up = Script(Body.PRESENT, 1, (Statement("CREATE TABLE _alembic_tmp_t …", 7, (operation,)),))
    one = judge((revision(up, script("ANALYZE t")),), SQLITE)[0]
    assert [(finding.rule, finding.line) for finding in one.findings] == [("DG208", 7)]


# --- answers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("up", "down", "expected"),
    [
        ("ALTER TABLE t ADD COLUMN a int", "ALTER TABLE t DROP COLUMN a", "no no no yes"),
        ("DROP TABLE t", "CREATE TABLE t (a int)", "yes no no no"),
        ("UPDATE t SET a = 1", "ANALYZE t", "no yes unknown no"),
        ("TRUNCATE t", None, "no yes no no"),
        ("CREATE INDEX i ON t (a)", "DROP INDEX i", "no no yes yes"),
        ("LOCK TABLE t", None, "no no yes yes"),
        ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", None, "unknown unknown unknown unknown"),
        ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t ALTER a TYPE int", "no no yes no"),
        ("INSERT INTO t VALUES (1)", "DELETE FROM t WHERE a = 1", "no no no no"),
    ],
)
def test_the_checklist_is_answered_in_words(up: str, down: str | None, expected: str) -> None:
    said = answers((verdict(up, down, a="int"),))
    texts = (said.drops, said.bulk_data, said.blocks, said.way_back)
    assert " ".join(text.split()[0].strip(",.:") for text in texts) == expected
    assert all(text.endswith(".") for text in texts)


@pytest.mark.parametrize(
    ("up", "down", "question", "said"),
    [
        ("DROP INDEX i", "CREATE INDEX i ON t (a)", "drops", "no, nothing that holds data; it drops the index i."),
        ("CREATE INDEX i ON t (a); DROP INDEX i", None, "drops", "no, nothing that was there before is dropped."),
        ("ALTER TABLE t ALTER a TYPE int USING a * 2", "ANALYZE", "bulk_data", "yes, it recomputes every value of t.a."),
        ("CREATE TYPE m AS ENUM ('x'); CREATE TABLE u (a m)", "DROP TABLE u", "way_back", "but r1 leaves the type m"),
        ("ALTER TABLE t ADD COLUMN n int", "ALTER TABLE t DROP COLUMN n", "way_back", "into t.n after the deploy goes with it"),
        ("CREATE TABLE u (a int)", "DROP INDEX CONCURRENTLY i", "way_back", "no, only by restoring a backup"),
    ],
)  # fmt: skip
def test_an_answer_says_what_goes_with_it(
    up: str, down: str | None, question: str, said: str
) -> None:
    text = getattr(answers((verdict(up, down, a="text"),)), question)
    assert said.removesuffix(".") in text.replace(" (r1)", "")


@pytest.mark.parametrize(
    ("opacity", "expected"),
    [
        (Opacity(Opaque.DATA_DEPENDENT, 1, "a loop"), "unknown"),
        (Opacity(Opaque.UNSEEN_WRITES, 1, "a loop", writes=True), "no"),
        (Opacity(Opaque.GUARDED, 1, "an inspector"), "unknown"),
        (Opacity(Opaque.NON_ATOMIC, 1, "autocommit"), "no"),
    ],
)
def test_no_is_only_answered_where_it_is_known(opacity: Opacity, expected: str) -> None:
    up = script("ALTER TABLE t ADD COLUMN a int", opacity)
    one = judge((revision(up, script("ALTER TABLE t DROP COLUMN a")),), PG)[0]
    assert answers((one,)).drops.split(maxsplit=1)[0].strip(",:") == expected


def test_a_rebuilt_table_that_was_not_seen_leaves_the_answers_open() -> None:
    up = Script(
        Body.PRESENT, 1, (Statement("CREATE TABLE _alembic_tmp_t …", 7, (RebuildTable("t"),)),)
    )
    said = answers(judge((revision(up, script("ANALYZE t")),), SQLITE))
    assert said.drops.startswith("unknown")
    assert said.bulk_data.startswith("unknown")


def test_how_long_it_blocks_is_said_where_it_is_estimated() -> None:
    one = verdict("CREATE INDEX i ON t (a)", "DROP INDEX i")
    slow = replace(one, locks=tuple(replace(lock, seconds=200.0) for lock in one.locks))
    quick = replace(one, locks=tuple(replace(lock, seconds=0.1) for lock in one.locks))
    assert "about 3 min 20 s at the longest, an estimate" in answers((slow,)).blocks.lower()
    assert answers((quick,)).blocks.startswith("no")
    assert "depends on the size" in answers((one,)).blocks
    held = replace(one, locks=tuple(replace(lock, work="", seconds=30.0) for lock in one.locks))
    assert answers((held,)).blocks.startswith("yes, writes of t to the end of the transaction")


def test_nothing_pending_is_answered_too() -> None:
    said = answers(())
    assert (said.drops[:2], said.way_back[:3]) == ("no", "yes")


# --- opacity ------------------------------------------------------------------------------------


def test_what_a_statement_shows_is_not_said_twice() -> None:
    up = script(
        "DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$",
        Opacity(Opaque.PROCEDURAL, 1, "DO"),
        Opacity(Opaque.GUARDED, 9, "inspector"),
    )
    one = judge((revision(up, script("ANALYZE t")),), PG)[0]
    assert [(finding.rule, finding.line) for finding in one.findings] == [
        ("DG907", 1),
        ("DG905", 9),
    ]


def test_a_missing_downgrade_is_found_at_the_upgrade() -> None:
    up = replace(script("CREATE TABLE t (a int)"), line=12)
    missing = judge((revision(up, Script(Body.MISSING)),), PG)[0]
    raising = judge((revision(up, Script(Body.RAISES, 20)),), PG)[0]
    assert [(finding.rule, finding.line) for finding in missing.findings] == [("DG601", 12)]
    assert [(finding.rule, finding.line) for finding in raising.findings] == [("DG601", 20)]
