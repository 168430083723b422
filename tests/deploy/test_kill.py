"""Killed at every boundary of the journal, then resumed: one legal end, and each effect once.

The cases are made from the step tables. The judge is the production file, not what the program says of itself.
"""

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deployguard.config import OffsiteConfig, QuiesceConfig
from deployguard.deploy import saga
from deployguard.deploy.back import RECOVERY, ROLLBACK
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.steps import STEPS
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, RolledBack
from deployguard.gate import Mode
from deployguard.model import Verdict
from deployguard.state import UNFINISHED, Kind, Status
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    PENDING,
    V1,
    V2,
    KillingJournal,
    Production,
    critical,
    environment,
    make_world,
)
from tests.deploy.plans import CREATE, verdict
from tests.deploy.production import COMMIT

POINTS = ("before-intent", "after-intent", "before-done", "after-done")
CONTRACTING = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
SETTINGS = environment(
    verify_sql=("SELECT 1",),
    bake=1.0,
    offsite=OffsiteConfig(url="file:///nas", required=True),
    quiesce=QuiesceConfig(level="low", services=("cron",), maintenance_file="maintenance"),
)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked process; its wait status."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except DeployguardError as error:
            os._exit(error.exit_code)
        except BaseException:  # noqa: BLE001 - see below
            traceback.print_exc()
            os._exit(99)  # a forked test runner must never run on
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def killed_at(
    folder: Path,
    at: tuple[str, str],
    work: Callable[[World], object],
    pending: Verdict,
    how: Callable[[], None] = die,
    *,
    nth: int = 1,
) -> bool:
    """Whether the point was reached, and the process died there (or ended in an orderly way, by SIGTERM)."""

    def child() -> None:
        journal = KillingJournal(folder, at, how, nth)
        work(make_world(folder, pending=pending, journal=journal, settings=SETTINGS))

    status = in_child(child)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) in (0, 21, 130), at
    return os.WEXITSTATUS(status) == 130


def finish(folder: Path, pending: Verdict) -> Status:
    """Resume in a new process, if anything is unfinished; how the run ended."""
    world = make_world(folder, pending=pending, settings=SETTINGS)
    for _ in range(3):
        if world.journal.unfinished("production") is None:
            break
        with suppress(RolledBack):
            saga.resume(world)
    assert world.journal.unfinished("production") is None
    rows = world.journal.history("production")
    world.journal.close()
    return rows[0].status if rows else Status.FAILED


def points(*tables: tuple[object, ...]) -> list[tuple[str, str]]:
    names = dict.fromkeys(step.name for table in tables for step in table)  # type: ignore[attr-defined]
    return [(name, point) for name in names for point in POINTS]


def legal(production: Production) -> str:
    """Which of the two legal worlds this is; fails when it is neither."""
    seen = production.read()
    assert seen["up"] is True
    assert (seen["cron"], seen["closed"]) == (True, False), "still held still"
    assert seen["runs"] == {}, "a stray container"
    assert seen["checkouts"] == [], "a stray checkout"
    assert seen["names"] == {"app:latest": seen["release"]}, "compose would start something else"
    assert seen["slots"] == [], "a slot that keeps the server's log"
    world = (seen["revision"], seen["schema"], seen["release"])
    ends = {
        "before": ([BEFORE], "old", V1),
        "after": ([AFTER], "new", V2),
        "expanded": ([AFTER], "new", V1),
    }
    [name] = [name for name, end in ends.items() if end == world] or [f"illegal: {world}"]
    assert not name.startswith("illegal"), name
    return name


def once(production: Production, *effects: str) -> None:
    for effect in effects:
        assert production.effects().count(effect) <= 1, production.effects()


def deploy(world: World) -> object:
    digest = world.assess().digest
    return saga.deploy(
        world, DeployOptions(Mode.AUTO, health_check=True, backup=True, approve=digest, ref="v2")
    )


