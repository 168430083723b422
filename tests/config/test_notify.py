"""[notify] names variables, never addresses, and only events that there are."""

from pathlib import Path

import pytest

from deployguard.config.load import parse
from deployguard.config.notify import EVENTS, NotifyConfig
from deployguard.errors import UsageError

SECRET = "https://hooks.slack.com/services/T0CANARY/B0CANARY/canary"


def notify(**table: object) -> NotifyConfig:
    document = {
        "project": {"name": "bookings"},
        "notify": table,
        "environments": {"production": {"database_url": "sqlite:///a.db"}},
    }
    return parse(document, Path("deployguard.toml")).environment().notify


def test_one_name_or_several() -> None:
    assert notify(urls_env="SLACK").urls_env == ("SLACK",)
    assert notify(urls_env=["SLACK", "MAIL_2"]).urls_env == ("SLACK", "MAIL_2")
    assert notify().urls_env == ()


@pytest.mark.parametrize("key", ["urls_env", "link_env"])
@pytest.mark.parametrize("value", [SECRET, [SECRET], ["SLACK", SECRET], [3], {"a": SECRET}, ""])
def test_an_address_is_refused_and_not_repeated(key: str, value: object) -> None:
    if key == "link_env" and value == "":
        return
    with pytest.raises(UsageError) as caught:
        notify(**{key: value})
    assert "canary" not in str(caught.value).lower()


def test_what_is_told_must_be_something_that_happens() -> None:
    assert notify(on=["backup-missed"]).on == ("backup-missed",)
    assert notify(on=[]).on == ()
    with pytest.raises(UsageError, match="use one of: deploy-started"):
        notify(on=["backup-lost"])


def test_by_default_what_somebody_must_know_is_told() -> None:
    quiet = {"deploy-started", "deploy-migrated", "backup-taken"}
    assert set(notify().on) == set(EVENTS) - quiet


def test_a_message_needs_a_moment() -> None:
    with pytest.raises(UsageError, match="at least 1"):
        notify(timeout=0)
