"""[quiesce]: what cannot be meant is refused."""

from pathlib import Path

import pytest

from deployguard.config import QuiesceConfig, parse
from deployguard.errors import UsageError


def quiesce(kind: str = "compose", **table: object) -> QuiesceConfig:
    document = {
        "project": {"name": "bookings"},
        "environments": {"development": {"database_url": "sqlite:///a.db"}},
        "target": {"kind": kind},
        "quiesce": table,
    }
    return parse(document, Path("deployguard.toml")).environment("development").quiesce


def test_it_is_off_unless_something_is_named() -> None:
    assert not quiesce().does
    assert quiesce().level == "never"
    assert quiesce(services=["worker"], level="high").does


def test_an_environment_without_an_application_may_share_the_table() -> None:
    assert quiesce("none", level="high", services=["worker"]).does


@pytest.mark.parametrize(
    ("kind", "table", "said"),
    [
        ("compose", {"level": "high"}, "has a level, but neither"),
        ("compose", {"level": "higher"}, "use one of: never, low"),
        ("compose", {"on": [["a"]]}, "both on and off"),
        ("compose", {"on": [["a"]], "off": [[]]}, "a command is empty"),
        ("commands", {"services": ["worker"]}, "services are those of Compose"),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: str, table: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        quiesce(kind, **table)
    assert said in caught.value.message
