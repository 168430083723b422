"""A time-out by progress: what moves goes on, what stands still is ended."""

import itertools
import sys
from pathlib import Path

from deployguard.process import run

STEPS = """
import sys, time
for number in range(int(sys.argv[2])):
    with open(sys.argv[1], "a") as file:
        file.write("x")
    time.sleep(0.2)
time.sleep(float(sys.argv[3]))
"""


def test_a_program_that_moves_may_take_longer_than_the_timeout(tmp_path: Path) -> None:
    """Each look finds another answer, so the time begins anew."""
    looks = itertools.count()
    argv = [sys.executable, "-c", "import time; time.sleep(1.5)"]
    done = run(argv, timeout=1.0, moving=lambda: next(looks))
    assert done.ok
    assert done.seconds > 1.0


def test_one_that_stands_still_is_ended(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    argv = [sys.executable, "-c", STEPS, str(file), "3", "600"]
    done = run(argv, timeout=3.0, moving=lambda: file.stat().st_size)
    assert done.timed_out
    assert file.stat().st_size == 3
    assert done.seconds < 300
