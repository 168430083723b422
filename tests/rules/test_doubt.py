"""Names that come to mean something else within one run: what is old is never taken for new."""

from __future__ import annotations

import pytest

from deployguard.model import Facts, Risk, TableFact
from deployguard.rules import judge
from deployguard.rules.examples import read

# (id, what is run, the code that must be found)
OLD: tuple[tuple[str, str, str], ...] = (
    ("search-path", "CREATE TABLE loans (a int); SET search_path TO desk; DROP TABLE loans", "DG101"),
    ("set-config", "CREATE TABLE loans (a int); SELECT set_config('search_path', 'desk', false); DROP TABLE loans", "DG101"),
    ("local-path", "SET LOCAL search_path TO desk; CREATE TABLE loans (a int); RESET search_path; DROP TABLE loans", "DG101"),
    ("path-until-commit", "SET LOCAL search_path TO desk; CREATE TABLE loans (a int); COMMIT; DROP TABLE loans", "DG101"),
    ("path-until-next", "SET LOCAL search_path TO desk; CREATE TABLE loans (a int)\n-- own transaction\nDROP TABLE loans", "DG101"),
    ("role", "CREATE TABLE loans (a int); SET ROLE clerk; DROP TABLE loans", "DG101"),
    ("reset-all", "CREATE TABLE loans (a int); RESET ALL; DROP TABLE loans", "DG101"),
    ("savepoint", "SAVEPOINT s; CREATE TABLE loans (a int); ROLLBACK TO SAVEPOINT s; DROP TABLE loans", "DG101"),
    ("rollback", "CREATE TABLE loans (a int); ROLLBACK; DROP TABLE loans", "DG101"),
    ("rolled-back-proof", ("SAVEPOINT s; ALTER TABLE books ADD CHECK (shelf IS NOT NULL); ROLLBACK TO s;"
     " ALTER TABLE books ALTER shelf SET NOT NULL"), "DG208"),
    ("temporary", "CREATE TEMP TABLE loans (a int); DROP TABLE public.loans", "DG101"),
    ("temporary-altered", "CREATE TEMP TABLE books (a int); ALTER TABLE public.books DROP COLUMN shelf", "DG102"),
    ("temporary-commit", "CREATE TEMP TABLE loans (a int) ON COMMIT DROP; COMMIT; DROP TABLE loans", "DG101"),
    ("temporary-next", "CREATE TEMP TABLE loans (a int) ON COMMIT DROP\n-- own transaction\nDROP TABLE loans", "DG101"),
    ("temporary-discarded", "CREATE TEMP TABLE loans (a int); DISCARD TEMP; DROP TABLE loans", "DG101"),
    ("temporary-dropped", "CREATE TEMP TABLE loans (a int); DROP TABLE loans; DROP TABLE loans", "DG101"),
    ("sqlite-temporary", "-- dialect: sqlite\nCREATE TEMP TABLE loans (a int); DROP TABLE main.loans", "DG101"),
    ("attached", ("CREATE TABLE n (a int) PARTITION BY RANGE (a);"
     " ALTER TABLE n ATTACH PARTITION loans FOR VALUES FROM (1) TO (2); DROP TABLE n"), "DG101"),
    ("attached-below", ("CREATE TABLE n (a int) PARTITION BY RANGE (a);"
     " CREATE TABLE m PARTITION OF n FOR VALUES FROM (1) TO (9) PARTITION BY RANGE (a);"
     " ALTER TABLE m ATTACH PARTITION loans FOR VALUES FROM (1) TO (2); TRUNCATE n"), "DG103"),
    ("inherited", "CREATE TABLE n (a int); ALTER TABLE loans INHERIT n; DELETE FROM n", "DG105"),
    ("inherited-column", "CREATE TABLE n (a int); ALTER TABLE loans INHERIT n; ALTER TABLE n DROP COLUMN a", "DG102"),
    ("column-of-another", ("ALTER TABLE a ADD COLUMN x int; ALTER TABLE a RENAME TO b; ALTER TABLE c RENAME TO a;"
     " ALTER TABLE a DROP COLUMN x"), "DG102"),
    ("proof-of-another", ("ALTER TABLE a ADD CONSTRAINT k CHECK (x IS NOT NULL) NOT VALID; ALTER TABLE a VALIDATE CONSTRAINT k;"
     " ALTER TABLE a RENAME TO b; ALTER TABLE c RENAME TO a; ALTER TABLE a ALTER x SET NOT NULL"), "DG208"),
    ("schema-renamed", ("CREATE SCHEMA n; CREATE TABLE n.a (x int); ALTER SCHEMA n RENAME TO m;"
     " ALTER SCHEMA desk RENAME TO n; DROP TABLE n.a"), "DG101"),
    ("schema-replaced", "CREATE SCHEMA n; ALTER SCHEMA n RENAME TO m; ALTER SCHEMA desk RENAME TO n; DROP SCHEMA n CASCADE", "DG104"),
    ("schema-filled", "CREATE SCHEMA n; ALTER TABLE loans SET SCHEMA n; DROP SCHEMA n CASCADE", "DG104"),
    ("schema-as-type", "CREATE TYPE desk AS ENUM ('a'); DROP SCHEMA desk CASCADE", "DG104"),
    ("schema-as-table", "CREATE TABLE desk (a int); DROP SCHEMA desk CASCADE", "DG104"),
    ("view-as-schema", "CREATE SCHEMA desk; DROP MATERIALIZED VIEW desk", "DG107"),
    ("type-replaced", "CREATE TYPE n AS ENUM ('a'); ALTER TYPE n RENAME TO m; ALTER TYPE mood RENAME TO n; DROP TYPE n CASCADE", "DG107"),
    ("pointed-at", "CREATE TABLE n (a int PRIMARY KEY); ALTER TABLE loans ADD COLUMN x int REFERENCES n; TRUNCATE n CASCADE", "DG103"),
)  # fmt: skip

