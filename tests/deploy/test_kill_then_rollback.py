"""Killed at every boundary of the journal, then taken back with `rollback`: one legal end, the application up."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.back import ROLLBACK
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.steps import STEPS
from deployguard.deploy.world import World
from deployguard.errors import BackupFailed, NeedsHuman, UsageError
from deployguard.model import Verdict
from deployguard.revisions.graph import build
from deployguard.revisions.location import Locations
from deployguard.state import Status
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    PENDING,
    V2,
    Production,
    critical,
    environment,
    make_world,
)
from tests.deploy.plans import CREATE, verdict
from tests.deploy.test_kill import (
    CONTRACTING,
    NOTES,
    SETTINGS,
    TO_REF,
    deploy,
    killed_at,
    legal,
    points,
)


def take_back(folder: Path, pending: Verdict, asked: RollbackOptions) -> World:
    """`rollback` in a new process; afterwards nothing is unfinished."""
    world = make_world(folder, pending=pending, settings=SETTINGS)
    saga.rollback(world, asked)
    assert world.journal.unfinished("production") is None
    return world


@pytest.mark.parametrize("pending", [PENDING, CONTRACTING], ids=["expanding", "contracting"])
@pytest.mark.parametrize(("step", "point"), points(STEPS))
def test_a_killed_deploy_is_taken_back(
    tmp_path: Path, step: str, point: str, pending: Verdict
) -> None:
    production = Production(tmp_path)
    assert killed_at(tmp_path, (step, point), deploy, pending), "the point was never reached"
    take_back(tmp_path, pending, RollbackOptions())
    # A new application that ran was put back, and what only adds to the schema stays.
    began = (step, point) == ("update-app", "after-intent")
    updated = began or f"start {V2}" in production.effects()
    assert legal(production) == ("expanded" if updated and pending is PENDING else "before")
    assert production["rows"]["rooms"] == 3  # type: ignore[index]


@pytest.mark.parametrize(("point", "nth"), NOTES)
@pytest.mark.parametrize("upgrade", ["ok", "fails"])
def test_a_deploy_killed_inside_the_migration_is_taken_back(
    tmp_path: Path, point: str, nth: int, upgrade: str
) -> None:
    production = Production(tmp_path)
    production.script(upgrade=upgrade)
    at = ("migrate", point)
    assert killed_at(tmp_path, at, deploy, PENDING, nth=nth), "the point was never reached"
    take_back(tmp_path, PENDING, RollbackOptions())
    assert legal(production) == "before"


WAYS = {
    "downgrade": (CONTRACTING, False),
    "restore": (critical(), True),
}
SKIPPED = {
    "downgrade": {"verify-again", "export", "restore", "confirm", "open-up", *TO_REF},
    "restore": {"checkout", "downgrade", "safety-net", "look-again", "open-up", "export", *TO_REF},
}


@pytest.mark.parametrize(
    ("way", "step", "point"),
    [(way, *at) for way in WAYS for at in points(ROLLBACK) if at[0] not in SKIPPED[way]],
)
def test_a_killed_rollback_is_followed_by_another(
    tmp_path: Path, way: str, step: str, point: str
) -> None:
    pending, restore = WAYS[way]
    production = Production(tmp_path)
    world = make_world(tmp_path, pending=pending, settings=SETTINGS)
    deploy(world)
    name = world.journal.history("production")[0].id
    world.journal.close()
    asked = RollbackOptions(name, restore=restore, confirm=name)

    def back(world: World) -> object:
        return saga.rollback(world, asked)

    assert killed_at(tmp_path, (step, point), back, pending), "the point was never reached"
    if make_world(tmp_path).journal.get(name).status is not Status.ROLLED_BACK:  # type: ignore[union-attr]
        take_back(tmp_path, pending, asked)
    else:
        saga.resume(make_world(tmp_path, pending=pending, settings=SETTINGS))
    assert legal(production) == "before"
    assert production["rows"] == {"rooms": 3}


def downgrading(folder: Path) -> tuple[Production, str]:
    """A deploy in service that a downgrade takes back, after an emergency backup; its id."""
    production = Production(folder)
    world = make_world(folder, pending=CONTRACTING, settings=SETTINGS)
    deploy(world)
    name = world.journal.history("production")[0].id
    world.journal.close()
    return production, name


def test_half_an_emergency_backup_goes_with_the_rollback_that_is_given_up(tmp_path: Path) -> None:
    production, name = downgrading(tmp_path)
    asked = RollbackOptions(name, to=BEFORE, confirm=name)
    at = ("safety-net", "after-intent")
    assert killed_at(tmp_path, at, lambda w: saga.rollback(w, asked), CONTRACTING)
    assert "sweep" not in production.effects()
    take_back(tmp_path, CONTRACTING, asked)
    assert production.effects().count("sweep") == 1
    assert legal(production) == "before"


def test_half_an_emergency_backup_goes_when_the_rollback_stops_before_its_first_change(
    tmp_path: Path,
) -> None:
    production, name = downgrading(tmp_path)
    production.script(backup="fails")
    world = make_world(tmp_path, pending=CONTRACTING, settings=SETTINGS)
    with pytest.raises(BackupFailed):
        saga.rollback(world, RollbackOptions(name, to=BEFORE, confirm=name))
    assert production.effects()[-1] == "sweep"
    assert world.journal.history("production")[0].status is Status.FAILED


def stopped(folder: Path, **script: object) -> tuple[Production, World, Verdict]:
    """A deploy that never touched the application, whose way back stopped it and failed."""
    production = Production(folder)
    production.script(upgrade="leaves-residue", **script)
    pending = critical()
    return production, make_world(folder, pending=pending, settings=SETTINGS), pending


def test_an_application_that_an_earlier_way_back_stopped_is_started_by_the_next(
    tmp_path: Path,
) -> None:
    production, world, pending = stopped(tmp_path, restore="fails")
    with pytest.raises(NeedsHuman, match="The way back failed"):
        deploy(world)
    assert production["up"] is False
    production.change(schema="old")  # a person mends what was left, and takes the deploy back
    take_back(tmp_path, pending, RollbackOptions())
    assert legal(production) == "before"


def test_a_second_rollback_starts_what_the_first_one_stopped(tmp_path: Path) -> None:
    production, world, pending = stopped(tmp_path, writes="unknown")
    with pytest.raises(NeedsHuman, match="without a person"):
        deploy(world)
    name = world.journal.history("production")[0].id
    world.journal.close()

    def back(world: World) -> object:
        return saga.rollback(
            world, RollbackOptions(name, restore=True, confirm=name, without_export=True)
        )

    assert killed_at(tmp_path, ("app-back", "before-intent"), back, pending)
    assert production["up"] is False
    take_back(tmp_path, pending, RollbackOptions(name))
    assert legal(production) == "before"


def test_an_application_that_somebody_else_stopped_is_told(tmp_path: Path) -> None:
    production, world, pending = stopped(tmp_path, writes="unknown")
    with pytest.raises(NeedsHuman):
        deploy(world)
    production.change(schema="old", up=False)
    without_urls = environment(urls=())
    world = make_world(tmp_path, pending=pending, settings=without_urls)
    assert "THE APPLICATION IS STOPPED" in saga.rollback(world, RollbackOptions()).summary


@pytest.mark.parametrize(
    ("to", "why"),
    [("typo", "typo"), ("-1", "-1"), ("c", "does not come after it"), ("d", "another branch")],
)
def test_a_revision_that_cannot_be_gone_back_to_is_refused_before_anything_is_stopped(
    tmp_path: Path, to: str, why: str
) -> None:
    # a ← b ← c (not applied); d beside them
    follows = {"a": None, "b": ("a", "d"), "c": "b", "d": None}
    files = [
        (Path(f"{one}.py"), f"revision = {one!r}\ndown_revision = {above!r}\n".encode())
        for one, above in follows.items()
    ]
    production = Production(tmp_path)
    pending = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
    world = make_world(tmp_path, pending=pending, settings=SETTINGS)
    deploy(world)
    name = world.journal.history("production")[0].id
    effects = production.effects()
    world = replace(world, graph=lambda: build(Locations(Path(), ()), files))
    with pytest.raises(UsageError, match=why):
        saga.rollback(world, RollbackOptions(name, to=to, confirm=name))
    # The commit that was deployed is checked out, since a downgrade would run from there; that changes nothing.
    assert [one for one in production.effects()[len(effects) :] if one != "checkout"] == []
    assert world.journal.unfinished("production") is None
