"""The page of measurements has three parts, each written by the script that measures it."""

import os
import platform
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BACKUPS = "## Backups"
DEPLOYS = "## Deploys"


def write_checks(text: str) -> None:
    """Replace what stands above the other parts."""
    _write(0, text)


def write_backups(text: str) -> None:
    """Replace the part on backups; ``text`` begins with its heading."""
    _write(1, text)


def write_deploys(text: str) -> None:
    """Replace the part on deploys; ``text`` begins with its heading."""
    _write(2, text)


def _write(place: int, text: str) -> None:
    rest, heading, below = PAGE.read_text(encoding="utf-8").partition(DEPLOYS)
    above, heading_above, backups = rest.partition(BACKUPS)
    parts = [above, heading_above + backups, heading + below]
    parts[place] = text
    PAGE.write_text(
        "\n\n".join(part.strip() for part in parts if part.strip()) + "\n", encoding="utf-8"
    )


def processor() -> str:
    """What the machine calls its processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def busy() -> float:
    """CPU seconds that the whole machine has worked; 0.0 where nobody tells."""
    try:
        words = Path("/proc/stat").read_text(encoding="utf-8").split()
    except OSError:
        return 0.0
    user, nice, system = (int(word) for word in words[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")
