"""`backup restore` killed at every boundary of the journal, then resumed: restored once, the present kept twice.

The cases are made from the step table.
"""

from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.restoring import RESTORING
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, NeedsHuman
from deployguard.state import Status
from tests.deploy.fakes import PENDING, V1, Production, Recorder, make_world
from tests.deploy.test_kill import finish, killed_at, legal, once, points

BACKUP = "manual-"


def prepared(folder: Path) -> Production:
    """A backup of three rooms was taken by hand; since then two of them went."""
    production = Production(folder)
    make_world(folder).take_backup("manual", "")
    production.change(rows={"rooms": 1}, writes=2)
    return production


def restore(world: World) -> object:
    return saga.restore(world, BACKUP, BACKUP)


@pytest.mark.parametrize(("step", "point"), points(RESTORING))
def test_a_killed_restore_goes_on_where_it_was(tmp_path: Path, step: str, point: str) -> None:
    production = prepared(tmp_path)
    assert killed_at(tmp_path, (step, point), restore, PENDING), "the point was never reached"
    status = finish(tmp_path, PENDING)
    assert (status, legal(production)) == (Status.DONE, "before")
    once(production, "backup emergency", "stop", "restore", f"start {V1}")
    assert production["rows"] == {"rooms": 3}
    [(name, kept)] = [
        (name, kept)
        for name, kept in production["backups"].items()  # type: ignore[attr-defined]
        if name.startswith("emergency-")
    ]
    assert kept["rows"] == {"rooms": 1}, name
    assert [kept["rows"] for kept in production["kept"].values()] == [{"rooms": 1}]  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"backup": "fails"}, {"store": "missing"}])
def test_a_present_that_cannot_be_backed_up_stops_it_before_the_first_change(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    production = prepared(tmp_path)
    production.script(**wrong)
    with pytest.raises(DeployguardError, match="No emergency backup") as caught:
        restore(make_world(tmp_path))
    assert caught.value.exit_code == 20
    once(production, "backup emergency")
    assert (production["rows"], production["up"]) == ({"rooms": 1}, True)
    world = make_world(tmp_path, reporter=Recorder(types="without"))
    restore(world)
    assert production["rows"] == {"rooms": 3}


def test_an_emergency_backup_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    production = prepared(tmp_path)
    production.script(when={"verify": {"script": {"verify": "right", "when": second_is_wrong()}}})
    with pytest.raises(DeployguardError, match=r"No emergency backup .* it is cut off"):
        restore(make_world(tmp_path))
    assert production["rows"] == {"rooms": 1}


def second_is_wrong() -> dict[str, object]:
    """The first look, at the backup to restore, is well; the second, at the emergency backup, is not."""
    return {"verify": {"script": {"verify": "wrong"}}}


def test_a_restore_asks_again_once_somebody_has_written_where_nobody_had(tmp_path: Path) -> None:
    production = prepared(tmp_path)
    production.change(writes=0)
    assert killed_at(tmp_path, ("stop-app", "before-intent"), restore, PENDING)
    production.change(writes=1)
    reporter = Recorder()
    with pytest.raises(DeployguardError, match="At most 1 transaction"):
        saga.resume(make_world(tmp_path, reporter=reporter))
    assert [kind for kind, _ in reporter.told].count("confirm") == 1
    assert production["rows"] == {"rooms": 1}


def test_where_nobody_can_be_asked_a_resume_takes_the_id_that_is_asked_for_anew(
    tmp_path: Path,
) -> None:
    production = prepared(tmp_path)
    production.change(writes=0)
    assert killed_at(tmp_path, ("restore", "before-intent"), restore, PENDING)
    production.change(writes=1)
    with pytest.raises(NeedsHuman, match="At most 1 transaction") as caught:
        saga.resume(make_world(tmp_path))
    world = make_world(tmp_path)
    [backup] = [name for name in production["backups"] if name.startswith(BACKUP)]  # type: ignore[attr-defined]
    told = f"deployguard resume --env production --confirm {backup}"
    assert told in caught.value.next_commands
    with pytest.raises(NeedsHuman):
        saga.resume(world, confirm="another")
    assert production["rows"] == {"rooms": 1}
    assert saga.resume(world, confirm=backup).status is Status.DONE
    assert (production["rows"], production["up"]) == ({"rooms": 3}, True)


def test_more_of_what_was_confirmed_is_not_asked_again(tmp_path: Path) -> None:
    production = prepared(tmp_path)
    assert killed_at(tmp_path, ("stop-app", "before-intent"), restore, PENDING)
    production.change(writes=9)
    assert saga.resume(make_world(tmp_path)).status is Status.DONE
    assert production["rows"] == {"rooms": 3}
