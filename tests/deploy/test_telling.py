"""People are told truly how a run ends, and a receiver that fails changes nothing about it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.config import EVENTS, NotifyConfig
from deployguard.deploy import saga, telling
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.notify import Notifier
from deployguard.state import Deploy, EventKind
from tests.deploy.asking import AUTO, approved
from tests.deploy.fakes import AFTER, V2, Production, Recorder, critical, make_world
from tests.deploy.test_offsite import WANTED, WITH_BACKUP
from tests.support.receivers import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


def listening(world: World, *urls: str, timeout: int = 30) -> World:
    names = {f"PLACE_{number}": url for number, url in enumerate(urls)}
    hidden = lambda text: text.replace("hunter2", "***")  # noqa: E731 - as wire() makes one
    return replace(
        world, notifier=Notifier(NotifyConfig(tuple(names), EVENTS, timeout), names, hidden)
    )


def told(world: World, receiver: Receiver, act: Callable[[], object]) -> list[tuple[str, str]]:
    """(what the title says of the run, the text) of everything that came in."""
    try:
        act()
    except DeployguardError:
        pass
    finally:
        telling.settle(world)
    began = "bookings production: "
    assert all(title.startswith(began) for title in receiver.titles)
    run = world.journal.history()[0].id if world.journal.history() else "?"
    short = [title.removeprefix(began).replace(run, "ID") for title in receiver.titles]
    return list(zip(short, receiver.texts, strict=True))


def test_a_deploy_tells_how_it_goes(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    world = listening(make_world(tmp_path), receiver.url)
    said = told(world, receiver, lambda: saga.deploy(world, AUTO))
    assert [title for title, _ in said] == [
        "deploy ID started",
        "deploy ID migrated",
        "deploy ID done",
    ]
    run = world.journal.history()[0].id
    assert "Nothing is changed yet." in said[0][1]
    assert f"has migrated: {AFTER}." in said[1][1]
    assert "1 revision migrated, application updated, healthy." in said[2][1]
    assert f"    deployguard show {run}" in said[2][1]


def test_a_deploy_that_is_taken_back_says_what_production_is_in(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    production.script(sick=[V2])
    world = listening(make_world(tmp_path), receiver.url)
    title, text = told(world, receiver, lambda: saga.deploy(world, AUTO))[-1]
    assert title == "deploy ID failed and taken back"
    assert "(exit code 21)" in text
    assert (
        "The schema was left as it is; the previous application runs again and is healthy" in text
    )


def test_a_deploy_that_needs_a_person_names_the_ways_out(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    production.script(upgrade="does-nothing")
    world = listening(make_world(tmp_path), receiver.url)
    title, text = told(world, receiver, lambda: saga.deploy(world, AUTO))[-1]
    assert title == "deploy ID needs a person"
    assert "(exit code 22)" in text
    assert "the previous application was not touched" in text
    assert "deployguard resume --env production" in text


def test_in_a_pipeline_a_missing_approval_is_told_once_with_the_command_that_gives_it(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    world = listening(make_world(tmp_path, pending=critical()), receiver.url)
    said = told(world, receiver, lambda: saga.deploy(world, AUTO))
    assert [title for title, _ in said] == ["deploy ID started", "deploy ID waits for an approval"]
    assert "(exit code 11)" in said[1][1]
    assert "--approve" in said[1][1]


def test_at_a_terminal_people_are_told_that_an_approval_is_waited_for(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    reporter = Recorder(answers=[None])
    world = make_world(tmp_path, pending=critical(), reporter=reporter)
    world = listening(world, receiver.url)
    said = told(world, receiver, lambda: saga.deploy(world, AUTO))
    assert [title for title, _ in said] == [
        "deploy ID started",
        "deploy ID waits for an approval",
        "deploy ID stopped",
    ]
    assert "waits at a terminal" in said[1][1]


def test_a_deploy_that_finds_another_one_unfinished_says_so(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    production.script(upgrade="does-nothing")
    first = make_world(tmp_path)
    with pytest.raises(DeployguardError):
        saga.deploy(first, AUTO)
    world = listening(make_world(tmp_path), receiver.url)
    [(title, text)] = told(world, receiver, lambda: saga.deploy(world, AUTO))
    assert title == "deploy stopped"
    assert "This command changed nothing." in text
    assert "(exit code 23)" in text


def test_a_bug_of_ours_is_told_without_a_traceback(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    def broken() -> object:
        raise ZeroDivisionError("hunter2")

    world = listening(replace(make_world(tmp_path), assess=broken), receiver.url)  # type: ignore[arg-type]
    with pytest.raises(ZeroDivisionError):
        saga.deploy(world, AUTO)
    telling.settle(world)
    assert receiver.titles[-1].endswith("stopped by a bug")
    assert "ZeroDivisionError (exit code 1)" in receiver.texts[-1]
    assert "hunter2" not in receiver.texts[-1]


def test_rollback_resume_and_restore_tell_their_end(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    saga.deploy(make_world(tmp_path), WITH_BACKUP)
    world = listening(make_world(tmp_path), receiver.url)
    said = told(world, receiver, lambda: saga.rollback(world, RollbackOptions()))
    assert [title for title, _ in said] == ["rollback ID started", "rollback ID done"]
    assert "was taken back" in said[1][1]
    receiver.posts.clear()
    said = told(world, receiver, lambda: saga.resume(world))
    assert said == []  # whoever types it reads that nothing is unfinished


def test_a_copy_that_fails_is_told_while_the_deploy_goes_on(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    production.script(offsite="down")
    world = listening(make_world(tmp_path, settings=WANTED), receiver.url)
    said = told(world, receiver, lambda: saga.deploy(world, WITH_BACKUP))
    assert "off-site copy failed" in [title for title, _ in said]
    assert said[-1][0] == "deploy ID done"
    assert not any("hunter2" in text for _, text in said)


def row(world: World) -> tuple[object, ...]:
    [found] = world.journal.history()
    return found.status, found.summary.replace(found.id, "ID"), production_of(world, found)


def production_of(world: World, found: Deploy) -> list[tuple[str, EventKind]]:
    """The events of a run, without the notes on who was told."""
    return [
        (event.step, event.kind)
        for event in world.journal.events(found.id)
        if event.step != telling.NOTIFY
    ]


@pytest.mark.parametrize("how", ["500", "drips", "gone", "not set"])
@pytest.mark.parametrize("script", [{}, {"sick": [V2]}, {"upgrade": "does-nothing"}], ids=str)
def test_a_failing_receiver_changes_no_outcome(
    tmp_path: Path, script: dict[str, object], how: str
) -> None:
    def run(world: World) -> object:
        try:
            return saga.deploy(world, AUTO).status
        except DeployguardError as error:
            return error.exit_code, error.state.replace(world.journal.history()[0].id, "ID")
        finally:
            telling.settle(world)

    outcomes, rows = [], []
    for folder in (tmp_path / "plain", tmp_path / "told"):
        folder.mkdir()
        Production(folder).script(**script)
        with Receiver("200" if how in ("gone", "not set") else how) as failing:
            url = {"gone": "json://127.0.0.1:1/", "not set": ""}.get(how, failing.url)
            world = make_world(folder)
            if folder.name == "told":
                world = listening(world, url, timeout=1)
            outcomes.append(run(world))
            rows.append(row(world))
    assert outcomes[0] == outcomes[1]
    assert rows[0] == rows[1]
    assert isinstance(world.reporter, Recorder)
    notes = [text for kind, text in world.reporter.told if "[notify] PLACE_0" in text]
    assert notes
    kept = [e for e in world.journal.events(world.journal.history()[0].id) if e.step == "notify"]
    assert {e.kind for e in kept} == {EventKind.NOTE}
    assert all(e.evidence["problem"] for e in kept)


def test_who_was_told_stands_in_the_journal_and_nothing_rests_on_it(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    world = listening(make_world(tmp_path), receiver.url)
    told(world, receiver, lambda: saga.deploy(world, AUTO))
    events = world.journal.events(world.journal.history()[0].id)
    kept = [dict(e.evidence) for e in events if e.step == telling.NOTIFY]
    assert {"event": "deploy-done", "to": "PLACE_0", "ok": True} in kept


def test_a_critical_deploy_that_was_approved_tells_no_waiting(
    tmp_path: Path, production: Production, receiver: Receiver
) -> None:
    plain = make_world(tmp_path, pending=critical())
    options: DeployOptions = approved(plain)
    world = listening(plain, receiver.url)
    said = told(world, receiver, lambda: saga.deploy(world, options))
    assert not [title for title, _ in said if "approval" in title]
