"""The real program, killed at every boundary of the journal that the step tables have, on real databases.

Each process dies at the next boundary: the one after it resumes, and dies one further. An oracle that knows nothing of
deployguard judges what production is in at the end.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from deployguard.deploy.back import ROLLBACK
from deployguard.deploy.restoring import RESTORING
from deployguard.deploy.step import Step
from deployguard.deploy.steps import STEPS
from tests.kills.arena import Arena, Blow, arena
from tests.kills.chase import DEPLOY, digest_of
from tests.support import postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# "before-done" is after the effect: what the step does is done, and nobody has written that down.
POINTS = ("before-intent", "after-intent", "before-done")
AFTER_EFFECT = ("before-done",)
# Steps that only other journeys come to; what is deployed, and gone back to, here is the working copy.
NOT_HERE = ("checkout", "checkout-ref", "emergency-tag", "build")
# Rows of the table that a restore which was ordered does not come to.
NOT_ORDERED = ("safety-net", "look-again", "downgrade", "open-up", "export")


@pytest.fixture(params=["postgresql", "sqlite"])
def production(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_pool: postgres.Pool
) -> Iterator[Arena]:
    with ExitStack() as stack:
        server = postgres_pool(postgres.DEFAULT_VERSION) if request.param == "postgresql" else None
        yield stack.enter_context(arena(tmp_path, "shrink", server))


def points(production: Arena) -> Sequence[str]:
    """SQLite's ways are the same but for the store, so there the dearest moment of each step will do."""
    return POINTS if production.server else AFTER_EFFECT


def walk(
    production: Arena,
    first: tuple[str, ...],
    table: Sequence[Step],
    where: Sequence[str],
    number: int = signal.SIGKILL,
    *,
    without: Sequence[str] = NOT_HERE,
) -> None:
    """Kill at each boundary in turn, then let it end in peace."""
    steps = [step.name for step in table if step.name not in without]
    for at in [(step, point, 1) for step in steps for point in where]:
        command = ("resume",) if production.unfinished() else first
        ended = production.run(*command, blow=Blow(number, at=at))
        died = None if number == signal.SIGKILL else 130
        assert ended.code == died, f"{at} was not reached:\n{ended.said}"
    if production.unfinished():
        ended = production.run("resume")
        assert ended.code == 0, ended.said


def deployed(production: Arena) -> str:
    deploy = (*DEPLOY, "--approve", digest_of(production))
    made = production.run(*deploy)
    assert made.code == 0, made.said
    return production.rows()[0][0]


def assert_legal(production: Arena, end: str, *, restored: bool = False) -> None:
    assert production.judge(end, restored=restored) == (end, []), "\n".join(production.log)


def test_a_deploy_that_is_killed_at_every_boundary_ends_as_if_it_had_not_been(
    production: Arena,
) -> None:
    deploy = (*DEPLOY, "--approve", digest_of(production))
    walk(production, deploy, STEPS, points(production))
    assert [one[1:] for one in production.rows()] == [("deploy", "done")]
    assert_legal(production, "after new")


def test_a_rollback_that_is_killed_at_every_boundary_brings_everything_back(
    production: Arena,
) -> None:
    name = deployed(production)
    back = ("rollback", name, "--restore", "--confirm", name)
    walk(production, back, ROLLBACK, points(production), without=(*NOT_HERE, *NOT_ORDERED))
    assert [one[2] for one in production.rows()] == ["done", "rolled-back"]
    assert_legal(production, "before old", restored=True)


def test_a_restore_that_is_killed_at_every_boundary_puts_the_backup_in_place(
    production: Arena,
) -> None:
    made = production.run("backup", "create")
    assert made.code == 0, made.said
    [name] = [one.name for one in (production.folder / ".deployguard" / "backups").glob("kills-*")]
    restore = ("backup", "restore", name, "--confirm", name)
    walk(production, restore, RESTORING, points(production))
    assert [one[1:] for one in production.rows()] == [("restore", "done")]
    assert_legal(production, "before old", restored=True)


def test_a_deploy_that_is_terminated_after_every_effect_is_left_in_order(
    production: Arena,
) -> None:
    deploy = (*DEPLOY, "--approve", digest_of(production))
    walk(production, deploy, STEPS, AFTER_EFFECT, signal.SIGTERM)
    # Before the first change a termination ends the run, and everything is tidied up.
    ended = [one[2] for one in production.rows()]
    assert ended[0] == "done"
    assert set(ended[1:]) == {"failed"}
    assert_legal(production, "after new")