@pytest.mark.parametrize(("step", "point"), points(STEPS))
def test_a_killed_deploy_goes_on_where_it_was(tmp_path: Path, step: str, point: str) -> None:
    production = Production(tmp_path)
    assert killed_at(tmp_path, (step, point), deploy, PENDING), "the point was never reached"
    status = finish(tmp_path, PENDING)
    assert (status, legal(production)) == (Status.DONE, "after")
    once(production, "backup pre-deploy", "copy pre-deploy", "upgrade ok", f"start {V2}")
    assert list(production["tags"].values()) == [COMMIT]  # type: ignore[attr-defined]
    assert len(production["copies"]) == 1  # type: ignore[arg-type]
    assert production["rows"] == {"rooms": 3, "notes": 0}


WAYS_BACK = {
    "application only": (PENDING, "expanded"),
    "downgrade": (CONTRACTING, "before"),
    "restore": (critical(), "before"),
}


def reached(way: str) -> list[tuple[str, str]]:
    """The points that a deploy which goes back this way passes."""
    skipped = {
        "application only": {
            "verify-again",
            "stop-app",
            "look-again",
            "downgrade",
            "export",
            "restore",
            "schema-back",
        },
        "downgrade": {"verify-again", "export", "restore"},
        "restore": {"downgrade"},
    }[way]
    return [(step, point) for step, point in points(RECOVERY) if step not in skipped]


@pytest.mark.parametrize(
    ("way", "step", "point"), [(way, *point) for way in WAYS_BACK for point in reached(way)]
)
def test_a_killed_way_back_goes_on_where_it_was(
    tmp_path: Path, way: str, step: str, point: str
) -> None:
    pending, end = WAYS_BACK[way]
    production = Production(tmp_path)
    production.script(sick=[V2])
    assert killed_at(tmp_path, (step, point), deploy, pending), "the point was never reached"
    status = finish(tmp_path, pending)
    assert (status, legal(production)) == (Status.ROLLED_BACK, end)
    once(
        production,
        "backup pre-deploy",
        "upgrade ok",
        f"start {V2}",
        "stop",
        "downgrade ok",
        "restore",
        f"start {V1}",
    )
    assert production["rows"]["rooms"] == 3  # type: ignore[index]


ROLLBACKS = {
    "downgrade": (CONTRACTING, lambda deploy: RollbackOptions(to=BEFORE, confirm=deploy)),
    "restore": (critical(), lambda deploy: RollbackOptions(restore=True, confirm=deploy)),
    "to a commit": (CONTRACTING, lambda _: RollbackOptions(to_ref="v1")),
}
TO_REF = {"checkout-ref", "emergency-tag", "build"}


def rollback_points(way: str) -> list[tuple[str, str]]:
    skipped = {
        "downgrade": {"verify-again", "export", "restore", "confirm", "open-up", *TO_REF},
        "restore": {
            "checkout",
            "downgrade",
            "safety-net",
            "look-again",
            "open-up",
            "export",
            *TO_REF,
        },
        "to a commit": {"verify-again", "export", "restore", "confirm", "open-up"},
    }[way]
    return [(step, point) for step, point in points(ROLLBACK) if step not in skipped]


@pytest.mark.parametrize(
    ("way", "step", "point"),
    [(way, *point) for way in ROLLBACKS for point in rollback_points(way)],
)
def test_a_killed_rollback_goes_on_where_it_was(
    tmp_path: Path, way: str, step: str, point: str
) -> None:
    pending, ask = ROLLBACKS[way]
    production = Production(tmp_path)
    world = make_world(tmp_path, pending=pending, settings=SETTINGS)
    deploy(world)
    name = world.journal.history("production")[0].id
    world.journal.close()
    assert killed_at(tmp_path, (step, point), lambda w: saga.rollback(w, ask(name)), pending), (
        "the point was never reached"
    )
    assert finish(tmp_path, pending) is Status.DONE
    assert legal(production) == "before"
    once(production, "backup emergency", "stop", "downgrade ok", "restore", f"start {V1}")
    world = make_world(tmp_path, pending=pending)
    taken_back = world.journal.get(name)
    assert taken_back is not None
    assert taken_back.status is Status.ROLLED_BACK
    assert [row.kind for row in world.journal.history("production")] == [
        Kind.ROLLBACK,
        Kind.DEPLOY,
    ]


