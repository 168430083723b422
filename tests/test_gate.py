"""The gate: what may run, and what exactly an approval covers."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployguard import gate
from deployguard.config import Policy
from deployguard.gate import Mode, decide
from deployguard.model import (
    Allowed,
    Approval,
    ApprovalMode,
    BackupMode,
    Body,
    Denied,
    Facts,
    Opacity,
    Opaque,
    Plan,
    Requirement,
    Risk,
    Script,
    Statement,
    TableFact,
    Verdict,
)
from deployguard.rules import judge
from deployguard.sql import lower
from tests.deploy.plans import CREATE, plan, verdict

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
DANGEROUS = (Risk.HIGH, Risk.CRITICAL)


def approval(of: Plan, **changes: object) -> Approval:
    values: dict[str, object] = {
        "plan_digest": of.digest,
        "by": "ann",
        "reason": "",
        "at": NOW - timedelta(hours=1),
        "expires": None,
    } | changes
    return Approval(**values)  # type: ignore[arg-type]


def answer(of: Plan, given: Approval | None = None, mode: Mode = Mode.AUTO) -> Allowed | Denied:
    return decide(of, Policy(), given, NOW, mode)


def test_low_risk_goes_through_by_itself() -> None:
    assert isinstance(answer(plan(verdict(risk=Risk.LOW))), Allowed)


def test_medium_goes_through_and_says_that_it_should_have_been_reviewed() -> None:
    decision = answer(plan(verdict(risk=Risk.MEDIUM)))
    assert isinstance(decision, Allowed)
    assert "reviewed in the pull request" in decision.because


@pytest.mark.parametrize("risk", DANGEROUS)
def test_high_and_critical_need_an_approval(risk: Risk) -> None:
    asked = plan(verdict(risk=risk))
    decision = answer(asked)
    assert isinstance(decision, Denied)
    assert decision.needs_approval
    given = answer(asked, approval(asked, reason="looked at it"))
    assert given == Allowed("approved by ann: looked at it")


@pytest.mark.parametrize("risk", list(Risk))
def test_manual_mode_always_asks(risk: Risk) -> None:
    asked = plan(verdict(risk=risk))
    assert isinstance(answer(asked, mode=Mode.MANUAL), Denied)
    assert isinstance(answer(asked, approval(asked), Mode.MANUAL), Allowed)


@pytest.mark.parametrize("mode", list(Mode))
def test_nothing_pending_needs_nobody(mode: Mode) -> None:
    assert isinstance(answer(plan(), mode=mode), Allowed)


def test_a_skipped_migration_needs_nobody() -> None:
    assert isinstance(answer(plan(verdict(risk=Risk.CRITICAL)), mode=Mode.SKIP), Allowed)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plan_digest": "0" * 64}, "the plan is now"),
        ({"expires": NOW - timedelta(seconds=1)}, "expired"),
        ({"expires": NOW}, "expired"),
        ({"at": NOW - timedelta(hours=25)}, "expired"),
        ({"at": NOW + timedelta(hours=1)}, "future"),
    ],
)
def test_an_approval_that_does_not_count_is_refused_with_the_reason(
    changes: dict[str, object], reason: str
) -> None:
    asked = plan(verdict(risk=Risk.CRITICAL))
    decision = answer(asked, approval(asked, **changes))
    assert isinstance(decision, Denied)
    assert decision.needs_approval
    assert reason in decision.reasons[0]


def test_an_approval_holds_as_long_as_it_says() -> None:
    asked = plan(verdict(risk=Risk.CRITICAL))
    old = approval(asked, at=NOW - timedelta(days=6), expires=NOW + timedelta(days=1))
    assert isinstance(answer(asked, old), Allowed)


def test_a_digest_may_be_abbreviated_to_twelve_digits() -> None:
    asked = plan(verdict())
    assert gate.is_approved_by(asked.digest, asked)
    assert gate.is_approved_by(asked.digest[:12].upper(), asked)
    assert gate.is_approved_by(f" sha256:{asked.digest} ", asked)
    assert not gate.is_approved_by(asked.digest[:11], asked)
    assert not gate.is_approved_by("", asked)
    assert not gate.is_approved_by("g" * 12, asked)
    assert not gate.is_approved_by(asked.digest + "0", asked)


def test_the_digest_is_the_same_each_time() -> None:
    assert plan(verdict()).digest == plan(verdict()).digest
    assert len(plan(verdict()).digest) == 64


def test_the_digest_covers_everything_that_an_approver_approves() -> None:
    lenient = Policy(
        ladder={**Policy().ladder, Risk.LOW: Requirement(ApprovalMode.REVIEW, BackupMode.OPTIONAL)}
    )
    opaque = Opacity(Opaque.PROCEDURAL, 3, "a DO block")
    digests = [
        plan(verdict()).digest,
        plan(verdict(), environment="staging").digest,
        plan(verdict(), identity="server/2").digest,
        plan(verdict(), current=("z",)).digest,
        plan(verdict(), policy=lenient).digest,
        plan(verdict(name="c")).digest,
        plan(verdict(parent="z")).digest,
        plan(verdict(file="edited")).digest,
        plan(verdict(sql="ALTER TABLE rooms ADD COLUMN colour varchar")).digest,
        plan(verdict(risk=Risk.CRITICAL)).digest,
        plan(verdict(opacities=(opaque,))).digest,
        plan(verdict(), verdict(name="c", parent="b")).digest,
    ]
    assert len(set(digests)) == len(digests)


def test_sentences_may_change_without_voiding_an_approval() -> None:
    first = plan(verdict(risk=Risk.HIGH, message="rooms has about 12 rows"), notes=("a",))
    second = plan(verdict(risk=Risk.HIGH, message="rooms has about 13 rows"), notes=("b",))
    assert first.digest == second.digest


def test_sql_that_differs_on_every_reading_does_not_void_an_approval() -> None:
    clock = (Opacity(Opaque.EXTERNAL_INPUT, 12, "datetime.now()"),)
    first = plan(verdict(sql="UPDATE t SET at = '10:30:01'", opacities=clock))
    second = plan(verdict(sql="UPDATE t SET at = '10:30:02'", opacities=clock))
    assert first.digest == second.digest
    assert plan(verdict(file="edited", opacities=clock)).digest != first.digest


def test_sql_that_comes_of_a_file_is_what_was_approved() -> None:
    read = (
        Opacity(Opaque.EXTERNAL_INPUT, 12, "it reaches for the file rows.sql"),
        Opacity(Opaque.EXTERNAL_INPUT, 12, "it depends on read_text"),
    )
    first = plan(verdict(sql="DELETE FROM t WHERE a", opacities=read))
    assert plan(verdict(sql="DELETE FROM t WHERE b", opacities=read)).digest != first.digest


def test_the_order_in_which_alembic_walks_through_its_sets_does_not_void_an_approval() -> None:
    def batch(*texts: str) -> str:
        up = Script(Body.PRESENT, 10, tuple(Statement(text, 11, ()) for text in texts))
        one = verdict()
        return plan(replace(one, revision=replace(one.revision, up=up))).digest

    move = "ALTER TABLE _alembic_tmp_t RENAME TO t"
    one = batch(
        "CREATE TABLE _alembic_tmp_t (\n\ta INT, \n\tUNIQUE (a), \n\tCHECK (a > 0)\n)", move
    )
    other = batch(
        "CREATE TABLE _alembic_tmp_t (\n\ta INT, \n\tCHECK (a > 0), \n\tUNIQUE (a)\n)", move
    )
    third = batch(
        "CREATE TABLE _alembic_tmp_t (\n\ta INT, \n\tCHECK (a > 1), \n\tUNIQUE (a)\n)", move
    )
    assert one == other
    assert one != third
    assert batch("A", "B") != batch("B", "A")


@pytest.mark.parametrize(
    ("risk", "asked", "needed"),
    [
        (None, False, False),
        (None, True, True),
        (Risk.LOW, False, False),
        (Risk.LOW, True, True),
        (Risk.MEDIUM, False, False),
        (Risk.HIGH, False, True),
        (Risk.CRITICAL, False, True),
    ],
)
def test_which_plans_need_a_backup(risk: Risk | None, asked: bool, needed: bool) -> None:
    of = plan(verdict(risk=risk)) if risk else plan()
    assert gate.needs_backup(of, asked=asked) is needed


def test_the_worst_revision_decides() -> None:
    of = plan(verdict(risk=Risk.CRITICAL), verdict(name="c", parent="b", risk=Risk.LOW))
    assert of.risk is Risk.CRITICAL
    assert of.requirement == Requirement(ApprovalMode.APPROVAL, BackupMode.REQUIRED)


def test_the_plan_document_is_json_and_names_operations() -> None:
    text = json.dumps(gate.document(plan(verdict(operations=(CREATE,), risk=Risk.HIGH))))
    document = json.loads(text)
    [entry] = document["verdicts"]
    assert entry["risk"] == "high"
    assert entry["revision"]["up"]["statements"][0]["operations"][0]["operation"] == "CreateTable"
    assert document["requirement"] == {"approval": "approval", "backup": "required"}


def accepted(one: Verdict) -> Verdict:
    return replace(one, findings=tuple(replace(f, accepted="known") for f in one.findings))


@pytest.mark.parametrize("risk", DANGEROUS)
def test_an_accepted_finding_still_needs_approval_and_backup(risk: Risk) -> None:
    of = plan(accepted(verdict(risk=risk)))
    assert (of.risk, of.open_risk) == (risk, Risk.LOW)
    decision = answer(of)
    assert isinstance(decision, Denied)
    assert "whatever of it is accepted" in decision.reasons[0]
    assert gate.needs_backup(of, asked=False)


def test_accepting_a_finding_voids_an_approval() -> None:
    assert plan(accepted(verdict(risk=Risk.HIGH))).digest != plan(verdict(risk=Risk.HIGH)).digest


def test_estimates_do_not_void_an_approval_and_a_level_that_they_change_does() -> None:
    def digest(*, rows: int, size: int, other: int = 8192) -> str:
        up = Script(
            Body.PRESENT,
            10,
            tuple(
                Statement(t, 11, o) for t, o in lower("CREATE INDEX ix ON rooms (a)", "postgresql")
            ),
        )
        revision = replace(verdict().revision, up=up)
        tables = (TableFact("rooms", rows, size), TableFact("guests", 5, other, exact=True))
        (judged,) = judge((revision,), Facts("postgresql", tables=tables))
        (lock,) = judged.locks
        estimates.add((lock.seconds, lock.basis))
        return plan(judged).digest

    estimates: set[tuple[float | None, str]] = set()
    medium = digest(rows=1_000_000, size=200_000_000)
    assert digest(rows=2_000_000, size=400_000_000) == medium
    assert digest(rows=1_000_000, size=200_000_000, other=10**10) == medium
    assert digest(rows=-1, size=-1) == medium, "an unknown size changes no level"
    assert len(estimates) == 3, "the locks said something else each time"
    low = digest(rows=3, size=8192)
    high = digest(rows=100_000_000, size=20 * 10**9)
    assert len({low, medium, high}) == 3
    assert digest(rows=9, size=65536) == low
