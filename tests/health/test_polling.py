"""Healthy means: every check, k of the last n rounds, before the deadline; and not knowing is neither."""

import socket
from dataclasses import dataclass, field
from typing import Any

import pytest

from deployguard.config import HealthConfig
from deployguard.health import Answer, Poller
from deployguard.health.http import HttpCheck
from deployguard.model import Health, HealthSample, Vital
from tests.health.serving import Time, serve


def watch(*urls: str, successes: int = 3, deadline: float = 20, **more: Any) -> Health:
    return watched(Time(), *urls, successes=successes, deadline=deadline, **more)


def watched(time: Time, *urls: str, seen: list[HealthSample] | None = None, **more: Any) -> Health:
    config = HealthConfig(urls=urls, **more)
    checks = [HttpCheck(url, config.timeout) for url in urls]
    on_sample = (seen if seen is not None else []).append
    return Poller(config, checks, on_sample, time.now, time.monotonic, time.sleep).poll()


@dataclass
class Says:
    """A check that gives the answers of ``pattern`` in turn, and the last of them for ever: + good, - bad, ? unknown."""

    pattern: str
    asked: int = 0
    slow: float = 0.0
    time: Time = field(default_factory=Time)

    def ask(self) -> Answer:
        mark = self.pattern[min(self.asked, len(self.pattern) - 1)]
        self.asked += 1
        self.time.sleep(self.slow)
        return Answer({"+": True, "-": False, "?": None}[mark], f"said {mark}")


def poller(*patterns: str, **more: Any) -> Poller:
    time = Time()
    config = HealthConfig(urls=("http://app/",), **more)
    checks = [Says(pattern) for pattern in patterns]
    return Poller(config, checks, lambda _: None, time.now, time.monotonic, time.sleep)


def test_healthy_after_as_many_successes_as_asked_and_not_one_more() -> None:
    time, seen = Time(), list[HealthSample]()
    with serve(lambda _: 200) as application:
        health = watched(time, application.url, seen=seen, successes=3, interval=2)
    assert health.ok
    assert application.asked == 3
    assert time.slept == [2, 2]
    assert health.samples == tuple(seen)
    assert [sample.at for sample in seen] == [Time(t).now() for t in (0, 2, 4)]
    assert "3 in a row" in health.detail


def test_flapping_starts_the_count_anew() -> None:
    pattern = [200, 200, 503, 200, 200, 500, 200, 200, 200]
    with serve(lambda n: pattern[n - 1]) as application:
        health = watch(application.url)
    assert health.ok
    assert [sample.ok for sample in health.samples] == [p == 200 for p in pattern]


def test_flapping_for_ever_is_not_healthy() -> None:
    with serve(lambda n: 503 if n % 3 == 0 else 200) as application:
        health = watch(application.url, successes=3, deadline=30)
    assert not health.ok
    assert "of 31 samples were good" in health.detail
    assert "answered 503 and not 200: not yet" in health.detail


def test_200_and_then_a_crash_is_not_healthy() -> None:
    with serve(lambda n: 200 if n <= 2 else "break") as application:
        health = watch(application.url, deadline=5)
    assert not health.ok
    assert health.samples[1].ok
    assert "could not be asked" in health.samples[2].detail


def test_the_deadline_ends_a_row_that_is_too_short() -> None:
    with serve(lambda n: 200 if n > 4 else 503) as application:
        health = watch(application.url, successes=3, deadline=5)
    assert not health.ok
    assert "the last 2 of them in a row, 3 are needed" in health.detail


def test_nobody_listening_is_a_sample_and_no_crash() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        health = watch(f"http://127.0.0.1:{closed.getsockname()[1]}/", deadline=2)
    assert not health.ok
    assert len(health.samples) == 3
    assert "could not be asked" in health.detail


def test_all_urls_must_be_healthy_in_the_same_round() -> None:
    with serve(lambda _: 200) as first, serve(lambda n: 200 if n > 3 else 503) as second:
        health = watch(first.url, second.url, successes=2)
    assert health.ok
    assert [sample.ok for sample in health.samples] == [False, False, False, True, True]
    assert "2 checks were good" in health.detail


