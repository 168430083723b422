"""What comes next while new replicas take over: whatever is found, the way ends with the wanted ones, and in service."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from deployguard.targets.replicas import Do, Next, Replica, State, View, left_over, next_action

OLD = tuple(Replica(name, State.READY, wanted=False, former=True) for name in ("web-1", "web-2"))
NEW = tuple(Replica(name, State.READY, wanted=True) for name in ("web-3", "web-4"))


def states(replicas: tuple[Replica, ...], state: State) -> tuple[Replica, ...]:
    return tuple(replace(one, state=state) for one in replicas)


@dataclass
class Machine:
    """One service and its proxy. ``routes`` is whom the proxy sends requests to, as it knows it."""

    replicas: tuple[Replica, ...] = OLD
    routes: tuple[str, ...] = ("web-1", "web-2")
    sick: bool = False  # new replicas never become healthy
    failed: list[str] = field(default_factory=list)

    def step(self, step: Next) -> None:
        """Do what is next; then somebody sends a request to everybody the proxy knows."""
        if step.do is Do.TELL:
            self.routes = step.names
        elif step.do is Do.START:
            number = 1 + max((int(one.name[4:]) for one in self.replicas), default=0)
            made = [
                Replica(f"web-{number + n}", State.STARTING, wanted=True) for n in range(step.count)
            ]
            self.replicas += tuple(made)
        elif step.do is Do.WAIT:
            grown = State.BROKEN if self.sick else State.READY
            self.replicas = tuple(
                replace(one, state=grown) if one.state is State.STARTING else one
                for one in self.replicas
            )
        elif step.do is Do.RETIRE:
            self.replicas = tuple(
                replace(one, state=State.ENDED) if one.name in step.names else one
                for one in self.replicas
            )
        elif step.do is Do.REMOVE:
            assert not any(one.runs for one in self.replicas if one.name in step.names)
            self.replicas = tuple(one for one in self.replicas if one.name not in step.names)
        ready = {one.name for one in self.replicas if one.state is State.READY}
        self.failed += [f"after {step}: {name}" for name in self.routes if name not in ready]

    def run(self, steps: int | None = None) -> Iterator[Next]:
        """A process that acts; it ends at DONE or GIVE_UP, or is killed after so many steps."""
        told: tuple[str, ...] | None = None
        started = handed = False
        for number in itertools.count():
            assert number < 50, "it never ends"
            view = View(self.replicas, 2, True, told, started, handed)
            step = next_action(view)
            if number == steps:
                return
            yield step
            if step.do is Do.DONE:
                return
            if step.do is Do.GIVE_UP:
                gone = left_over(view)
                self.replicas = tuple(one for one in self.replicas if one.name not in gone)
                return
            self.step(step)
            if step.do is Do.TELL:
                told, handed = step.names, step.ready
            started = started or step.do is Do.START


def turned(replicas: tuple[Replica, ...]) -> tuple[Replica, ...]:
    """The same containers, for the way back: what was wanted is not, and the former ones are."""
    return tuple(replace(one, wanted=one.former) for one in replicas)


def test_the_order_is_tell_start_wait_tell_stop_remove() -> None:
    machine = Machine()
    done = [step.do for step in machine.run()]
    expected = (Do.TELL, Do.START, Do.WAIT, Do.TELL, Do.RETIRE, Do.REMOVE, Do.DONE)
    assert tuple(done) == expected
    assert [one.name for one in machine.replicas] == ["web-3", "web-4"] == list(machine.routes)
    assert not machine.failed


@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", [None, *range(8)])
def test_killed_anywhere_and_begun_again_it_ends_with_the_new_ones(
    first: int, second: int | None
) -> None:
    machine = Machine()
    list(machine.run(first))
    list(machine.run(second))
    list(machine.run())
    assert len(machine.replicas) == 2
    assert all(one.wanted and one.state is State.READY for one in machine.replicas)
    assert set(machine.routes) == {one.name for one in machine.replicas}
    assert not machine.failed


@pytest.mark.parametrize("sick", [False, True])
@pytest.mark.parametrize("first", range(8))
@pytest.mark.parametrize("second", [None, *range(8)])
def test_killed_anywhere_and_taken_back_it_ends_with_the_old_version(
    first: int, second: int | None, sick: bool
) -> None:
    machine = Machine(sick=sick)
    list(machine.run(first))
    machine.sick = False  # the old version is not
    machine.replicas = turned(machine.replicas)
    list(machine.run(second))
    list(machine.run())
    assert len(machine.replicas) == 2
    assert all(one.wanted and one.state is State.READY for one in machine.replicas)
    assert set(machine.routes) == {one.name for one in machine.replicas}
    assert not machine.failed


@pytest.mark.parametrize("first", range(4))
def test_new_ones_that_do_not_become_healthy_are_taken_away_and_nobody_noticed(first: int) -> None:
    machine = Machine(sick=True)
    list(machine.run(first))
    assert list(machine.run())[-1].do is Do.GIVE_UP
    assert [one.name for one in machine.replicas] == ["web-1", "web-2"] == list(machine.routes)
    assert not machine.failed


def test_new_ones_that_break_after_a_kill_behind_the_switch_leave_the_old_in_service() -> None:
    machine = Machine(replicas=OLD + states(NEW, State.BROKEN), routes=("web-3", "web-4"))
    assert [step.do for step in machine.run()] == [Do.TELL, Do.GIVE_UP]
    assert machine.routes == ("web-1", "web-2")
    assert [one.name for one in machine.replicas] == ["web-1", "web-2"]


def test_what_a_process_that_died_has_told_the_proxy_is_told_again() -> None:
    view = View(OLD + NEW, 2, proxied=True)  # the file may name the new ones and not have been read
    assert next_action(view) == Next(Do.TELL, ("web-3", "web-4"), ready=True)
    assert next_action(replace(view, told=("web-3", "web-4"))).do is Do.RETIRE


def test_without_a_proxy_nobody_is_told() -> None:
    assert next_action(View(OLD, 2)) == Next(Do.START, count=2)
    assert next_action(View(OLD + NEW, 2)) == Next(Do.RETIRE, ("web-1", "web-2"), ready=True)
    assert next_action(View(NEW, 2)) == Next(Do.DONE, ("web-3", "web-4"), ready=True)


def test_what_ran_already_as_it_is_wanted_stays() -> None:
    same = tuple(replace(one, wanted=True) for one in OLD)
    assert next_action(View(same, 2)).do is Do.DONE
    assert next_action(View(same, 3)) == Next(Do.START, count=1)  # one more is wanted
    assert next_action(View(same + NEW, 2)) == Next(Do.RETIRE, ("web-3", "web-4"), ready=True)


def test_while_one_of_two_is_replaced_the_proxy_knows_both_that_ran() -> None:
    mixed = (replace(OLD[0], wanted=True), OLD[1])
    assert next_action(View(mixed, 2, proxied=True)) == Next(Do.TELL, ("web-1", "web-2"))


def test_one_that_ran_and_is_broken_is_replaced_and_not_waited_for() -> None:
    same = (replace(OLD[0], wanted=True), replace(OLD[1], wanted=True, state=State.BROKEN))
    assert next_action(View(same, 2)) == Next(Do.START, count=1)
    told = next_action(View(same, 2, proxied=True))
    assert told == Next(Do.TELL, ("web-1",))


def test_a_stopped_service_is_cleared_and_started() -> None:
    ended = states(OLD, State.ENDED)
    assert next_action(View(ended, 2, proxied=True)) == Next(Do.REMOVE, ("web-1", "web-2"))
    assert next_action(View((), 2, proxied=True)) == Next(Do.START, count=2)


def test_one_that_was_started_and_ended_has_failed_but_one_that_was_found_is_cleared() -> None:
    found = OLD + states(NEW[:1], State.ENDED)
    assert next_action(View(found, 2)) == Next(Do.REMOVE, ("web-3",))
    assert next_action(View(found, 2, started=True)) == Next(Do.GIVE_UP, ("web-3",))


def test_where_nobody_else_serves_nothing_is_taken_away() -> None:
    alone = View(states(NEW, State.BROKEN), 2)
    assert next_action(alone).do is Do.GIVE_UP
    assert left_over(alone) == ()
    assert left_over(replace(alone, replicas=(*OLD, *alone.replicas))) == ("web-3", "web-4")


def test_once_the_old_ones_were_told_to_go_a_doubt_calls_nobody_back() -> None:
    shaken = OLD[:1] + states(NEW[:1], State.STARTING) + NEW[1:]
    view = View(shaken, 2, proxied=True, told=("web-3", "web-4"), handed=True)
    assert next_action(view) == Next(Do.RETIRE, ("web-1",), ready=True)


def test_new_ones_that_break_while_the_old_still_run_call_them_back() -> None:
    told = ("web-3", "web-4")
    for broken in (1, 2):
        new = states(NEW[:broken], State.BROKEN) + NEW[broken:]
        view = View(OLD + new, 2, proxied=True, told=told, started=True, handed=True)
        assert next_action(view) == Next(Do.TELL, ("web-1", "web-2"))
        back = replace(view, told=("web-1", "web-2"), handed=False)
        assert next_action(back).do is Do.GIVE_UP


@pytest.mark.parametrize("state", [State.ENDED, State.BROKEN])
def test_where_nobody_well_is_left_to_call_back_the_new_ones_stay(state: State) -> None:
    new = states(NEW, State.BROKEN)
    view = View(states(OLD, state) + new, 2, True, ("web-3", "web-4"), True, True)
    assert next_action(view).ready


def test_those_that_the_proxy_knows_stay_when_more_are_ready() -> None:
    late = replace(OLD[0], wanted=True)  # it was broken when the proxy was told
    view = View((late, *NEW), 2, proxied=True, told=("web-3", "web-4"), handed=True)
    assert next_action(view) == Next(Do.RETIRE, ("web-1",), ready=True)
