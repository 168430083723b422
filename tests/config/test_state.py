"""``[state]``: which database holds the journal; a secret only through the environment, and nothing instead of it."""

from pathlib import Path

import pytest

from deployguard.config import Config, parse, state_url
from deployguard.errors import UsageError


def _config(shared: dict[str, object], own: dict[str, object] | None = None) -> Config:
    production = {"database_url_env": "DATABASE_URL", "state": own or {}}
    document = {"project": {"name": "b"}, "state": shared, "environments": {"p": production}}
    return parse(document, Path("/x/deployguard.toml"))


def test_without_a_variable_the_journal_is_a_file() -> None:
    assert state_url(_config({}).environment(), {"STATE_URL": "postgresql://h/x"}) is None


def test_the_variable_holds_the_url() -> None:
    environment = _config({"url_env": "STATE_URL"}).environment()
    url = state_url(environment, {"STATE_URL": "postgresql://ann:pw@h/x"})
    assert url is not None
    assert (url.host, url.database) == ("h", "x")


def test_an_environment_may_keep_its_own() -> None:
    environment = _config({"url_env": "STATE_URL"}, {"url_env": ""}).environment()
    assert state_url(environment, {}) is None


def test_a_variable_that_is_not_set_is_an_error_and_no_file_is_taken_instead() -> None:
    with pytest.raises(UsageError, match="STATE_URL, which holds the URL for the journal of 'p'"):
        state_url(_config({"url_env": "STATE_URL"}).environment(), {})


def test_another_dialect_is_refused() -> None:
    environment = _config({"url_env": "STATE_URL"}).environment()
    with pytest.raises(UsageError, match="PostgreSQL database, not of mysql"):
        state_url(environment, {"STATE_URL": "mysql://h/x"})


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"url": "postgresql://h/x"}, "Unknown key 'url'"),
        ({"url_env": "DATABASE_URL"}, "cannot lie in the database that is deployed to"),
        ({"schema": "Mine"}, "lower-case"),
        ({"schema": "pg_mine"}, "without pg_"),
        ({"schema": 'x"; DROP TABLE t'}, "lower-case"),
        ({"patience": -1}, "negative"),
    ],
)
def test_what_cannot_be_right_is_refused(state: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        _config(state)
