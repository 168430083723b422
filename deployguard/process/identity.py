"""Tell one process from another that was given the same number later."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that can be recognised again: number, start time in clock ticks since boot, and which boot.

    ``started`` is 0 and ``boot`` is empty on a system without /proc.
    """

    pid: int
    started: int
    boot: str


def boot_id() -> str:
    """The id of the boot we live in; empty when the kernel does not tell."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return ""


def identify(pid: int | None = None) -> Identity | None:
    """The process ``pid`` (None: ourselves) as it is now; None when there is none. A zombie has ended: None."""
    number = os.getpid() if pid is None else pid
    try:
        text = Path(f"/proc/{number}/stat").read_text()
    except OSError:
        return None if Path("/proc/self").exists() else _without_proc(number)
    # The program's name, in parentheses, may hold spaces and parentheses (proc(5)).
    fields = text.rpartition(")")[2].split()
    if fields[0] in "ZX":
        return None
    return Identity(number, int(fields[19]), boot_id())


def _without_proc(pid: int) -> Identity | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it exists and belongs to somebody else
    return Identity(pid, 0, "")


def alive(identity: Identity) -> bool:
    """Whether exactly this process still runs: not a later one with its number, not after a reboot."""
    return identify(identity.pid) == identity
