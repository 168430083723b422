"""What is remembered of a run, and what it proves: partitions, conditions, types, settings, names of indexes."""

from dataclasses import replace

import pytest

from deployguard.model import Facts, TableFact
from deployguard.operations import AddConstraint, AttachPartition
from deployguard.rules import enriched, judge
from deployguard.rules.context import Context
from deployguard.rules.examples import read
from deployguard.rules.known import not_null_column, seconds
from deployguard.rules.locks import locks
from deployguard.rules.proofs import proves
from deployguard.rules.types import leaves_rows
from deployguard.sql import lower

PG = Facts("postgresql")


def after(sql: str, facts: Facts = PG) -> Context:
    context = Context.start(facts)
    for text, operations in lower(sql, "postgresql"):
        context = context.at(text, in_transaction=True)
        for operation in operations:
            context = context.after(operation)
    return context


def found(example: str, facts: Facts | None = None) -> list[str]:
    revisions, own = read(example)
    return [one.rule for verdict in judge(revisions, facts or own) for one in verdict.findings]


# --- a CHECK that says what the bounds say --------------------------------------------------------

RANGE = "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (20) TO (30)"
MONTH = "ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM ('2030-01-01') TO ('2030-02-01')"
LIST = "ALTER TABLE p ATTACH PARTITION c FOR VALUES IN (1, 2)"


@pytest.mark.parametrize(
    ("check", "attach", "proven"),
    [
        ("d IS NOT NULL AND d >= 20 AND d < 30", RANGE, True),
        ("(d IS NOT NULL) AND (d >= 20) AND (d < 30)", RANGE, True),
        ("((d IS NOT NULL) AND ((d >= 20) AND (d < 30)))", RANGE, True),
        ("d >= 20 AND d < 30", RANGE, False),
        ("d IS NOT NULL AND d >= 20 AND d < 40", RANGE, False),
        ("d IS NOT NULL AND d >= 20 AND e < 30", RANGE, False),
        ("d IS NOT NULL AND (d >= 20 OR d < 30)", RANGE, False),
        ("d IS NOT NULL AND NOT (d >= 20 AND d < 30)", RANGE, False),
        ("d IS NOT NULL AND d BETWEEN 20 AND 30", RANGE, False),
        ("d IS NOT NULL AND d >= '2030-01-01'::date AND d < '2030-02-01'::date", MONTH, True),
        ("d IS NOT NULL AND d >= DATE '2030-01-01' AND d < DATE '2030-02-01'", MONTH, True),
        ("d IS NOT NULL AND d >= '2030-01-01' AND d < '2030-02-02'", MONTH, False),
        ("d IS NOT NULL AND d IN (1, 2)", LIST, True),
        ("d IS NOT NULL AND d IN (1, 3)", LIST, False),
        ("d IS NOT NULL AND d = 2", LIST, True),
        ("d IS NOT NULL AND d = 3", LIST, False),
        ("d IS NOT NULL AND d <> 2", LIST, False),
        ("(d IS NOT NULL) AND (d = ANY (ARRAY[1, 2]))", LIST, True),
        ("(d IS NOT NULL) AND (d = ANY (ARRAY[1, 2, 3]))", LIST, False),
    ],
)
def test_a_check_proves_the_bounds_only_when_it_says_them(
    check: str, attach: str, proven: bool
) -> None:
    context = after(f"ALTER TABLE c ADD CONSTRAINT k CHECK ({check})")
    context = context.at(attach, in_transaction=True)
    assert proves(AttachPartition("p", "c"), context) is proven


def test_a_check_that_is_not_validated_proves_nothing() -> None:
    sql = "ALTER TABLE c ADD CONSTRAINT k CHECK (d IS NOT NULL AND d >= 20 AND d < 30) NOT VALID"
    operation = AttachPartition("p", "c")
    assert not proves(operation, after(sql).at(RANGE, in_transaction=True))
    both = f"{sql}; ALTER TABLE c VALIDATE CONSTRAINT k"
    assert proves(operation, after(both).at(RANGE, in_transaction=True))
    without_null = after("ALTER TABLE c ADD CONSTRAINT k CHECK (d >= 20 AND d < 30)")
    assert proves(operation, without_null.at(RANGE, in_transaction=True), null=True)
    required = "ALTER TABLE c ALTER d SET NOT NULL; ALTER TABLE c ADD CHECK (d >= 20 AND d < 30)"
    assert proves(operation, after(required).at(RANGE, in_transaction=True))


