"""What counts as a good answer, and what is said about every other one."""

import socket
import time
from typing import Any

import pytest

from deployguard.errors import UsageError
from deployguard.health.http import HttpCheck, without_credentials
from tests.health.serving import serve


def ask(url: str, *, timeout: float = 5, **more: Any) -> tuple[bool | None, str]:
    answer = HttpCheck(url, timeout, **more).ask()
    return answer.ok, answer.detail


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
        ok, detail = ask(application.url, timeout=0.3 if what == "hang" else 5)
    assert ok is False
    assert said in detail


def test_a_redirect_is_not_followed() -> None:
    with serve(lambda _: 302) as application:
        assert ask(application.url)[0] is False
    assert set(application.paths) == {"/health"}


def test_another_status_can_be_the_expected_one() -> None:
    with serve(lambda _: 204, body=b"") as application:
        assert ask(application.url, status=204)[0]


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with serve(lambda _: 500, body=b"x" * 5_000_000) as application:
        _, detail = ask(application.url)
    assert len(detail) < 400


def test_credentials_are_not_shown() -> None:
    assert without_credentials("http://u:p@h:1/x?y") == "http://***@h:1/x?y"
    assert without_credentials("http://h/a@b") == "http://h/a@b"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = ask(f"http://u:canary@127.0.0.1:{closed.getsockname()[1]}/")
    assert "canary" not in repr(answer)


def test_this_machine_is_not_asked_by_way_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serve(lambda _: 200) as application:
        assert ask(application.url)[0]
        assert ask(application.url.replace("127.0.0.1", "localhost"))[0]


@pytest.mark.parametrize("odd", ["localhost:8000/health", "ftp://h/x", "http://", "postgres"])
def test_what_is_no_url_is_a_usage_error(odd: str) -> None:
    with pytest.raises(UsageError, match="is not an http"):
        HttpCheck(odd, 1)


def test_a_body_that_never_ends_is_not_waited_for() -> None:
    with serve(lambda _: "drip") as application:
        began = time.monotonic()
        ok, detail = ask(application.url, timeout=0.4, body="never")
        assert time.monotonic() - began < 20  # it would go on for ever
    assert ok is False
    assert "the body was not there within 0.4 s" in detail


def test_the_body_must_hold_the_text() -> None:
    with serve(lambda _: 200, body="alles läuft".encode()) as application:
        assert ask(application.url, body="läuft")[0]
        ok, detail = ask(application.url, body="steht")
    assert ok is False
    assert "answered 200, but without 'steht': alles läuft" in detail


def test_a_body_that_is_too_large_to_look_into_is_not_healthy() -> None:
    with serve(lambda _: 200, body=b"x" * 1_100_000 + b"ready") as application:
        ok, detail = ask(application.url, body="ready")
    assert ok is False
    assert "more than 1048576 bytes" in detail


BODY = b'{"status": "ok", "checks": [{"up": true, "n": 3}], "none": null}'


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$.status", "ok"),
        ("status", "ok"),
        ("$.checks[0].up", "true"),
        ("checks[0].n", "3"),
        ("$.none", "null"),
    ],
)
def test_a_value_in_the_json_is_compared(path: str, value: str) -> None:
    with serve(lambda _: 200, body=BODY) as application:
        assert ask(application.url, json_path=path, json_value=value)[0]
        ok, detail = ask(application.url, json_path=path, json_value=f"{value}?")
    assert ok is False
    assert f"{path} is {value!r} and not" in detail


@pytest.mark.parametrize(
    "path", ["$.state", "$.checks[1].up", "$.checks.up", "$.status[0]", "$[0]"]
)
def test_a_value_that_is_not_there_is_not_healthy(path: str) -> None:
    with serve(lambda _: 200, body=BODY) as application:
        ok, detail = ask(application.url, json_path=path, json_value="null")
    assert ok is False
    assert f"without a value at {path}" in detail


def test_what_is_no_json_is_not_healthy() -> None:
    with serve(lambda _: 200, body=b"<html>") as application:
        ok, detail = ask(application.url, json_path="$.status", json_value="ok")
    assert ok is False
    assert "no JSON: <html>" in detail


def test_an_answer_that_comes_too_late_is_not_healthy() -> None:
    def late(_: int) -> int:
        time.sleep(0.3)
        return 200

    with serve(late) as application:
        assert ask(application.url)[0]
        assert ask(application.url, latency=20)[0]
        ok, detail = ask(application.url, latency=0.2)
    assert ok is False
    assert "s and not at most 0.2 s" in detail
