"""[health] and [[health.checks]]: what is taken, and what cannot be meant."""

from pathlib import Path

import pytest

from deployguard.config import CheckConfig, HealthConfig, parse
from deployguard.config.health import address_of, json_steps
from deployguard.errors import UsageError


def health(**table: object) -> HealthConfig:
    document = {
        "project": {"name": "bookings"},
        "environments": {"development": {"database_url": "sqlite:///a.db"}},
        "health": table,
    }
    return parse(document, Path("deployguard.toml")).environment("development").health


def test_checks_are_read_in_their_order() -> None:
    read = health(
        checks=[
            {"kind": "http", "url": "http://a/", "json_path": "$.up", "json_value": "true"},
            {"kind": "tcp", "address": "db:5432"},
            {"kind": "command", "command": ["./smoke", "--fast"]},
        ]
    )
    assert read.checks == (
        CheckConfig("http", url="http://a/", json_path="$.up", json_value="true"),
        CheckConfig("tcp", address="db:5432"),
        CheckConfig("command", command=("./smoke", "--fast")),
    )
    assert read.asks
    assert not health().asks


def test_a_window_is_as_long_as_the_row_unless_it_is_given() -> None:
    assert health(successes=4).window == 4
    assert health(successes=4, out_of=6).window == 6


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"successes": 0}, "at least 1"),
        ({"successes": 3, "out_of": 2}, "successes (3) is more than out_of (2)"),
        ({"bake": 60}, "bake needs something to ask"),
        ({"bake": 60, "urls": ["http://a/"], "interval": 0}, "needs an interval above 0"),
        ({"bake_errors": 5}, "a share, from 0 to 1"),
        ({"checks": [{"kind": "http"}]}, "checks[0] is of kind 'http' and needs url"),
        ({"checks": [{"kind": "tcp", "address": "a:1"}, {"kind": "sql"}]}, "checks[1]"),
        ({"checks": [{"kind": "ping"}]}, "use one of: http, tcp, sql, container, command"),
        ({"checks": [{"url": "http://a/"}]}, "needs kind"),
        ({"checks": [{"kind": "tcp", "address": "a:1", "adress": "b"}]}, "address"),
        ({"checks": [{"kind": "tcp", "address": "a:1", "body": "b"}]}, "body means nothing"),
        ({"checks": [{"kind": "tcp", "address": "a:1", "url": "http://a/"}]}, "url means nothing"),
        ({"checks": [{"kind": "tcp", "address": "db"}]}, "use host:port"),
        ({"checks": [{"kind": "http", "url": "http://a/", "json_path": "$.a"}]}, "both json_path"),
        (
            {
                "checks": [
                    {"kind": "http", "url": "http://a/", "json_path": "$..a", "json_value": "1"}
                ]
            },
            "use names and places only",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(table: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        health(**table)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("$", ()),
        ("$.a.b", ("a", "b")),
        ("a[0].b-c", ("a", 0, "b-c")),
        ("$[2][10]", (2, 10)),
    ],
)
def test_a_json_path_is_names_and_places(path: str, steps: tuple[str | int, ...]) -> None:
    assert json_steps(path) == steps


@pytest.mark.parametrize("path", ["$..a", "$.*", "$[*]", "$[-1]", "$.a[?(@.b)]", "$['a']", "a b"])
def test_other_json_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_steps(path)


def test_an_address_is_a_host_and_a_port() -> None:
    assert address_of("db:5432") == ("db", 5432)
    assert address_of("[::1]:80") == ("::1", 80)
    for odd in ("db", "db:", ":80", "db:x", "u@db:80", "http://db:80", "db:80/x"):
        with pytest.raises(ValueError, match=r"."):
            address_of(odd)
