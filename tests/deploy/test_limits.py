"""How long a statement may run follows from the plan's level, and is lifted where work is long by its nature."""

from dataclasses import replace

import pytest

from deployguard.config import MigrateConfig, StatementTimeout
from deployguard.deploy import limits
from deployguard.deploy.facts import plan_evidence
from deployguard.model import Json, Lock, Opacity, Opaque, Plan, Risk
from deployguard.operations import AddColumn, CreateIndex, CreateTable, Operation, WriteRows
from tests.deploy.plans import plan, verdict

ADD = AddColumn("rooms", "colour", "text")
LEVELS = MigrateConfig()


def made(*operations: Operation, risk: Risk = Risk.LOW, lock: Lock | None = None) -> Plan:
    one = verdict("b", "a", operations=operations)
    if lock is not None:
        one = replace(one, locks=(lock,))
    return replace(plan(one), risk=risk, dialect="postgresql")


def seconds(settings: MigrateConfig, what: Plan) -> int:
    evidence: dict[str, Json] = plan_evidence(what, needs_backup=False)
    return limits.statement_timeout(settings, evidence)


@pytest.mark.parametrize(
    ("risk", "allowed"), [(Risk.LOW, 60), (Risk.MEDIUM, 300), (Risk.HIGH, 1800), (Risk.CRITICAL, 0)]
)
def test_the_level_of_the_plan_decides(risk: Risk, allowed: int) -> None:
    assert seconds(LEVELS, made(ADD, risk=risk)) == allowed


def test_a_level_can_be_configured_and_a_number_holds_for_all() -> None:
    table = MigrateConfig(statement_timeout=StatementTimeout(low=7, high=0))
    assert seconds(table, made(ADD)) == 7
    assert seconds(table, made(ADD, risk=Risk.MEDIUM)) == 300
    assert seconds(table, made(ADD, risk=Risk.HIGH)) == 0
    number = MigrateConfig(statement_timeout=9)
    assert seconds(number, made(ADD, risk=Risk.CRITICAL)) == 9


@pytest.mark.parametrize(
    "work",
    [
        WriteRows("rooms", "update"),
        WriteRows("rooms", "insert", from_query=True),
        CreateTable("copy", from_query=True),
    ],
)
def test_work_whose_length_nobody_knows_has_no_limit_by_level(work: Operation) -> None:
    assert seconds(LEVELS, made(ADD, work)) == 0
    assert seconds(MigrateConfig(statement_timeout=9), made(ADD, work)) == 9  # somebody said so


def test_a_row_of_values_is_no_bulk() -> None:
    assert seconds(LEVELS, made(ADD, WriteRows("rooms", "insert"))) == 60


def test_a_revision_that_is_not_seen_completely_has_no_limit_by_level() -> None:
    one = verdict("b", "a", operations=(ADD,))
    script = replace(one.revision.up, opacities=(Opacity(Opaque.FAILED, 1, "it fails"),))
    dim = replace(one, revision=replace(one.revision, up=script))
    assert seconds(LEVELS, replace(made(ADD), verdicts=(dim,))) == 0


def test_a_concurrent_build_is_never_cut_off() -> None:
    build = CreateIndex("i", "rooms", ("size",), concurrently=True)
    assert seconds(LEVELS, made(build)) == 0
    assert seconds(MigrateConfig(statement_timeout=9), made(build)) == 0


def test_reading_a_table_without_keeping_anybody_waiting_has_no_limit() -> None:
    scan = Lock("rooms", "SHARE UPDATE EXCLUSIVE", "schema changes", "scan")
    assert seconds(LEVELS, made(ADD, lock=scan)) == 0
    shut = replace(scan, mode="ACCESS EXCLUSIVE", blocks="reads and writes")
    assert seconds(LEVELS, made(ADD, lock=shut)) == 60


def test_an_estimate_makes_room_for_itself() -> None:
    slow = Lock("rooms", "ACCESS EXCLUSIVE", "reads and writes", "rewrite", seconds=600.0)
    assert seconds(LEVELS, made(ADD, risk=Risk.HIGH, lock=slow)) == 2400
    assert seconds(LEVELS, made(ADD, risk=Risk.CRITICAL, lock=slow)) == 0


def test_the_plan_of_an_earlier_version_gets_no_limit() -> None:
    assert limits.statement_timeout(LEVELS, {"risk": "low"}) == 0


def test_a_way_back_is_only_cut_off_where_a_number_says_so() -> None:
    assert limits.downgrade_timeout(LEVELS, concurrent=False) == 0
    number = MigrateConfig(statement_timeout=9)
    assert limits.downgrade_timeout(number, concurrent=False) == 9
    assert limits.downgrade_timeout(number, concurrent=True) == 0