# What people do, and what stays safe.
NEW: tuple[tuple[str, str], ...] = (
    ("path-first", "SET search_path TO desk; CREATE TABLE n (a int); CREATE INDEX i ON n (a)"),
    ("path-again", "SET search_path TO desk; CREATE TABLE n (a int); SET search_path TO desk; DROP TABLE n"),
    ("path-empty", "SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.n (a int); DROP TABLE public.n"),
    ("released", "CREATE TABLE n (a int); SAVEPOINT s; CREATE INDEX i ON n (a); RELEASE SAVEPOINT s; DROP TABLE n"),
    ("temporary", "CREATE TEMP TABLE n (a int); INSERT INTO n SELECT 1; CREATE INDEX i ON n (a); DROP TABLE n"),
    ("attach-new", ("CREATE TABLE n (a int) PARTITION BY RANGE (a); CREATE TABLE m (a int);"
     " ALTER TABLE n ATTACH PARTITION m FOR VALUES FROM (1) TO (2); DROP TABLE n")),
    ("renamed-column", "CREATE TABLE n (a int); ALTER TABLE n RENAME TO m; ALTER TABLE m DROP COLUMN a"),
    ("new-schema", "CREATE SCHEMA n; CREATE TABLE n.a (x int); DROP SCHEMA n CASCADE"),
    ("renamed-type", "CREATE TYPE n AS ENUM ('a'); ALTER TYPE n RENAME TO m; DROP TYPE m"),
    ("truncate-new", "CREATE TABLE n (a int PRIMARY KEY); CREATE TABLE m (a int REFERENCES n); TRUNCATE n CASCADE"),
)  # fmt: skip


def found(text: str, facts: Facts | None = None) -> list[tuple[str, Risk]]:
    revisions, read_facts = read(text)
    verdicts = judge(revisions, facts or read_facts)
    return [(one.rule, one.risk) for verdict in verdicts for one in verdict.findings]


@pytest.mark.parametrize(("text", "code"), [row[1:] for row in OLD], ids=[row[0] for row in OLD])
def test_what_is_old_is_never_taken_for_new(text: str, code: str) -> None:
    assert code in {rule for rule, _ in found(text)}


@pytest.mark.parametrize("text", [row[1] for row in NEW], ids=[row[0] for row in NEW])
def test_what_is_new_stays_new(text: str) -> None:
    assert [one for one in found(text) if one[1] >= Risk.MEDIUM] == []


def test_the_size_of_a_table_of_the_usual_path_is_not_the_size_of_another() -> None:
    facts = Facts("postgresql", (16,), (TableFact("books", 10, 8192, exact=True),))
    index = "CREATE INDEX i ON books (a)"

    assert ("DG201", Risk.LOW) in found(index, facts)
    assert ("DG201", Risk.MEDIUM) in found(f"SET search_path TO desk; {index}", facts)
    assert ("DG201", Risk.LOW) in found(f"SET search_path TO public; {index}", facts)


def test_a_temporary_table_that_hides_a_known_one_is_not_taken_for_new() -> None:
    facts = Facts("postgresql", (16,), (TableFact("loans", 10, 8192),))

    assert ("DG101", Risk.CRITICAL) in found(
        "CREATE TEMP TABLE loans (a int); DROP TABLE loans", facts
    )


def test_what_is_written_to_a_partition_is_not_forgotten_for_the_whole() -> None:
    tables = tuple(
        TableFact(name, 10, 8192, exact=True, partition_of=of, partitions=parts)
        for name, of, parts in (("loans", None, ("loans_1",)), ("loans_1", "loans", ()))
    )
    facts = Facts("postgresql", (16,), tables)
    fill = "INSERT INTO {} SELECT * FROM generate_series(1, 100000000)"

    assert ("DG201", Risk.LOW) in found("CREATE INDEX i ON loans_1 (a)", facts)
    for filled, built in (("loans_1", "loans"), ("loans", "loans_1")):
        text = f"{fill.format(filled)}; CREATE INDEX i ON {built} (a)"
        assert ("DG201", Risk.LOW) not in found(text, facts)


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE a ATTACH PARTITION b DEFAULT; ALTER TABLE b ATTACH PARTITION a DEFAULT; CREATE INDEX i ON a (x)",
        "ALTER TABLE a ATTACH PARTITION a DEFAULT; CREATE INDEX i ON a (x)",
    ],
)
def test_partitions_that_go_round_in_circles_are_judged(text: str) -> None:
    assert "DG201" in {rule for rule, _ in found(text)}