NOTES = [(point, nth) for point in ("before-note", "after-note") for nth in (1, 2, 3)]


@pytest.mark.parametrize(("point", "nth"), NOTES)
def test_a_deploy_killed_inside_the_migration_goes_on_where_it_was(
    tmp_path: Path, point: str, nth: int
) -> None:
    production = Production(tmp_path)
    at = ("migrate", point)
    assert killed_at(tmp_path, at, deploy, PENDING, nth=nth), "the point was never reached"
    assert (finish(tmp_path, PENDING), legal(production)) == (Status.DONE, "after")
    once(production, "upgrade ok", f"start {V2}")


@pytest.mark.parametrize(("point", "nth"), NOTES)
def test_a_failed_migration_killed_inside_is_taken_back(
    tmp_path: Path, point: str, nth: int
) -> None:
    production = Production(tmp_path)
    production.script(upgrade="fails")
    at = ("migrate", point)
    assert killed_at(tmp_path, at, deploy, PENDING, nth=nth), "the point was never reached"
    assert (finish(tmp_path, PENDING), legal(production)) == (Status.ROLLED_BACK, "before")
    once(production, "upgrade fails")


@pytest.mark.parametrize(("point", "nth"), NOTES)
def test_a_downgrade_killed_inside_goes_on_where_it_was(
    tmp_path: Path, point: str, nth: int
) -> None:
    production = Production(tmp_path)
    production.script(sick=[V2])
    at = ("downgrade", point)
    assert killed_at(tmp_path, at, deploy, CONTRACTING, nth=nth), "the point was never reached"
    assert (finish(tmp_path, CONTRACTING), legal(production)) == (Status.ROLLED_BACK, "before")
    once(production, "downgrade ok", f"start {V1}")


@pytest.mark.parametrize("nth", range(1, 6))
def test_a_deploy_killed_between_retries_goes_on_where_it_was(tmp_path: Path, nth: int) -> None:
    production = Production(tmp_path)
    production.script(upgrade=["locked", "ok"])
    at = ("migrate", "after-note")
    assert killed_at(tmp_path, at, deploy, PENDING, nth=nth), "the point was never reached"
    assert (finish(tmp_path, PENDING), legal(production)) == (Status.DONE, "after")
    once(production, "upgrade locked", "upgrade ok")


@pytest.mark.parametrize(("step", "point"), points(STEPS))
def test_a_terminated_deploy_is_left_in_a_legal_state(
    tmp_path: Path, step: str, point: str
) -> None:
    production = Production(tmp_path)
    killed_at(tmp_path, (step, point), deploy, PENDING, terminate)
    world = make_world(tmp_path, pending=PENDING, settings=SETTINGS)
    [row] = world.journal.history("production")
    if row.status is Status.FAILED:  # stopped before the first change
        assert legal(production) == "before"
        return
    assert row.status in (*UNFINISHED, Status.DONE, Status.ROLLED_BACK)
    world.journal.close()
    status = finish(tmp_path, PENDING)
    assert (status, legal(production)) in (
        (Status.DONE, "after"),
        (Status.ROLLED_BACK, "before"),
        (Status.ROLLED_BACK, "expanded"),
    )


def test_two_deploys_at_once_never_both_run(tmp_path: Path) -> None:
    production = Production(tmp_path)
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            try:
                deploy(make_world(tmp_path, pending=PENDING, settings=SETTINGS))
            except DeployguardError as error:
                os._exit(error.exit_code)
            os._exit(0)
        children.append(pid)
    codes = sorted(os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in children)
    assert 0 in codes
    assert set(codes) <= {
        0,
        11,
        23,
    }  # 11: it came second, and its approval was for the first's plan
    once(production, "upgrade ok", f"start {V2}")
    assert legal(production) == "after"
