"""What may stay of a revision that fails, and so what may be run again and when lock_timeout may be lifted."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.atomic import non_atomic, unseen
from deployguard.deploy.facts import may_stay, plan_evidence, planned, straight
from deployguard.deploy.step import Evidence
from deployguard.migrators.base import Job, Started
from deployguard.model import Body, Lock, Opacity, Opaque, Script, Statement, Verdict
from deployguard.operations import (
    AddColumn,
    AddEnumValue,
    ControlTransaction,
    CreateIndex,
    Operation,
    SetSetting,
    WriteRows,
)
from deployguard.operations import DropColumn as Drop
from tests.deploy.asking import AUTO
from tests.deploy.fakes import Recorder, make_world
from tests.deploy.plans import ADD, DROP, plan, verdict
from tests.deploy.production import FakeMigrator

BUILD = CreateIndex("ix", "rooms", ("size",), concurrently=True)
UPDATE = WriteRows("rooms", "update")


def script(*parts: tuple[Operation, bool], opacities: tuple[Opacity, ...] = ()) -> Script:
    statements = tuple(Statement("…", n, (one,), inside) for n, (one, inside) in enumerate(parts))
    return Script(Body.PRESENT, 1, statements, opacities)


def opaque(code: Opaque, *, writes: bool = False) -> tuple[Opacity, ...]:
    return (Opacity(code, 1, "why", writes),)


@pytest.mark.parametrize(
    ("given", "dialect", "stays", "rows"),
    [
        (script((ADD, True), (UPDATE, True)), "postgresql", False, False),
        (script((UPDATE, False), (ADD, True)), "postgresql", True, True),
        (script((BUILD, False)), "postgresql", True, False),
        (script((AddEnumValue("status", "late"), False)), "postgresql", True, False),
        (
            script((SetSetting("lock_timeout", "5s"), False), (ADD, True)),
            "postgresql",
            False,
            False,
        ),
        (script((UPDATE, True), (ControlTransaction("commit"), True)), "postgresql", True, True),
        (script((ControlTransaction("savepoint"), True)), "postgresql", False, False),
        (script(opacities=opaque(Opaque.UNSEEN_WRITES)), "postgresql", True, True),
        (script(opacities=opaque(Opaque.EXTERNAL_INPUT)), "postgresql", True, True),
        (script(opacities=opaque(Opaque.DATA_DEPENDENT, writes=True)), "postgresql", True, True),
        (script(opacities=opaque(Opaque.DATA_DEPENDENT)), "postgresql", False, False),
        (script((ADD, True)), "sqlite", False, False),
        (script((ADD, True), (DROP, True)), "sqlite", True, False),
        (script((UPDATE, True), (UPDATE, True)), "sqlite", False, False),
        (script((ADD, True), (UPDATE, True)), "mysql", True, True),
    ],
)
def test_what_may_stay_of_a_script_that_fails(
    given: Script, dialect: str, stays: bool, rows: bool
) -> None:
    assert bool(non_atomic(given, dialect)) is stays
    assert unseen(given, dialect) is rows


def of(*verdicts: Verdict) -> Evidence:
    return dict(plan_evidence(plan(*verdicts), needs_backup=False))


def outside(name: str, parent: str, operation: Operation) -> Verdict:
    made = verdict(name, parent, operations=(operation,))
    return replace(made, revision=replace(made.revision, up=script((operation, False))))


def test_only_a_revision_that_can_have_begun_keeps_the_others_from_being_run_again() -> None:
    revisions = planned(of(verdict("b", "a"), outside("c", "b", BUILD)))
    assert may_stay(revisions, ()) == ("", False)
    why, rows = may_stay(revisions, revisions[:1])
    assert (why.startswith("c: a part of it is committed"), rows) == (True, False)
    assert may_stay(revisions, revisions) == ("", False)


def test_rows_may_be_changed_by_any_of_them_for_some_projects_run_all_in_one_transaction() -> None:
    revisions = planned(of(verdict("b", "a"), outside("c", "b", UPDATE)))
    why, rows = may_stay(revisions, ())
    assert (why[:2], rows) == ("c:", True)


def test_a_plan_that_does_not_say_is_not_taken_for_harmless() -> None:
    evidence = of(verdict("b", "a"))
    for item in evidence["revisions"]:  # type: ignore[attr-defined]
        for key in ("non_atomic", "unseen", "down_non_atomic"):
            del item[key]
    [revision] = planned(evidence)
    assert revision.non_atomic
    assert revision.unseen
    assert revision.down_non_atomic


def test_a_downgrade_is_straight_only_along_one_line() -> None:
    revisions = planned(of(verdict("b", "a"), verdict("y", "x")))
    assert straight(("a",), revisions[:1])
    assert straight((), revisions)
    assert not straight(("a",), revisions)  # a downgrade to a leaves y where it is
    assert not straight(("a", "x"), revisions[:1])


def locking(name: str, parent: str) -> Verdict:
    made = verdict(name, parent, operations=(AddColumn("rooms", "a", "text"), Drop("rooms", "b")))
    return replace(made, locks=(Lock("rooms", "ACCESS EXCLUSIVE", "reads and writes"),))


@pytest.mark.parametrize(
    ("run", "lifted", "mixed"),
    [
        ((outside("b", "a", BUILD),), True, False),
        ((verdict("b", "a"), outside("c", "b", BUILD)), True, False),  # b touches nothing of before
        ((locking("b", "a"), outside("c", "b", BUILD)), False, True),
        ((outside("b", "a", BUILD), locking("c", "b")), False, True),
        ((locking("b", "a"),), False, False),
    ],
)
def test_lock_timeout_is_lifted_only_where_nothing_but_a_concurrent_build_waits_for_locks(
    run: tuple[Verdict, ...], lifted: bool, mixed: bool
) -> None:
    evidence = of(*run)
    assert (evidence["unlimited_up"], evidence["mixed_up"]) == (lifted, mixed)


@pytest.mark.parametrize("lifted", [True, False])
def test_a_run_that_mixes_is_told_and_keeps_the_lock_timeout(tmp_path: Path, lifted: bool) -> None:
    pending = locking("b", "a")
    if lifted:
        pending = outside("b", "a", BUILD)
    else:
        both = script((ADD, True), (BUILD, False))
        pending = replace(pending, revision=replace(pending.revision, up=both))
    world = make_world(tmp_path, pending=pending)
    jobs: list[Job] = []
    start = world.migrator.start

    class Seeing(FakeMigrator):
        def start(self, job: Job) -> Started:
            jobs.append(job)
            return start(job)

    assert isinstance(world.migrator, FakeMigrator)
    world = replace(world, migrator=Seeing(world.migrator.world))
    saga.deploy(world, AUTO)
    assert [job.lock_timeout for job in jobs] == [0 if lifted else None]
    assert isinstance(world.reporter, Recorder)
    told = any("lock_timeout stays" in text for kind, text in world.reporter.told)
    assert told is not lifted
