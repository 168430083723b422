"""The file that a proxy includes: whole or not at all, and shares that leave nobody out."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from deployguard.config import RollingConfig, TargetConfig
from deployguard.containers import Compose
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Redactor
from deployguard.targets import UpdateFailed
from deployguard.targets.proxy import Proxy, share, upstream


def proxy(folder: Path, *switch: tuple[str, ...], file: str = "web.conf") -> Proxy:
    config = RollingConfig("web", file, "server {name}:8000;", switch)
    compose = Compose(TargetConfig(), folder, dict(os.environ), Redactor(("hunter2",)))
    return Proxy(config, compose, 30, lambda _: None)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 16, 17, 40])
def test_the_shares_match_every_number_once_and_are_alike(count: int) -> None:
    shares = [re.compile(share(number, count)) for number in range(count)]
    hits = [0] * count
    for number in range(256):
        found = [i for i, one in enumerate(shares) if one.search(f"{number * 7919:032x}")]
        assert len(found) == 1
        hits[found[0]] += 1
    assert max(hits) - min(hits) <= 16


def test_each_replica_has_its_line() -> None:
    assert upstream("server {name}:8000;", ("a", "b")) == "server a:8000;\nserver b:8000;\n"
    assert upstream("~{share} {name};", ("a", "b")) == (
        "~(0|2|4|6|8|a|c|e)$ a;\n~(1|3|5|7|9|b|d|f)$ b;\n"
    )


def test_the_file_is_replaced_and_the_commands_know_who_serves_and_who_leaves(
    tmp_path: Path,
) -> None:
    note = ("sh", "-c", 'echo "$DEPLOYGUARD_CONTAINERS / $DEPLOYGUARD_LEAVING" >> told')
    made = proxy(tmp_path, note)
    made.preflight()
    assert made.tell(("b", "c"), ("a",), "d1")
    file = tmp_path / "web.conf"
    inode = file.stat().st_ino
    assert stat.S_IMODE(file.stat().st_mode) == 0o644  # the proxy is another user
    assert not made.tell(("b", "c"), ("a",), "d1")
    assert file.stat().st_ino == inode
    assert made.tell(("d",), (), "d1")
    assert file.read_text() == "server d:8000;\n"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["told", "web.conf"]
    assert (tmp_path / "told").read_text() == "b c / a\nb c / a\nd / \n"


def test_what_is_missing_is_found_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        proxy(tmp_path, ("true",), file="www/web.conf").preflight()
    with pytest.raises(EnvironmentUnreachable, match="no-such-program"):
        proxy(tmp_path, ("no-such-program",)).preflight()


def test_a_command_that_fails_is_said_without_its_secrets(tmp_path: Path) -> None:
    failing = proxy(tmp_path, ("sh", "-c", "echo no hunter2; exit 3"))
    with pytest.raises(UpdateFailed, match=r"The command sh -c .* failed") as caught:
        failing.tell(("a",), (), "d1")
    assert "hunter2" not in caught.value.message
