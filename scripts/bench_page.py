"""The page of measurements has two parts, each written by the script that measures it."""

import os
import platform
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BACKUPS = "## Backups"


def write_checks(text: str) -> None:
    """Replace what stands above the backups."""
    _, mark, below = _parts()
    PAGE.write_text(f"{text.rstrip()}\n\n{mark}{below}" if mark else text, encoding="utf-8")


def write_backups(text: str) -> None:
    """Replace the part on backups; ``text`` begins with its heading."""
    above, _, _ = _parts()
    PAGE.write_text(f"{above.rstrip()}\n\n{text.rstrip()}\n", encoding="utf-8")


def _parts() -> tuple[str, str, str]:
    return PAGE.read_text(encoding="utf-8").partition(BACKUPS)


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
