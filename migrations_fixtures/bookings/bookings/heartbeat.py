"""Is the worker alive? `python -m bookings.heartbeat` tells a container's health check, and imports next to nothing."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

FILE = Path(
    os.environ.get("BOOKINGS_HEARTBEAT") or Path(tempfile.gettempdir()) / "bookings-worker.alive"
)
ALIVE_SECONDS = 30


def is_alive() -> bool:
    try:
        return time.time() - FILE.stat().st_mtime < ALIVE_SECONDS
    except FileNotFoundError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
