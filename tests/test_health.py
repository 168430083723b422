"""Healthy means: every URL, the expected status, several times in a row, before the deadline."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from deployguard.config import HealthConfig
from deployguard.errors import UsageError
from deployguard.health import poll, without_credentials
from deployguard.model import Health, HealthSample


@dataclass
class Application:
    """A real HTTP server whose n-th answer is what `answer(n)` says: a status, or a way to fail."""

    answer: Callable[[int], int | str]
    body: bytes = b"checking"
    asked: int = 0
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(answer: Callable[[int], int | str], body: bytes = b"not yet") -> Iterator[Application]:
    application = Application(answer, body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            application.asked += 1
            application.paths.append(self.path)
            what = application.answer(application.asked)
            if what == "break":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if what == "hang":
                threading.Event().wait(1.5)
                return
            if what == "garbage":
                self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
                return
            assert isinstance(what, int)
            self.send_response(what)
            if what == 302:
                self.send_header("Location", "http://u:canary@elsewhere/login")
            self.send_header("Content-Length", str(len(application.body)))
            self.end_headers()
            self.wfile.write(application.body)

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        application.url = f"http://127.0.0.1:{server.server_port}/health"
        try:
            yield application
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Time:
    """A clock that only sleeping moves."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return datetime(2026, 2, 18, tzinfo=UTC) + timedelta(seconds=self.seconds)


def watch(*urls: str, successes: int = 3, deadline: float = 20, **more: Any) -> Health:
    return watched(Time(), *urls, successes=successes, deadline=deadline, **more)


def watched(time: Time, *urls: str, seen: list[HealthSample] | None = None, **more: Any) -> Health:
    config = HealthConfig(urls=urls, **more)
    on_sample = (seen if seen is not None else []).append
    return poll(
        config, on_sample=on_sample, clock=time.now, monotonic=time.monotonic, sleep=time.sleep
    )


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


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("hang", "did not answer within 0.3 s"),
        ("garbage", "could not be asked"),
        ("break", "could not be asked"),
        (404, "answered 404 and not 200: not yet"),
        (204, "answered 204 and not 200"),
        (302, "answered 302 and not 200 (it redirects to http://***@elsewhere/login)"),
    ],
)
def test_every_other_answer_is_not_healthy(what: int | str, said: str) -> None:
    with serve(lambda _: what) as application:
        health = watch(application.url, deadline=0.5, timeout=0.3 if what == "hang" else 5)
    assert not health.ok
    assert said in health.detail


def test_a_redirect_is_not_followed() -> None:
    with serve(lambda _: 302) as application:
        watch(application.url, deadline=3)
    assert set(application.paths) == {"/health"}


def test_another_status_can_be_the_expected_one() -> None:
    with serve(lambda _: 204, body=b"") as application:
        assert watch(application.url, expect_status=204).ok


def test_all_urls_must_be_healthy_in_the_same_round() -> None:
    with serve(lambda _: 200) as first, serve(lambda n: 200 if n > 3 else 503) as second:
        health = watch(first.url, second.url, successes=2)
    assert health.ok
    assert [sample.ok for sample in health.samples] == [False, False, False, True, True]
    assert "2 urls answered 200" in health.detail


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with serve(lambda _: 500, body=b"x" * 5_000_000) as application:
        health = watch(application.url, deadline=0)
    assert len(health.detail) < 400


def test_nothing_to_ask_and_what_is_no_url_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="urls is empty"):
        watch()
    for odd in ("localhost:8000/health", "ftp://h/x", "http://", "postgres"):
        with pytest.raises(UsageError, match="is not an http"):
            watch(odd)


def test_credentials_are_not_shown() -> None:
    assert without_credentials("http://u:p@h:1/x?y") == "http://***@h:1/x?y"
    assert without_credentials("http://h/a@b") == "http://h/a@b"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        health = watch(f"http://u:canary@127.0.0.1:{closed.getsockname()[1]}/", deadline=0)
    assert "canary" not in repr(health)


def test_this_machine_is_not_asked_by_way_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serve(lambda _: 200) as application:
        assert watch(application.url, successes=1).ok
        assert watch(application.url.replace("127.0.0.1", "localhost"), successes=1).ok