# --- types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "using", "zone", "stay"),
    [
        ("varchar(20)", "varchar(50)", "v::varchar(50)", None, True),
        ("varchar(20)", "varchar(50)", "CAST(v AS varchar(50))", None, False),
        ("varchar(20)", "text", "upper(v)", None, False),
        ("varchar(20)", "text", "v::int::text", None, False),
        ("varchar(20)", "text", "(v)", None, True),
        ("timestamp", "timestamptz", "", None, False),
        ("timestamp", "timestamptz", "", "UTC", True),
        ("timestamp", "timestamptz", "", "Europe/Berlin", False),
        ("timestamp(3)", "timestamptz", "", "UTC", False),
        ("float", "float(53)", "", None, True),
        ("float(24)", "double precision", "", None, False),
        ("timestamp", "timestamp(6)", "", None, True),
        ("varchar(5)[]", "varchar(9)[]", "", None, False),
        ("text[]", "text[]", "", None, True),
        (None, "text", "", None, None),
        (None, "text", "upper(v)", None, False),
    ],
)
def test_rows_stay_as_they_are_only_where_a_server_leaves_them(
    old: str | None, new: str, using: str, zone: str | None, stay: bool | None
) -> None:
    assert leaves_rows(old, new, "v", using, zone) is stay


# --- tables of the run ----------------------------------------------------------------------------


def test_a_new_table_is_filled_by_rows_that_come_in_and_not_by_changes_of_none() -> None:
    build = "CREATE TABLE t (a int); {} ; CREATE INDEX i ON t (a)"
    assert found(build.format("UPDATE t SET a = 1")) == []
    assert found(build.format("DELETE FROM t")) == []
    assert found(build.format("INSERT INTO t VALUES (1)")) == ["DG201"]


def test_a_temporary_table_is_nobody_elses_even_with_rows() -> None:
    sql = "CREATE {} TABLE t AS SELECT 1 AS a; CREATE INDEX i ON t (a)"
    assert found(sql.format("TEMP")) == []
    assert found(sql.format("")) == ["DG201"]


def test_what_stops_proving_a_not_null_is_forgotten() -> None:
    sql = "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL); {}; ALTER TABLE t ALTER a SET NOT NULL"
    assert "DG208" not in found(sql.format("SELECT 1"))
    assert "DG208" in found(sql.format("ALTER TABLE t DROP CONSTRAINT k"))
    assert "DG208" in found(sql.format("ALTER TABLE t ALTER a DROP NOT NULL"))
    assert "DG208" in found(sql.format("SELECT 1").replace("IS NOT NULL)", "IS NOT NULL OR b > 0)"))


def test_partitions_are_locked_with_their_table_at_any_depth() -> None:
    facts = replace(
        PG,
        tables=(
            TableFact("p", 1, 1),
            TableFact("p1", 1, 1, partition_of="p"),
            TableFact("p1a", 1, 1, partition_of="p1"),
        ),
    )
    (operation,) = lower("ALTER TABLE p ADD COLUMN c int", "postgresql")[0][1]
    taken = locks(operation, Context.start(facts))
    assert [one.relation for one in taken] == ["p", "p1", "p1a"]
    (operation,) = lower("ALTER TABLE p RENAME TO q", "postgresql")[0][1]
    assert [one.relation for one in locks(operation, Context.start(facts))] == ["p"]


def test_the_other_table_of_a_dropped_column_is_known_from_the_catalogue() -> None:
    facts = replace(PG, points_at={("t", "u_id"): frozenset({"u"})})
    (operation,) = lower("ALTER TABLE t DROP COLUMN u_id", "postgresql")[0][1]
    assert [one.relation for one in locks(operation, Context.start(facts))] == ["t", "u"]


# --- transactions and settings --------------------------------------------------------------------


