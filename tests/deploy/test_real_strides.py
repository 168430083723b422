"""A deploy of several revisions on a real server: each is told, journaled with its duration, and counts by itself."""

from pathlib import Path

import pytest

from deployguard.deploy import names, saga, strides
from deployguard.deploy.run import Run
from deployguard.deploy.strides import Strides
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Job
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.fakes import Recorder
from tests.deploy.test_real_postgres import Postgres, approved

postgres = real_postgres.project


def grow(project: Postgres, *, fails: str = "") -> None:
    """Three revisions that only add; of ``fails`` the upgrade fails. env.py says nothing of transactions."""
    env = project.folder / "migrations" / "env.py"
    env.write_text(env.read_text().replace(", transaction_per_migration=True", ""))
    for name in ("r2", "r3", "r4"):
        add = f"""op.create_table("t_{name}", sa.Column("id", sa.Integer))"""
        check = f"""{add}\nop.create_check_constraint("tiny", "rooms", "size = 'xs'")"""
        drop = f"""op.drop_table("t_{name}")"""
        undo = f"""op.drop_constraint("tiny", "rooms")\n{drop}"""
        project.revision(name, *((check, undo) if name == fails else (add, drop)))


def last(world: World) -> Run:
    return Run(world, world.journal.history()[-1])


def told(world: World, what: str) -> list[str]:
    reporter = world.reporter
    assert isinstance(reporter, Recorder)
    return reporter.steps(what)


def test_each_revision_is_told_and_journaled_with_its_duration(postgres: Postgres) -> None:
    grow(postgres)
    world = postgres.world()
    saga.deploy(world, approved(world))
    assert told(world, "part") == ["r1 → r2 (1 of 3)", "r2 → r3 (2 of 3)", "r3 → r4 (3 of 3)"]
    assert "Migrating: r2 → r3 (2 of 3)" in told(world, "progress")
    noted = strides.noted(last(world), names.MIGRATE)
    assert [(one["before"], one["after"], one["committed"]) for one in noted] == [
        ("r1", "r2", True),
        ("r2", "r3", True),
        ("r3", "r4", True),
    ]
    assert all(isinstance(one["seconds"], float) for one in noted)
    done = last(world).of(names.MIGRATE)["revisions"]
    assert isinstance(done, list)
    assert [str(one).split(" (")[0] for one in done] == ["r1 → r2", "r2 → r3", "r3 → r4"]
    assert not any("deployguard: upgrade" in line for line in told(world, "log"))
    world.journal.close()


def test_what_went_in_before_a_revision_failed_is_known_and_taken_back(postgres: Postgres) -> None:
    grow(postgres, fails="r4")
    world = postgres.world()
    with pytest.raises(DeployguardError):
        saga.deploy(world, approved(world))
    assert told(world, "part")[:2] == ["r1 → r2 (1 of 3)", "r2 → r3 (2 of 3)"]
    failed = [e for e in last(world).failures() if e.step == names.MIGRATE]
    assert "it had come to revision r3" in str(failed[0].evidence["error"])
    assert "r3 → r2" in told(world, "part")  # the downgrade is told in the same way
    assert postgres.current() == "r1"
    world.journal.close()


def test_a_log_that_is_read_anew_journals_no_revision_twice(
    postgres: Postgres, tmp_path: Path
) -> None:
    grow(postgres)
    world = postgres.world()
    saga.deploy(world, approved(world))
    run = last(world)
    log = next(Path(str(run.of(names.MIGRATE)["log"])).parent.glob("*upgrade*.log"))
    again = Strides(run, names.MIGRATE, Job(run.id, "upgrade"), "Migrating")
    hidden = [line for line in log.read_text().splitlines() if again.line(line)]
    assert len(hidden) == 6
    assert len(strides.noted(run, names.MIGRATE)) == 3
    world.journal.close()
