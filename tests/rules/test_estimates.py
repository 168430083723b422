"""What the size of a table says: how long a lock is held, and what that does to the level."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.model import (
    Body,
    Evidence,
    Facts,
    Lock,
    Opacity,
    Opaque,
    Revision,
    Risk,
    Script,
    Statement,
    TableFact,
    Verdict,
)
from deployguard.operations import Maintain
from deployguard.rules import BOOK, answers, judge
from deployguard.rules.estimates import LONG_SECONDS, RATES, TINY_BYTES, TINY_SECONDS, about, size
from deployguard.rules.locks import BUILD, REWRITE, SCAN
from deployguard.sql import lower

GB = 10**9
HUGE = TableFact("orders", 80_000_000, 10 * GB, index_bytes=2 * GB)
TINY = TableFact("orders", 12, 8192, exact=True, index_bytes=16384)
EMPTY = TableFact("orders", 0, 0, exact=True, index_bytes=8192)
# A downgrade without a word: these tests are about the upgrade.
DOWN = Script(Body.PRESENT, 1, (Statement("ANALYZE", 1, (Maintain("analyze"),)),))
UNKNOWN = TableFact("orders", -1, -1, index_bytes=-1)


def verdict(
    sql: str, *tables: TableFact, dialect: str = "postgresql", types: str = "", **known: object
) -> Verdict:
    old = {("orders", "a"): types} if types else {}
    statements = tuple(
        Statement(text, number, operations)
        for number, (text, operations) in enumerate(lower(sql, dialect, old_types=old), start=1)
    )
    up = Script(Body.PRESENT, 1, statements)
    revision = Revision("r", (), "r.py", "", "", up, DOWN, Evidence.RECORDED)
    facts = Facts(dialect, tables=tables or None)
    return judge((revision,), replace(facts, **known))[0]  # type: ignore[arg-type]


def lock_of(found: Verdict, relation: str = "orders") -> Lock:
    return next(one for one in found.locks if one.relation == relation)


def test_a_rewrite_is_estimated_from_the_table_and_its_indexes() -> None:
    one = lock_of(verdict("ALTER TABLE orders ALTER a TYPE text USING a::text", HUGE))
    assert one.work == REWRITE
    assert one.seconds == pytest.approx(80_000_000 / RATES[REWRITE].rows, rel=0.01)
    wide = replace(HUGE, rows=1_000_000)
    one = lock_of(verdict("ALTER TABLE orders ALTER a TYPE text USING a::text", wide))
    assert one.seconds == pytest.approx(12_000 / 60)
    assert one.basis == "rewrite of 12 GB at 60 MB/s: about 3 min 20 s; an estimate"


@pytest.mark.parametrize(
    ("sql", "work"),
    [
        ("CREATE INDEX ix ON orders (a)", BUILD),
        ("ALTER TABLE orders ALTER a SET NOT NULL", SCAN),
        ("ALTER TABLE orders ADD CHECK (a > 0)", SCAN),
    ],
)
def test_a_scan_and_a_build_are_estimated_from_the_table_alone(sql: str, work: str) -> None:
    wide = replace(HUGE, rows=1_000_000)
    one = lock_of(verdict(sql, wide))
    assert (one.work, one.seconds) == (work, pytest.approx(10_000 / RATES[work].megabytes))
    assert f"{work} of 10 GB at {RATES[work].megabytes} MB/s" in one.basis


def test_a_brief_lock_takes_a_moment_whatever_the_size() -> None:
    assert lock_of(verdict("ALTER TABLE orders ADD COLUMN b int", HUGE)).seconds == 0.0
    assert lock_of(verdict("ALTER TABLE orders ADD COLUMN b int")).seconds == 0.0


@pytest.mark.parametrize("tables", [(), (UNKNOWN,), (TableFact("other", 1, 8192),)])
def test_an_unknown_size_gives_no_estimate_and_changes_no_level(
    tables: tuple[TableFact, ...],
) -> None:
    found = verdict("CREATE INDEX ix ON orders (a)", *tables)
    assert lock_of(found).seconds is None
    assert lock_of(found).basis == ""
    assert found.risk is Risk.MEDIUM


def test_the_tables_of_a_foreign_key_are_held_equally_long() -> None:
    users = TableFact("users", 1000, 10 * GB)
    sql = "ALTER TABLE orders ADD FOREIGN KEY (a) REFERENCES users (id)"
    found = verdict(sql, HUGE, users)
    assert lock_of(found).seconds == lock_of(found, "users").seconds
    assert (lock_of(found).seconds or 0) > 100
    # Few rows that point read little of the table they point at, however big that is.
    found = verdict(sql, TINY, users)
    assert (lock_of(found, "users").seconds or 0) < 0.1
    assert found.risk is Risk.MEDIUM, "it may fail on the rows"
    assert lock_of(verdict(sql, HUGE)).seconds is None, "one of the two is not known"


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("CREATE INDEX ix ON orders (a)", ""),
        ("REINDEX TABLE orders", ""),
        ("ALTER TABLE orders ADD COLUMN u uuid DEFAULT gen_random_uuid()", ""),
        ("ALTER TABLE orders ADD COLUMN n serial", ""),
        ("ALTER TABLE orders SET UNLOGGED", ""),
        ("ALTER TABLE orders ALTER a TYPE bigint", "integer"),
        ("ALTER TABLE orders ALTER a TYPE bigint USING a::bigint", "integer"),
    ],
)
@pytest.mark.parametrize("fact", [TINY, EMPTY])
def test_waiting_is_no_danger_on_a_tiny_table(sql: str, types: str, fact: TableFact) -> None:
    found = verdict(sql, fact, types=types)
    assert found.risk is Risk.LOW
    assert [finding.risk for finding in found.findings] == [Risk.LOW]
    assert "Low, because orders is" in found.findings[0].message
    assert ("empty" in found.findings[0].message) is (fact is EMPTY)
    assert verdict(sql, types=types).risk > Risk.LOW
    assert verdict(sql, UNKNOWN, types=types).risk > Risk.LOW
    big = replace(TINY, bytes=TINY_BYTES)
    assert verdict(sql, big, types=types).risk > Risk.LOW


@pytest.mark.parametrize(
    ("sql", "types"),
    [
        ("DROP TABLE orders", ""),
        ("ALTER TABLE orders DROP COLUMN a", ""),
        ("TRUNCATE orders", ""),
        ("UPDATE orders SET a = 1", ""),
        ("ALTER TABLE orders RENAME COLUMN a TO b", ""),
        ("ALTER TABLE orders RENAME TO purchases", ""),
        ("ALTER TABLE orders ADD COLUMN b int NOT NULL", ""),
        ("ALTER TABLE orders ALTER a SET NOT NULL", ""),
        ("ALTER TABLE orders ADD CHECK (a > 0)", ""),
        ("ALTER TABLE orders ADD UNIQUE (a)", ""),
        ("CREATE UNIQUE INDEX ix ON orders (a)", ""),
        ("ALTER TABLE orders ADD PRIMARY KEY (a)", ""),
        ("ALTER TABLE orders ALTER a TYPE varchar(5)", "character varying(10)"),
        ("ALTER TABLE orders ALTER a TYPE text", "integer"),
        ("ALTER TABLE orders ALTER a TYPE bigint", ""),
        ("ALTER TABLE orders ALTER a TYPE bigint USING a * 2", "integer"),
        ("LOCK TABLE orders", ""),
        ("ALTER TABLE orders DROP CONSTRAINT ck", ""),
        ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", ""),
    ],
)
@pytest.mark.parametrize("fact", [TINY, EMPTY])
def test_what_is_more_than_waiting_keeps_its_level_on_a_tiny_table(
    sql: str, types: str, fact: TableFact
) -> None:
    assert verdict(sql, fact, types=types).risk == verdict(sql, types=types).risk > Risk.LOW


def test_a_dropped_index_is_harmless_on_a_tiny_table_when_it_kept_no_duplicates_out() -> None:
    plain = {"indexes": {"ix": "orders"}}
    assert verdict("DROP INDEX ix", TINY, **plain).risk is Risk.LOW
    unique = {**plain, "unique_indexes": frozenset({"ix"})}
    assert verdict("DROP INDEX ix", TINY, **unique).risk is Risk.MEDIUM
    assert verdict("DROP INDEX ix", TINY).risk is Risk.MEDIUM, "its table is not known"


@pytest.mark.parametrize(
    "before",
    [
        "INSERT INTO orders SELECT generate_series(1, 1000000)",
        "COPY orders FROM STDIN",
        "ALTER TABLE orders RENAME TO old; CREATE TABLE orders (a int); INSERT INTO orders SELECT * FROM old",
    ],
)
def test_a_table_that_this_run_fills_is_not_tiny_any_more(before: str) -> None:
    found = verdict(f"{before}; CREATE INDEX ix ON orders (a)", TINY)
    assert [one.risk for one in found.findings if one.rule == "DG201"] == [Risk.MEDIUM]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX ix ON orders (a)",
        "ALTER TABLE orders ADD CHECK (a > 0)",
        "ALTER TABLE orders ADD UNIQUE (a)",
    ],
)
def test_half_a_minute_without_writes_is_high(sql: str) -> None:
    found = verdict(sql, HUGE)
    assert found.risk is Risk.HIGH
    message = found.findings[0].message
    assert f"longer than {LONG_SECONDS:g} s" in message
    assert "an estimate" in message
    small = replace(HUGE, rows=100_000, bytes=100_000_000, index_bytes=0)
    assert verdict(sql, small).risk is Risk.MEDIUM


def test_what_does_not_block_anybody_is_not_raised() -> None:
    statements = lower("CREATE INDEX CONCURRENTLY ix ON orders (a)", "postgresql")
    up = Script(
        Body.PRESENT, 1, tuple(Statement(t, 1, o, in_transaction=False) for t, o in statements)
    )
    revision = Revision("r", (), "r.py", "", "", up, DOWN, Evidence.RECORDED)
    (found,) = judge((revision,), Facts("postgresql", tables=(HUGE,)))
    assert not [one for one in found.findings if one.risk > Risk.LOW]
    assert (lock_of(found).seconds or 0) > 100


def test_a_sqlite_file_is_judged_by_the_table_at_hand() -> None:
    sql = "CREATE INDEX ix ON orders (a)"
    assert verdict(sql, TINY, dialect="sqlite").risk is Risk.LOW
    assert verdict(sql, HUGE, dialect="sqlite").risk is Risk.HIGH
    assert verdict(sql, dialect="sqlite").risk is Risk.MEDIUM
    volatile = "ALTER TABLE orders ADD COLUMN t TIMESTAMP DEFAULT CURRENT_TIMESTAMP"
    assert verdict(volatile, TINY, dialect="sqlite").risk is Risk.HIGH, "SQLite refuses it"


def test_only_blocking_and_rewriting_can_be_a_matter_of_time() -> None:
    timely = [entry.code for entry in BOOK if entry.only_time]
    assert timely
    assert all(code.startswith(("DG2", "DG3")) for code in timely)


def test_sizes_and_times_are_written_for_people() -> None:
    assert [size(n) for n in (0, 1, 8192, 1_500_000, 340_000_000, 12 * GB, 3 * 10**12)] == [
        "0 kB", "1 kB", "9 kB", "1.5 MB", "340 MB", "12 GB", "3.0 TB",
    ]  # fmt: skip
    assert [about(s) for s in (0.2, 1, 59.4, 60, 200, 3600, 7260)] == [
        "less than a second", "about 1 s", "about 59 s", "about 1 min", "about 3 min 20 s",
        "about 1 h", "about 2 h 1 min",
    ]  # fmt: skip


def test_a_brief_lock_is_held_as_long_as_what_follows_in_its_transaction() -> None:
    users = TableFact("users", 1_000_000, 4 * GB)
    sql = "ALTER TABLE orders ADD COLUMN b int; CREATE INDEX ix ON users (a)"
    found = verdict(sql, HUGE, users)
    assert lock_of(found).mode == "ACCESS EXCLUSIVE"
    assert lock_of(found).seconds == lock_of(found, "users").seconds == pytest.approx(100)
    assert "with what follows in the transaction about 1 min 40 s in all" in lock_of(found).basis
    piled = next(one for one in found.findings if one.rule == "DG214")
    assert piled.risk is Risk.HIGH
    other_way = verdict(
        "CREATE INDEX ix ON users (a); ALTER TABLE orders ADD COLUMN b int", HUGE, users
    )
    assert lock_of(other_way).seconds == 0.0, "it comes last"


@pytest.mark.parametrize(
    "later",
    [
        "UPDATE users SET a = 1",
        "CREATE INDEX ix ON unknown (a)",
        "DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$",
    ],
)
def test_a_lock_is_held_for_nobody_knows_how_long_before_such_a_statement(later: str) -> None:
    found = verdict(f"ALTER TABLE orders ADD COLUMN b int; {later}", HUGE)
    assert lock_of(found).seconds is None


@pytest.mark.parametrize(
    "hidden", [Opaque.UNSEEN_WRITES, Opaque.DATA_DEPENDENT, Opaque.FAILED, Opaque.GUARDED]
)
def test_what_could_not_be_read_makes_the_time_of_a_lock_unknown(hidden: Opaque) -> None:
    small = TableFact("users", 100_000, 40 * 10**6)
    sql = "ALTER TABLE orders ADD COLUMN b int; CREATE INDEX ix ON users (a)"
    seen = verdict(sql, HUGE, small)
    up = replace(seen.revision.up, opacities=(Opacity(hidden, 3, "a loop over rows", writes=True),))
    facts = Facts("postgresql", tables=(HUGE, small))
    [found] = judge((replace(seen.revision, up=up),), facts)

    assert "at the longest" in answers((seen,)).blocks
    assert lock_of(seen).seconds == pytest.approx(1)
    for one in (lock_of(found), lock_of(found, "users")):
        assert one.seconds is None
        assert one.basis.startswith("at least")
        assert "in all" not in one.basis
    assert "at least about 1 s, plus the rest of its transaction" in lock_of(found, "users").basis
    assert "at the longest" not in answers((found,)).blocks


def test_a_revision_that_could_not_be_read_leaves_no_longest_time_of_the_others() -> None:
    seen = verdict("CREATE INDEX ix ON orders (a)", HUGE)
    failed = Opacity(Opaque.FAILED, 3, "it failed while it was read")
    second = replace(seen.revision, id="r2", up=Script((), opacities=(failed,)))
    both = judge((seen.revision, second), Facts("postgresql", tables=(HUGE,)))

    said = answers(both).blocks
    assert said.startswith("yes, writes of orders during its index build")
    assert "at the longest" not in said
    assert said.endswith(
        "At least about 4 min 10 s, an estimate. How long in all is unknown: r2 could not be read"
        " completely."
    )


def test_less_than_a_second_is_never_called_the_least() -> None:
    small = TableFact("users", 100_000, 20 * 10**6)
    found = verdict("CREATE INDEX ix ON users (a); UPDATE users SET a = 1", small)
    assert "at least a moment, plus the rest of its transaction" in lock_of(found, "users").basis
    assert "least less" not in answers((found,)).blocks.lower()


def test_a_statement_of_unknown_length_leaves_no_longest_time() -> None:
    sql = "CREATE INDEX ix ON orders (a); INSERT INTO orders SELECT * FROM other"
    said = answers((verdict(sql, HUGE),)).blocks
    assert "at the longest" not in said
    assert "At least about 4 min 10 s, plus the rest of its transaction" in said


def test_a_brief_lock_before_work_of_unknown_length_is_not_a_moment() -> None:
    sql = "ALTER TABLE orders ADD COLUMN b int; CREATE TABLE copy AS SELECT * FROM other"
    assert answers((verdict(sql, HUGE),)).blocks.startswith("unknown: reads and writes of orders")


def test_the_longest_of_equal_locks_is_kept() -> None:
    found = verdict(
        "CREATE INDEX i ON orders (a); INSERT INTO orders SELECT * FROM x; CREATE INDEX j ON orders (b)",
        HUGE,
    )
    assert [one.work for one in found.locks if one.mode == "SHARE"] == [BUILD]


def test_validating_under_a_held_lock_is_high_on_a_huge_table() -> None:
    sql = "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT ck"
    found = verdict(sql, HUGE)
    assert [(one.rule, one.risk) for one in found.findings if one.rule == "DG209"] == [
        ("DG209", Risk.HIGH)
    ]
    tiny = verdict(sql, TINY)
    assert [one.risk for one in tiny.findings if one.rule == "DG209"] == [Risk.LOW]


def test_what_is_raised_names_its_own_table_and_all_that_is_blocked() -> None:
    validated = verdict(
        "ALTER TABLE users ADD COLUMN b int;"
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID;"
        "ALTER TABLE orders VALIDATE CONSTRAINT ck",
        HUGE,
    )
    [said] = [one.message for one in validated.findings if one.rule == "DG209"]
    assert "Blocks reads and writes of orders for longer" in said
    built = verdict(
        "ALTER TABLE orders DROP CONSTRAINT ck; CREATE INDEX i ON orders (b)",
        HUGE,
    )
    raised = [one.message for one in built.findings if one.risk is Risk.HIGH]
    assert any("for longer than" in one for one in raised)
    assert all("Blocks writes of orders" not in one for one in raised)


def test_the_page_tells_the_rates_and_limits_that_are_used() -> None:
    page = (Path(__file__).parents[2] / "docs" / "live-facts.md").read_text()
    for work, rate in RATES.items():
        assert f"| {work} | {rate.megabytes} | {rate.rows:,} |" in page
    limits = f"less than {TINY_BYTES // 10**6} MB", f"less than {TINY_SECONDS:g} s"
    for limit in (*limits, f"longer than {LONG_SECONDS:g} s"):
        assert limit in page
    wide = replace(HUGE, rows=1_000_000)
    one = lock_of(verdict("ALTER TABLE orders ALTER a TYPE text USING a::text", wide))
    assert one.basis in page


def test_the_query_of_a_refresh_takes_the_time_and_not_its_size() -> None:
    found = verdict("REFRESH MATERIALIZED VIEW orders", TINY)
    assert lock_of(found).seconds is None
    assert found.risk > Risk.LOW


def test_a_name_that_several_schemas_have_is_as_large_as_the_largest() -> None:
    sql = "CREATE INDEX ix ON orders (a)"
    tenant = replace(HUGE, table="tenant_1.orders")
    assert verdict(sql, EMPTY, tenant).risk is Risk.HIGH, "the search path may lead to the tenant"
    assert verdict(sql, EMPTY, replace(UNKNOWN, table="tenant_1.orders")).risk is Risk.MEDIUM
    assert verdict(sql, EMPTY, replace(TINY, table="tenant_1.orders")).risk is Risk.LOW
    assert verdict("CREATE INDEX ix ON tenant_2.orders (a)", tenant).risk is Risk.MEDIUM
    tiny = replace(TINY, table="tenant_2.orders")
    assert verdict("CREATE INDEX ix ON tenant_2.orders (a)", tenant, tiny).risk is Risk.LOW