def test_a_setting_for_the_transaction_ends_with_it() -> None:
    local = "SET LOCAL lock_timeout = 0\n-- {}\nALTER TABLE orders ADD COLUMN a int"
    assert found(local.format("next revision")) == ["DG508"]
    assert found(local.format("own transaction")) == []
    assert found(local.format("own transaction").replace("LOCAL ", "")) == ["DG508"]
    assert (
        found("SET lock_timeout = 0; RESET lock_timeout; ALTER TABLE orders ADD COLUMN a int") == []
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [("0", 0), ("5s", 5), ("'2min'", 120), ("1500", 1.5), ("default", None), ("250ms", 0.25)],
)
def test_timeouts_are_read_in_postgresqls_units(value: str, expected: float | None) -> None:
    assert seconds(value) == expected


def test_long_work_counts_only_while_another_table_is_held() -> None:
    validate = "ALTER TABLE users VALIDATE CONSTRAINT fk"
    assert found(f"ALTER TABLE orders ADD COLUMN a int; {validate}") == ["DG214"]
    assert found(f"{validate}; ALTER TABLE orders ADD COLUMN a int") == []
    assert found(f"CREATE TABLE t (a int); {validate}") == []
    assert found(f"ALTER TABLE orders ADD COLUMN a int\n-- autocommit\n{validate}") == ["DG504"]


def test_an_index_that_a_failed_build_left_is_known_by_the_live_database() -> None:
    facts = replace(PG, tables=(), invalid_indexes=frozenset({"public.ix"}))
    build = "-- autocommit\nCREATE INDEX CONCURRENTLY {}ix ON orders (a)"
    assert found(build.format(""), facts) == ["DG506"]
    assert found(build.format("IF NOT EXISTS "), facts) == ["DG506"]
    assert found(build.format("IF NOT EXISTS "), replace(PG, tables=())) == []
    assert found(build.format(""), replace(PG, tables=())) == []


def test_several_tables_count_only_where_statements_could_be_taken_apart() -> None:
    detach = "ALTER TABLE p DETACH PARTITION c"
    assert found(detach) == ["DG211"]
    assert found(f"{detach}; ALTER TABLE users ADD COLUMN a int") == ["DG211", "DG215"]


def test_locks_that_pile_up_are_told_once() -> None:
    held = "ALTER TABLE orders ADD COLUMN a int"
    work = "CREATE INDEX i ON users (a); CREATE INDEX j ON rooms (a)"
    assert found(f"{held}; {work}").count("DG214") == 1


def test_several_tables_are_told_by_the_revision_that_locks_the_second() -> None:
    one, other = "ALTER TABLE orders ADD COLUMN a int", "ALTER TABLE users ADD COLUMN a int"
    rows = "INSERT INTO rooms (a) VALUES (1)"
    sql = f"{one}\n-- next revision\n{other}; {rows}\n-- next revision\n{rows}"
    verdicts = judge(*read(sql))
    told = [[each.line for each in v.findings if each.rule == "DG215"] for v in verdicts]
    assert [len(lines) for lines in told] == [0, 1, 0]


def test_a_check_of_an_earlier_release_proves_the_bounds_too() -> None:
    def facts(**options: bool) -> Facts:
        text = "((d IS NOT NULL) AND (d >= 20) AND (d < 30))"
        check = {"name": "k", "sqltext": text, "dialect_options": options}
        table = {"schema": "public", "name": "c", "checks": [check]}
        return enriched(
            PG, {"dialect": "postgresql", "default_schema": "public", "tables": [table]}
        )

    assert found(RANGE, facts()) == []
    assert found(RANGE, facts(not_valid=True)) == ["DG211"]
    validated = f"ALTER TABLE c VALIDATE CONSTRAINT k\n-- own transaction\n{RANGE}"
    assert found(validated, facts(not_valid=True)) == []


def test_disabling_all_triggers_is_worse_than_those_of_users() -> None:
    def level(which: str) -> str:
        revisions, facts = read(f"ALTER TABLE orders DISABLE TRIGGER {which}")
        return str(judge(revisions, facts)[0].risk)

    assert [level("ALL"), level("USER"), level("tr")] == ["high", "medium", "medium"]


@pytest.mark.parametrize("name", ["'0'", "it's", "a or b", "a and b", 'say "x"', "IS NOT NULL"])
def test_a_name_proves_whatever_it_looks_like(name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    [(_, [added])] = lower(
        f"ALTER TABLE t ADD CONSTRAINT c CHECK (n > 0 AND {quoted} IS NOT NULL)", "postgresql"
    )
    assert isinstance(added, AddConstraint)
    assert not_null_column(added) == name
