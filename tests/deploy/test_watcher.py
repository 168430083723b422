"""When a migration is cut off, when not, and what is told of it: the judging alone, without server or clock."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.config import WatchConfig
from deployguard.deploy.run import Run
from deployguard.deploy.watch import cut_off
from deployguard.deploy.watcher import Advice, Watched, judge, missed, summary
from deployguard.model import Json
from deployguard.observation import Client, Observation
from deployguard.state import Kind
from tests.deploy.fakes import make_world

LIMITS = WatchConfig(interval=1, max_blocked=2, max_seconds=10)
OURS = Client(
    1,
    "deployguard:d",
    ours=True,
    state="active",
    mode="AccessExclusiveLock",
    on="rooms",
    blockers=(9,),
)
HOLDER = Client(9, "worker", state="idle in transaction", transaction=300)


def queue(number: int, *ours: Client, first: int = 100) -> Observation:
    """``number`` readers behind the first of our sessions."""
    mine = ours or (OURS,)
    readers = tuple(
        Client(
            first + n, "web", waiting=n, mode="AccessShareLock", on="rooms", blockers=(mine[0].pid,)
        )
        for n in range(number)
    )
    return Observation((*mine, HOLDER, *readers))


def look(state: Watched, *seen: tuple[float, Observation | None]) -> tuple[Watched, list[Advice]]:
    found = []
    for now, one in seen:
        state, advice = missed(state, "gone") if one is None else judge(state, one, now, LIMITS)
        found.append(advice)
    return state, found


def cuts(*seen: tuple[float, Observation | None]) -> list[bool]:
    return [advice.cut is not None for advice in look(Watched(), *seen)[1]]


def test_it_is_cut_off_when_more_than_allowed_wait_for_so_long() -> None:
    assert cuts((0, queue(3)), (9.9, queue(3)), (10, queue(3))) == [False, False, True]
    assert cuts((0, queue(2)), (100, queue(2))) == [False, False]


def test_what_is_no_longer_too_long_begins_anew() -> None:
    assert cuts((0, queue(3)), (5, queue(2)), (10, queue(3)), (15, queue(3))) == [False] * 4


def test_another_process_of_ours_has_its_own_time() -> None:
    other = replace(OURS, pid=2)
    assert cuts((0, queue(3)), (10, queue(3, other)), (20, queue(3, other))) == [False, False, True]


def test_a_look_that_failed_is_no_proof_of_anything() -> None:
    """Neither that nobody waits nor that they still do."""
    assert cuts((0, queue(3)), (5, None), (10, queue(3)), (20, queue(3))) == [
        False,
        False,
        False,
        True,
    ]
    _, told = look(Watched(), (0, None), (1, None), (2, queue(0)), (3, None))
    assert ["unknown" in advice.say for advice in told] == [True, False, False, True]
    assert [bool(advice.note) for advice in told] == [True, False, False, False]
    assert "can read again" in told[2].say
    assert all("unknown" in told[n].doing for n in (0, 1, 3))


def test_those_who_wait_through_others_count_and_our_own_do_not() -> None:
    own = replace(OURS, pid=2, blockers=(1,))
    chain = tuple(Client(100 + n, blockers=(99 + n,)) for n in range(1, 3))
    seen = Observation((OURS, own, HOLDER, Client(100, blockers=(1, 9)), *chain))
    assert [client.pid for client in seen.queue] == [100, 101, 102]
    assert [client.pid for client in seen.culprits] == [1]
    assert Observation((OURS, HOLDER, Client(5, blockers=(9,)))).queue == ()


def test_a_circle_of_waits_is_counted_once() -> None:
    circle = (Client(5, blockers=(6, 1)), Client(6, blockers=(5,)))
    assert [c.pid for c in Observation((OURS, *circle)).queue] == [5, 6]


@pytest.mark.parametrize(
    ("ours", "waited", "because"),
    [
        (
            OURS,
            True,
            "it waits for AccessExclusiveLock on rooms, behind process 9 (worker, idle in transaction,",
        ),
        (
            Client(1, ours=True, holds="rooms"),
            False,
            "it does its work under a lock that they need, so that",
        ),
        (replace(OURS, blockers=(0,)), True, "behind a prepared transaction"),
    ],
)
def test_whether_it_only_waited_itself_is_known(ours: Client, waited: bool, because: str) -> None:
    _, told = look(Watched(), (0, queue(7, ours)), (12, queue(7, ours)))
    cut = told[-1].cut
    assert cut is not None
    assert (cut.pids, cut.blocked, cut.seconds, cut.waited) == ((1,), 7, 12, waited)
    assert because in cut.because
    assert "it blocked 7 sessions for 12 s: " in told[-1].say


def test_zero_seconds_cancels_nothing() -> None:
    limits = replace(LIMITS, max_seconds=0)
    state, _ = judge(Watched(), queue(30), 0, limits)
    assert judge(state, queue(30), 1000, limits)[1].cut is None


def test_it_is_told_once_and_tried_until_it_works() -> None:
    _, told = look(Watched(), (0, queue(3)), (10, queue(3)), (11, queue(3)))
    assert [advice.cut is not None for advice in told] == [False, True, True]
    assert ["Cancelling" in advice.say for advice in told] == [False, True, False]


def test_the_journal_gets_few_notes_however_long_it_lasts() -> None:
    looks = [(float(n), queue(n % 200 + 1)) for n in range(400)]
    state = Watched()
    notes = 0
    for now, seen in looks:
        state, advice = judge(state, seen, now, replace(LIMITS, max_seconds=0))
        notes += bool(advice.note)
    assert notes == 4
    assert summary(state)["most_blocked"] == 200
    assert summary(look(Watched(), (0, queue(0)), (1, queue(0)))[0]) == {}


CUT = {"attempt": 2, "blocked": 7, "seconds": 12.0, "waited": True, "because": "it waits"}


@pytest.mark.parametrize(
    ("kept", "attempt", "said"),
    [
        (
            {**CUT, "sent": [4711]},
            2,
            "deployguard cancelled its own statement because it blocked 7 sessions",
        ),
        (CUT, 2, "deployguard was about to cancel its own statement"),  # killed in between
        ({**CUT, "sent": []}, 2, ""),  # it was gone by then, or we may not
        ({**CUT, "sent": [4711]}, 3, ""),  # of an earlier attempt
    ],
)
def test_what_a_resume_says_of_a_cut_is_what_the_journal_knows(
    tmp_path: Path, kept: dict[str, Json], attempt: int, said: str
) -> None:
    world = make_world(tmp_path)
    row = world.journal.begin("production", Kind.DEPLOY, "ann")
    Run(world, row).note("migrate", cut=CUT)
    Run(world, row).note("migrate", cut=kept)
    sentence, waited = cut_off(Run(world, row), "migrate", attempt)  # by another process
    assert sentence.startswith(said)
    assert bool(sentence) is bool(said)
    assert waited is bool(said)
    world.journal.close()
