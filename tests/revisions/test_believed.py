"""Without a database, the schema that the replayed history made is known to the rules, as far as it is sure."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.model import Facts
from deployguard.rules import enriched
from tests.revisions.projects import chain, reading

TABLE = 'op.create_table("pets", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))'
TEXT = 'op.execute("CREATE TABLE pets (id int PRIMARY KEY, name text)")'
LATER = 'op.create_check_constraint("named", "pets", "name IS NOT NULL", postgresql_not_valid=True)'
LATER_TEXT = (
    'op.execute("ALTER TABLE pets ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID")'
)
VALIDATE = 'op.execute("ALTER TABLE pets VALIDATE CONSTRAINT named")'
REQUIRE = 'op.alter_column("pets", "name", nullable=False)'


def known(folder: Path, *history: str, pending: str = REQUIRE) -> Facts:
    """What the rules are told when everything but the last revision is in the database."""
    found = reading(chain(folder, *history, pending), current=(f"r{len(history)}",))
    return enriched(Facts("postgresql"), found.made())


@pytest.mark.parametrize("table", [TABLE, TEXT])
@pytest.mark.parametrize("check", [LATER, LATER_TEXT])
def test_a_check_proves_nothing_before_it_is_validated(
    tmp_path: Path, table: str, check: str
) -> None:
    facts = known(tmp_path, table, check)
    assert ("pets", "name") not in facts.not_null
    assert facts.checks == {("pets", "named"): "name"}


@pytest.mark.parametrize("table", [TABLE, TEXT])
@pytest.mark.parametrize("check", [LATER, LATER_TEXT])
def test_a_validated_check_proves_that_nothing_is_null(
    tmp_path: Path, table: str, check: str
) -> None:
    assert ("pets", "name") in known(tmp_path, table, check, VALIDATE).not_null


def test_what_the_history_took_back_proves_nothing(tmp_path: Path) -> None:
    dropped = 'op.drop_constraint("named", "pets", type_="check")'
    assert ("pets", "name") not in known(tmp_path, TABLE, LATER, VALIDATE, dropped).not_null


def test_a_key_is_required_and_its_other_table_is_known(tmp_path: Path) -> None:
    toys = """
        op.create_table(
            "toys",
            sa.Column("pet", sa.Integer, sa.ForeignKey("pets.id", name="fk_pet")),
            sa.Column("size", sa.Integer),
        )
        op.create_index("ix_size", "toys", ["size"])
    """
    facts = known(tmp_path, TABLE, toys)
    assert ("pets", "id") in facts.not_null
    assert facts.references == {("toys", "fk_pet"): "pets"}
    assert facts.indexes == {"ix_size": "toys"}


@pytest.mark.parametrize(
    "parent",
    [
        'op.create_table("logs", sa.Column("day", sa.Date), postgresql_partition_by="RANGE (day)")',
        'op.execute("CREATE TABLE logs (day date, size numeric(4,2)) PARTITION BY RANGE (day)")',
    ],
)
@pytest.mark.parametrize("table", [TABLE, TEXT])
def test_it_is_known_what_is_partitioned(tmp_path: Path, parent: str, table: str) -> None:
    facts = known(tmp_path, parent, table)
    assert (facts.partitioned, facts.plain_tables) == ({"logs"}, {"pets"})


@pytest.mark.parametrize(
    ("history", "constrained"),
    [
        ("CREATE DOMAIN age AS int CHECK (VALUE > 0)", {"age"}),
        ("CREATE DOMAIN app.age int NOT NULL", {"app.age"}),
        ("CREATE DOMAIN age AS int", set()),
        ("CREATE DOMAIN age AS int; \nALTER DOMAIN age ADD CHECK (VALUE > 0) NOT VALID", {"age"}),
        ("CREATE DOMAIN age AS int; \nALTER DOMAIN age SET NOT NULL", {"age"}),
        ("CREATE DOMAIN age AS int NOT NULL; \nDROP DOMAIN age", set()),
    ],
)
def test_it_is_known_which_domains_have_a_constraint(
    tmp_path: Path, history: str, constrained: set[str]
) -> None:
    facts = known(tmp_path, TABLE, f"op.execute({history!r})")
    assert facts.domains == constrained


@pytest.mark.parametrize(
    "pending",
    [
        "ALTER TABLE pets ADD COLUMN years age",
        "CREATE INDEX named ON ONLY pets (name)",
        "ALTER DOMAIN age SET DEFAULT 1",
    ],
)
def test_the_history_is_replayed_for_what_only_it_tells(tmp_path: Path, pending: str) -> None:
    domain = "op.execute('CREATE DOMAIN age AS int NOT NULL')"
    facts = known(tmp_path, TABLE, domain, pending=f"op.execute({pending!r})")
    assert (facts.domains, facts.plain_tables) == ({"age"}, {"pets"})


def test_nothing_is_sure_after_a_block_that_nobody_reads(tmp_path: Path) -> None:
    block = 'op.execute("DO $$ BEGIN ALTER TABLE pets ALTER COLUMN name DROP NOT NULL; END $$")'
    required = REQUIRE
    assert known(tmp_path, TABLE, required, block) == Facts("postgresql")


@pytest.mark.parametrize(
    "block",
    [
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('a'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        """DO $$
        BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_type WHERE typname = 'mood') THEN
                CREATE TYPE mood AS ENUM ('a');
            END IF;
        END $$;
        """,
    ],
)
def test_a_block_that_makes_a_type_leaves_the_tables_known(tmp_path: Path, block: str) -> None:
    assert ("pets", "id") in known(tmp_path, TABLE, f"op.execute({block!r})").not_null


def test_a_block_that_makes_a_type_and_more_does_not(tmp_path: Path) -> None:
    block = "DO $$ BEGIN CREATE TYPE mood AS ENUM ('a'); PERFORM tidy_up(); END $$"
    assert known(tmp_path, TABLE, f"op.execute({block!r})") == Facts("postgresql")


LOGS = """op.create_table("logs", sa.Column("day", sa.Date), sa.Column("note", sa.Text),
    postgresql_partition_by="RANGE (day)")"""
LOGS_TEXT = 'op.execute("CREATE TABLE logs (day date, note text) PARTITION BY RANGE (day)")'
PART = (
    'op.execute("CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM (MINVALUE) TO (MAXVALUE)")'
)


@pytest.mark.parametrize("table", [LOGS, LOGS_TEXT])
def test_partitions_that_the_history_made_are_known(tmp_path: Path, table: str) -> None:
    facts = known(tmp_path, table, PART)
    assert (facts.partitioned, facts.parents) == ({"logs"}, {"logs_1": "logs"})
    assert ("logs_1", "note") in facts.nullable


def test_a_partition_follows_its_renamed_table_until_it_is_detached(tmp_path: Path) -> None:
    attach = 'op.execute("ALTER TABLE logs ATTACH PARTITION pets FOR VALUES FROM (1) TO (2)")'
    rename = 'op.rename_table("logs", "journal")'
    detach = 'op.execute("ALTER TABLE journal DETACH PARTITION pets")'
    assert known(tmp_path / "a", TABLE, LOGS, attach, rename).parents == {"pets": "journal"}
    assert known(tmp_path / "b", TABLE, LOGS, attach, rename, detach).parents == {}


def test_with_everything_pending_there_is_no_history(tmp_path: Path) -> None:
    assert reading(chain(tmp_path, TABLE, REQUIRE)).made() is None
