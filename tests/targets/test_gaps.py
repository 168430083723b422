"""How long nobody served: from looks at the containers."""

from __future__ import annotations

from deployguard.containers import Container
from deployguard.targets.gaps import available, gap


def one(status: str, health: str) -> Container:
    return Container("i", "n", "sha", "r", status, None, "", health, {}, {}, {}, {})


def test_who_runs_and_is_not_said_to_be_unwell_serves() -> None:
    assert available([one("exited", ""), one("running", "")])
    assert available([one("running", "healthy")])
    assert not available([one("running", "starting"), one("restarting", ""), one("paused", "")])
    assert not available([])


def test_the_gap_goes_from_the_last_good_look_to_the_next() -> None:
    looks = [(0.0, True), (1.0, True), (2.0, False), (5.0, False), (6.0, True), (9.0, True)]
    assert gap(looks) == 5.0
    assert gap([(0.0, True), (1.0, True)]) == 0.0


def test_where_nobody_served_before_there_is_no_gap_to_speak_of() -> None:
    assert gap([(0.0, False), (1.0, True)]) is None
    assert gap([]) is None
