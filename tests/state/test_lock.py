"""The deploy lock: one holder, freed by a crash, and it says who."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployguard.errors import Busy
from deployguard.state import DeployLock, StateError, holder

HOLD = """
import sys, time
from pathlib import Path
from deployguard.state import DeployLock
with DeployLock(Path(sys.argv[1]), "production").hold("deploy", "ann"):
    print("held", flush=True)
    time.sleep(60)
"""
RACE = """
import os, sys
from pathlib import Path
from deployguard.errors import Busy
from deployguard.state import DeployLock
won = 0
for _ in range(200):
    try:
        with DeployLock(Path(sys.argv[1]), "production").hold("race", "ann"):
            inside = os.open(sys.argv[1] + "/inside", os.O_CREAT | os.O_EXCL)
            os.close(inside)
            os.unlink(sys.argv[1] + "/inside")
            won += 1
    except Busy:
        pass
print(won)
"""


def _child(folder: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "held\n"
    return child


def test_a_second_deploy_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    child = _child(tmp_path)
    try:
        with pytest.raises(Busy) as caught, DeployLock(tmp_path, "production").hold("x", "bob"):
            pass
        assert "by ann" in caught.value.message
        assert f"process {child.pid}" in caught.value.message
        assert "to deploy" in caught.value.message
        assert caught.value.next_commands == ("deployguard status --env production",)
        assert holder(tmp_path, "production").pid == child.pid
    finally:
        child.kill()
        child.communicate()


def test_kill_9_frees_the_lock(tmp_path: Path) -> None:
    child = _child(tmp_path)
    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    assert holder(tmp_path, "production") is None
    with DeployLock(tmp_path, "production").hold("deploy", "bob"):
        assert holder(tmp_path, "production").by == "bob"


def test_environments_do_not_block_each_other(tmp_path: Path) -> None:
    with (
        DeployLock(tmp_path, "production").hold("deploy", "ann"),
        DeployLock(tmp_path, "staging").hold("deploy", "ann"),
    ):
        assert holder(tmp_path, "development") is None


def test_the_lock_names_its_deploy_while_it_is_held(tmp_path: Path) -> None:
    lock = DeployLock(tmp_path, "production")
    with lock.hold("deploy", "ann"):
        lock.name("20260218-103000-ab12", "deploy", "ann")
        assert holder(tmp_path, "production").deploy == "20260218-103000-ab12"
        with pytest.raises(Busy, match="20260218-103000-ab12"), lock.hold("deploy", "bob"):
            pass


def test_two_racers_are_never_both_inside(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    wins = [int(racer.communicate()[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert all(wins), wins


def test_an_error_inside_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ValueError), DeployLock(tmp_path, "production").hold("deploy", "ann"):
        raise ValueError
    assert holder(tmp_path, "production") is None


def test_a_lock_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lock = DeployLock(tmp_path / "file", "production")
    with pytest.raises(StateError, match="cannot be taken"), lock.hold("deploy", "ann"):
        pass