def marks(health: Health) -> str:
    return "".join({True: "+", False: "-", None: "?"}[sample.ok] for sample in health.samples)


@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("+++", "+++"),
        ("+-++", "+-++"),  # three of the last four
        ("--+-+++", "--+-++"),
        ("++--+++", "++--+++"),
        ("+?++", "+?++"),
        ("++-+", "++-+"),
    ],
)
def test_k_of_the_last_n_samples_are_enough(pattern: str, taken: str) -> None:
    health = poller(pattern, successes=3, out_of=4).poll()
    assert health.vital is Vital.HEALTHY
    assert marks(health) == taken


def test_the_last_sample_must_be_good_whatever_came_before() -> None:
    health = poller("++-", successes=2, out_of=5, deadline=1.5, interval=1).poll()
    assert health.vital is Vital.HEALTHY
    health = poller("+-+--", successes=3, out_of=5, deadline=4).poll()
    assert health.vital is Vital.UNHEALTHY
    assert "2 of the last 5, 3 are needed" in health.detail


def test_not_knowing_is_neither_healthy_nor_not() -> None:
    health = poller("?", deadline=3).poll()
    assert health.vital is Vital.INCONCLUSIVE
    assert not health.ok
    assert "0 of 4 samples were good within 3 s, 4 could not be taken" in health.detail
    assert "said ?" in health.detail


def test_one_bad_sample_among_the_latest_is_unhealthy_whatever_is_not_known() -> None:
    assert poller("?-?", deadline=2).poll().vital is Vital.UNHEALTHY
    assert (
        poller("-???", deadline=3).poll().vital is Vital.INCONCLUSIVE
    )  # three in a row are looked at
    assert poller("++?", deadline=2).poll().vital is Vital.INCONCLUSIVE


def test_a_bad_answer_counts_before_one_that_could_not_be_had() -> None:
    health = poller("?", "-", deadline=0).poll()
    assert (health.vital, marks(health)) == (Vital.UNHEALTHY, "-")
    health = poller("?", "+", deadline=0).poll()
    assert (health.vital, marks(health)) == (Vital.INCONCLUSIVE, "?")


def test_baking_watches_for_the_whole_window() -> None:
    made = poller("+", bake=10.0, interval=1.0)
    health = made.bake()
    assert health.vital is Vital.HEALTHY
    assert len(health.samples) == 11
    assert "0 of 11 samples were bad, 0.0% may be" in health.detail


def test_one_bad_sample_ends_the_baking_when_none_is_allowed() -> None:
    health = poller("+++-+", bake=100.0).bake()
    assert health.vital is Vital.UNHEALTHY
    assert marks(health) == "+++-"
    assert "said -" in health.detail


def test_a_share_of_bad_samples_may_be() -> None:
    assert poller("+-++++++++", bake=10.0, bake_errors=0.1).bake().vital is Vital.HEALTHY
    health = poller("+-+-++++++", bake=10.0, bake_errors=0.1).bake()
    assert health.vital is Vital.UNHEALTHY
    assert marks(health) == "+-+-"  # two of eleven are too many whatever follows


def test_slow_answers_leave_fewer_samples_and_the_share_is_of_those() -> None:
    time = Time()
    config = HealthConfig(urls=("http://app/",), bake=10.0, interval=1.0, bake_errors=0.1)
    check = Says("++-+", slow=2.0, time=time)
    made = Poller(config, [check], lambda _: None, time.now, time.monotonic, time.sleep)
    health = made.bake()
    assert marks(health) == "++-" + "+" * (len(health.samples) - 3)
    assert len(health.samples) < 10
    assert health.vital is Vital.UNHEALTHY


def test_baking_that_could_hardly_look_is_inconclusive() -> None:
    health = poller("+????+", bake=5.0).bake()
    assert health.vital is Vital.INCONCLUSIVE
    assert "only 2 of 6 samples could be taken" in health.detail
    assert poller("+??+++", bake=5.0).bake().vital is Vital.HEALTHY
    assert poller("?", bake=1.0).bake().vital is Vital.INCONCLUSIVE
