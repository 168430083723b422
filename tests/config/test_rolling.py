"""[[target.rolling]]: what cannot be meant is refused before anything is done."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from deployguard.config import Config, RollingConfig, parse
from deployguard.errors import UsageError

FILE = """
[project]
name = "shop"
[target]
kind = "{kind}"
services = ["web", "worker"]
{entries}
[environments.production]
database_url = "sqlite:///shop.db"
"""


def read(entries: str, kind: str = "compose") -> Config:
    document = tomllib.loads(FILE.format(kind=kind, entries=entries))
    return parse(document, Path("deployguard.toml"))


def test_a_proxied_service_and_a_worker() -> None:
    config = read(
        """
        [[target.rolling]]
        service = "web"
        upstream_file = "nginx/web.conf"
        upstream_line = "server {name}:8000;"
        switch = [["docker", "compose", "exec", "-T", "nginx", "nginx", "-s", "reload"]]
        drain = 5
        [[target.rolling]]
        service = "worker"
        """
    )
    web, worker = config.environment("production").target.rolling
    assert (web.upstream_file, web.drain, web.proxied) == ("nginx/web.conf", 5, True)
    assert worker == RollingConfig("worker")
    assert not worker.proxied
    assert read("").environment("production").target.rolling == ()


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("{service = 'wep'}", r"'wep', which is not among the services: web, worker"),
        ("{service = 'web'}, {service = 'web'}", "'web' is there twice"),
        ("{service = 'web', upstream_file = 'u'}", "both upstream_file and upstream_line"),
        ("{service = 'web', upstream_line = '{name}'}", "both upstream_file and upstream_line"),
        ("{service = 'web', upstream_file = 'u', upstream_line = 'x'}", "has no {name}"),
        ("{service = 'web', upstream_file = 'u', upstream_line = '{name}'}", "needs switch"),
        ("{service = 'web', switch = [[]]}", "a command of switch is empty"),
        ("{service = 'web', drain = -1}", "must not be negative"),
        ("{sevice = 'web'}", "service"),
    ],
)
def test_what_cannot_be_meant_is_refused(entry: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read(f"rolling = [{entry}]")


def test_commands_have_no_services_to_double() -> None:
    with pytest.raises(UsageError, match="the kind is 'commands'"):
        read("rolling = [{service = 'web'}]", kind="commands")
