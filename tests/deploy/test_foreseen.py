"""Before anything is done people read how each service will be updated, and for how long nobody serves."""

from __future__ import annotations

from pathlib import Path

from deployguard.deploy import outlook, saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.gate import Mode
from deployguard.state import EventKind
from tests.deploy.fakes import Production, Recorder, make_world

WEB = "web: beside the old, no gap"
GUESSED = "worker: recreated, for it has a container name; expect a gap of about 12 s (from its grace period)"


def test_a_deploy_says_it_before_it_acts_and_the_journal_keeps_it(tmp_path: Path) -> None:
    Production(tmp_path).script(foresees=True)
    reporter = Recorder()
    world = make_world(tmp_path, reporter=reporter)
    saga.deploy(world, DeployOptions(Mode.AUTO))
    notes = [text for kind, text in reporter.told if kind == "note"]
    assert notes[:2] == [WEB, GUESSED]
    assert reporter.told.index(("note", WEB)) < reporter.told.index(("done", "preflight"))
    [row] = world.journal.history()
    [kept] = [
        event.evidence["updates"]
        for event in world.journal.events(row.id)
        if event.step == "preflight" and event.kind is EventKind.DONE
    ]
    assert kept == notes[:2]
    world.journal.close()


def test_a_gap_that_was_measured_counts_more_than_a_guess(tmp_path: Path) -> None:
    Production(tmp_path).script(foresees=True, gap=3.4)
    reporter = Recorder()
    world = make_world(tmp_path, reporter=reporter)
    saga.deploy(world, DeployOptions(Mode.AUTO))
    [row] = world.journal.history()
    foreseen = outlook.look(world, RollbackOptions(row.id)).updates
    assert foreseen[0] == WEB
    assert foreseen[1].endswith(f"expect a gap of about 3 s (measured in deploy {row.id})")
    world.journal.close()


def test_a_way_back_that_stops_everything_promises_nothing(tmp_path: Path) -> None:
    Production(tmp_path).script(foresees=True)
    world = make_world(tmp_path)
    saga.deploy(world, DeployOptions(Mode.AUTO, backup=True))
    [row] = world.journal.history()
    [sentence] = outlook.look(world, RollbackOptions(row.id, restore=True)).updates
    assert "nobody is served meanwhile" in sentence
    world.journal.close()
