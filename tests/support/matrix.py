"""The interpreters of other SQLAlchemy and Alembic versions in which the recording child is tested (scripts/matrix)."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "tests" / "revisions" / "matrix.txt"
OURS = "development"
# The tests have a cache home of their own, which would be without these environments each time.
_ENVIRONMENT = dict(os.environ)


def names() -> tuple[str, ...]:
    """Every combination; the first is the environment that the tests run in."""
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    return OURS, *(line.split()[0] for line in lines if line and not line.startswith("#"))


@cache
def python(name: str) -> str:
    """The interpreter of one combination; it is made if this machine does not have it yet."""
    if name == OURS:
        return sys.executable
    asked = [ROOT / "scripts" / "matrix", name]
    environment = _ENVIRONMENT | {"PYTHON": sys.executable}
    made = subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)
    if made.returncode:
        raise RuntimeError(f"scripts/matrix {name}: {made.stderr.strip()}")
    return made.stdout.splitlines()[-1]
