"""scripts/quickstart tells its story to the end: exit codes as announced, every row in place, nothing left running."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Where the tests run in the project's own .venv, the script itself; elsewhere what it starts there, for it would
# make a second environment.
OWN = Path(sys.prefix) == ROOT / ".venv"
COMMAND = ["scripts/quickstart"] if OWN else [sys.executable, "scripts/quickstart.py"]

pytestmark = [pytest.mark.slow]


def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        COMMAND, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=280, check=False
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    parts = re.split(r"^\d\. ", done.stdout, flags=re.MULTILINE)
    assert [re.findall(r"\(exit code (\d+)\)", part)[:2] for part in parts[1:]] == [
        ["0"],
        ["11", "0"],
        ["21", "0"],  # the deploy that came back, and then `history`
    ]
    before = re.findall(r"^rows before: (.*)$", done.stdout, re.MULTILINE)
    after = re.findall(r"^rows after : (.*)$", done.stdout, re.MULTILINE)
    assert before
    assert set(before) == set(after)
    assert "bookings 1200" in after[0]
    assert '"version":"1.2"' in parts[3]
    assert "Traceback" not in told
    assert not list(tmp_path.iterdir())  # nothing is left behind
    assert not running_in(tmp_path)


def running_in(folder: Path) -> list[str]:
    """The processes whose current folder is inside ``folder``."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if str(link.readlink()).startswith(str(folder)):
                found.append(link.parent.name)
        except OSError:  # it is somebody else's, or has just ended
            continue
    return found
