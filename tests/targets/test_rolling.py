"""New replicas take over from old ones behind nginx while clients read and write: no request fails, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from deployguard.config import RollingConfig
from deployguard.containers import Engine
from deployguard.targets import UpdateFailed
from tests.support.projects import Project
from tests.targets.served import Served

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


class Killed(BaseException):
    """The process ends here: no handler of deployguard's sees it."""


@pytest.fixture
def served(compose_project: Project, engine: Engine) -> Iterator[Served]:
    made = Served(compose_project, engine)
    made.set_up()
    compose_project.build("latest", "old")
    compose_project.call("up", "-d", "--wait")
    return made


def killing(at: str) -> Callable[[str], None]:
    """Ends the process when it is about to do, or has just said, something."""

    def told(line: str) -> None:
        if at in line:
            raise Killed(line)

    return told


def settled(served: Served, image: str) -> None:
    """Two replicas of the image and nothing else, the proxy's file names them, and compose finds nothing to do."""
    names = served.names()
    assert len(names) == 2
    assert served.images() == {image}
    assert sorted(served.upstream()) == names
    ids = served.project.call("ps", "-a", "-q", "web")
    served.project.call("up", "-d", "web")
    assert served.project.call("ps", "-a", "-q", "web") == ids


def test_no_request_fails_during_an_update_and_while_it_is_put_back(served: Served) -> None:
    target = served.target("web", "worker")
    target.preflight()
    before = target.current()
    new = served.project.build("latest", "new")
    with served.load() as load:
        load.at_least(10)
        done = target.update("d1", before)
        load.at_least(10)
        assert not load.bad
        assert load.bodies == {b"old", b"new"}
        load.bodies.clear()
        load.at_least(10)
        assert load.bodies == {b"new"}
        assert done.details["web"] == {
            **done.details["web"],  # type: ignore[dict-item]
            "way": "beside",
            "gap": 0.0,
            "old": [f"{served.project.name}-web-{n}" for n in (1, 2)],
            "new": [f"{served.project.name}-web-{n}" for n in (3, 4)],
            "from": before.images["web"],
            "to": new,
        }
        settled(served, new)
        assert (served.project.folder / "done/finished").read_text() == "old\n"  # warm
        assert target.put_back(before, "d1") == before
        load.at_least(10)
    assert not load.bad
    assert load.answers["POST"] > 30
    settled(served, before.images["web"])
    assert any("may finish what is under way, for up to 30 s" in line for line in served.told)


def test_new_replicas_that_do_not_become_healthy_are_taken_away_and_nobody_notices(
    served: Served,
) -> None:
    target = served.target("web", "worker")
    before = target.current()
    served.project.build("latest", "bad")
    with served.load() as load:
        with pytest.raises(
            UpdateFailed, match=r"web-[34].*not healthy; the last line .* serving bad"
        ):
            target.update("d1", before)
        assert served.names() == ["web-1", "web-2"]
        assert served.names("worker") == ["worker-1"]  # it waits for the proxied ones
        assert target.put_back(before, "d1") == before
        load.at_least(10)
    assert not load.bad
    assert load.bodies == {b"old"}
    settled(served, before.images["web"])


@pytest.mark.parametrize(
    ("at", "then"),
    [
        ("starting 2 replicas", "resume"),
        ("Started", "back"),
        ("told of {}-web-3", "resume"),
        ("requests to the old replicas end", "back"),
        ("may finish", "resume"),
        ("may finish", "back"),
    ],
)
def test_killed_in_the_middle_it_goes_on_or_back_and_no_request_fails(
    served: Served, at: str, then: str
) -> None:
    before = served.target().current()
    new = served.project.build("latest", "new")
    with served.load() as load:
        doomed = served.target(on_line=killing(at.format(served.project.name)))
        with pytest.raises(Killed):
            doomed.update("d1", before)
        load.at_least(10)
        if then == "resume":
            assert served.target().update("d1", before).images == {"web": new}
        else:
            assert served.target().put_back(before, "d2") == before
        load.at_least(10)
    assert not load.bad
    settled(served, new if then == "resume" else before.images["web"])


def test_another_definition_of_the_same_image_rolls_and_nothing_new_changes_nothing(
    served: Served,
) -> None:
    target = served.target()
    before = target.current()
    assert target.update("d1", before) == before
    assert served.names() == ["web-1", "web-2"]
    served.project.environ["CHANGED"] = "yes"
    with served.load() as load:
        assert target.update("d2", before) == before
    assert not load.bad
    assert served.names() == ["web-3", "web-4"]
    settled(served, before.images["web"])


def test_what_cannot_be_doubled_is_recreated_and_its_gap_is_measured(served: Served) -> None:
    rolling = (served.web(), RollingConfig("alone"))
    target = served.target("web", "alone", rolling=rolling)
    web, alone = target.foresee()
    assert (web.beside, alone.beside, alone.why) == (True, False, "has a container name")
    assert alone.gap == 3.0
    before = target.current()
    new = served.project.build("latest", "new")
    done = target.update("d1", before)
    assert done.images == {"web": new, "alone": new}
    told = done.details["alone"]
    assert isinstance(told, dict)
    assert told["way"] == "recreated"
    assert isinstance(told["gap"], float)
    assert told["gap"] > 0


def test_without_rolling_a_service_is_recreated_as_ever_and_said_so(served: Served) -> None:
    target = served.target("web", rolling=())
    [web] = target.foresee()
    assert (web.beside, web.why, web.gap) == (False, "[target] rolling does not name it", 22.0)
    before = target.current()
    new = served.project.build("latest", "new")
    assert target.update("d1", before).images == {"web": new}
    assert served.names() == ["web-1", "web-2"]


def test_a_switch_that_fails_stops_before_anything_was_started(served: Served) -> None:
    broken = served.web(switch=(("false",),))
    target = served.target("web", rolling=(broken,))
    before = target.current()
    served.project.build("latest", "new")
    with pytest.raises(UpdateFailed, match="The command false failed"):
        target.update("d1", before)
    assert served.names() == ["web-1", "web-2"]


def test_after_a_stop_and_a_start_the_proxy_is_told_anew(served: Served) -> None:
    target = served.target()
    target.stop()
    target.start()
    assert served.upstream() == served.names()
