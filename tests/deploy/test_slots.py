"""A deploy's slot in the saga: it tells what was written, is small or gone, and is read out before a restore."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.config import BackupConfig
from deployguard.deploy import saga, slots
from deployguard.deploy.run import RollbackOptions
from deployguard.errors import NeedsHuman, RolledBack
from deployguard.state import Status
from tests.deploy.fakes import Production, Recorder, critical, environment, make_world
from tests.deploy.test_kill import deploy, finish, killed_at

SETTINGS = replace(environment(), backup=BackupConfig(slot_mb=1))


def test_a_slots_name_is_one_that_a_server_takes() -> None:
    assert slots.name_of("20260218-123001-AB12") == "deployguard_20260218_123001_ab12"
    assert len(slots.name_of("x" * 99)) == 63


def failed(folder: Path, **script: object) -> tuple[Production, str]:
    """A deploy after which two others wrote, so that a restore needs a person."""
    production = Production(folder)
    production.script(sick=["sha256:two"], when={"poll": {"writes": 2}}, **script)
    world = make_world(folder, pending=critical(), settings=SETTINGS)
    with pytest.raises(NeedsHuman) as caught:
        deploy(world)
    name = world.journal.history("production")[0].id
    world.journal.close()
    return production, f"{name}\n{caught.value}"


def test_the_person_is_told_row_by_row_and_a_restore_writes_it_down_first(tmp_path: Path) -> None:
    production, told = failed(tmp_path)
    name = told.splitlines()[0]
    assert "slot: rooms +2, 2 rows in 2 transactions since the backup" in told
    assert production["slots"] == [slots.name_of(name)]
    reporter = Recorder(types=name)
    world = make_world(tmp_path, pending=critical(), settings=SETTINGS, reporter=reporter)
    saga.rollback(world, RollbackOptions(name, restore=True))
    [asked] = [text for kind, text in reporter.told if kind == "confirm"]
    assert "\n    rooms: 2 inserted\n" in asked
    assert "changed in place" not in asked
    lines = (tmp_path / "state" / "changes" / f"{name}.jsonl").read_text().splitlines()
    assert [json.loads(line).get("op") for line in lines] == [
        None,
        "insert",
        None,
        "insert",
        None,
        None,
    ]
    steps = reporter.steps()
    assert steps.index("stop-app") < steps.index("export") < steps.index("restore")
    assert production["slots"] == []


def test_what_cannot_be_written_down_is_not_displaced_unless_that_is_said(tmp_path: Path) -> None:
    production, told = failed(tmp_path, export="fails")
    name = told.splitlines()[0]
    asked = RollbackOptions(name, restore=True, confirm=name)
    with pytest.raises(NeedsHuman, match="could not be exported") as caught:
        saga.rollback(make_world(tmp_path, pending=critical(), settings=SETTINGS), asked)
    assert any("--without-export" in command for command in caught.value.next_commands)
    assert (production["kept"], production["up"]) == ({}, True)
    assert not list(tmp_path.rglob("*.jsonl*"))
    again = replace(asked, without_export=True)
    saga.rollback(make_world(tmp_path, pending=critical(), settings=SETTINGS), again)
    assert production["rows"] == {"rooms": 3}
    assert production["slots"] == []


def test_one_that_keeps_too_much_log_is_dropped_and_the_bound_is_told(tmp_path: Path) -> None:
    production, told = failed(tmp_path, pinned=2**21)
    assert production["slots"] == []
    assert "up to 2 transaction(s)" in told
    name = told.splitlines()[0]
    asked = RollbackOptions(name, restore=True, confirm=name)
    saga.rollback(make_world(tmp_path, pending=critical(), settings=SETTINGS), asked)
    assert production["rows"] == {"rooms": 3}


def test_without_a_readable_slot_the_bound_still_proves_that_nobody_wrote(tmp_path: Path) -> None:
    production = Production(tmp_path)
    production.script(sick=["sha256:two"], pinned=2**21)
    with pytest.raises(RolledBack):
        deploy(make_world(tmp_path, pending=critical(), settings=SETTINGS))
    assert "restore" in production.effects()
    assert production["slots"] == []


def test_what_decides_the_way_back_never_drops_what_has_to_be_written_down(tmp_path: Path) -> None:
    production, told = failed(tmp_path)
    production.script(pinned=2**21)  # overnight
    name = told.splitlines()[0]
    asked = RollbackOptions(name, restore=True, confirm=name)
    saga.rollback(make_world(tmp_path, pending=critical(), settings=SETTINGS), asked)
    assert (tmp_path / "state" / "changes" / f"{name}.jsonl").exists()
    assert production["slots"] == []


def test_a_slot_that_cannot_be_dropped_does_not_fail_a_good_deploy(tmp_path: Path) -> None:
    production = Production(tmp_path)
    production.script(pinned=2**21, undroppable=True)
    world = make_world(tmp_path, pending=critical(), settings=SETTINGS)
    deploy(world)
    assert world.journal.history("production")[0].status is Status.DONE


def test_an_attempt_that_was_killed_is_not_taken_for_the_one_before(tmp_path: Path) -> None:
    production = Production(tmp_path)
    at = ("verify-backup", "before-intent")
    assert killed_at(tmp_path, at, deploy, critical()), "the first backup is there"
    production.change(writes=1)  # others write, so the resume takes it anew, and is killed as well
    again = ("backup", "after-note")
    assert killed_at(tmp_path, again, saga.resume, critical())
    assert finish(tmp_path, critical()) is Status.DONE
    assert production.effects().count("backup pre-deploy") == 2


def test_close_drops_it(tmp_path: Path) -> None:
    production, _ = failed(tmp_path)
    saga.close(make_world(tmp_path, settings=SETTINGS), "by hand")
    assert production["slots"] == []
