"""Retries, signals, and what a deploy that was cut off means for the next one."""

import dataclasses
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    Busy,
    Interrupted,
    NeedsHuman,
    RolledBack,
    UsageError,
)
from deployguard.state import EventKind, Kind, Status
from tests.deploy.asking import AUTO, approved, last, untouched
from tests.deploy.fakes import (
    V2,
    Production,
    critical,
    make_world,
)


def test_a_lock_that_is_not_free_is_tried_again(world: World, production: Production) -> None:
    production.script(upgrade=["locked", "locked", "ok"])
    assert saga.deploy(world, AUTO).status is Status.DONE
    assert production.effects()[:3] == ["upgrade locked", "upgrade locked", "upgrade ok"]
    assert production["runs"] == {}


def test_retries_are_bounded(world: World, production: Production) -> None:
    production.script(upgrade="locked")
    with pytest.raises(RolledBack, match="lock timeout"):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade locked"] * 3


def test_another_error_is_not_tried_again(world: World, production: Production) -> None:
    production.script(upgrade="fails")
    with pytest.raises(RolledBack):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade fails"]


def test_ctrl_c_during_the_migration_stops_it_and_decides(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, interrupts=["once"])
    production.script(upgrade="runs")
    with pytest.raises(RolledBack, match="was stopped on request"):
        saga.deploy(world, AUTO)
    assert production.effects() == ["upgrade runs", "cancel"]
    untouched(production)


def test_a_second_ctrl_c_leaves_the_journal_for_resume(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, interrupts=["once", "twice"])
    production.script(upgrade="runs")
    with pytest.raises(Interrupted) as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == 130
    assert caught.value.next_commands[0] == "deployguard resume --env production"
    assert last(world) is Status.INTERRUPTED
    with pytest.raises(RolledBack):
        saga.resume(make_world(tmp_path))
    untouched(production)


def test_ctrl_c_before_the_first_change_leaves_nothing_unfinished(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="before anything was changed"):
        saga.deploy(dataclasses.replace(world, assess=interrupted), AUTO)  # type: ignore[arg-type]
    assert last(world) is Status.FAILED


def test_a_second_deploy_is_refused_while_one_is_unfinished(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    row = world.journal.begin("production", Kind.DEPLOY, "bob")
    with pytest.raises(Busy) as caught:
        saga.deploy(world, AUTO)
    assert caught.value.exit_code == 23
    assert row.id in caught.value.message
    assert "deployguard resume --env production" in caught.value.next_commands
    untouched(production)


def test_nothing_to_resume_is_said(world: World) -> None:
    with pytest.raises(UsageError, match="Nothing is unfinished"):
        saga.resume(world)


def test_resume_before_the_first_change_refuses_another_plan(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    row = world.journal.begin("production", Kind.DEPLOY, "ann", {"mode": "auto"})
    world.journal.record(row.id, "plan", EventKind.DONE, {"digest": "f" * 64})
    with pytest.raises(ApprovalMissing, match="has changed since"):
        saga.resume(world)
    assert last(world) is Status.FAILED
    untouched(production)


def test_a_person_may_close_what_was_put_right_by_hand(
    world: World, production: Production
) -> None:
    production.script(upgrade="fails", survivors=["4711"], terminate="impossible")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, AUTO)
    outcome = saga.close(world, "looked at it")
    assert "closed by hand by ann" in outcome.summary
    assert world.journal.unfinished("production") is None


def test_a_person_may_go_forward_after_putting_right_what_failed(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    options = approved(world)
    production.script(sick=[V2], writes="unknown")
    with pytest.raises(NeedsHuman):
        saga.deploy(world, options)
    production.script(sick=[])
    assert saga.resume(world, forward=True).status is Status.DONE
    assert production["release"] == V2
