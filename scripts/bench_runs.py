"""Runs what is measured: programs joined by pipes, watched from outside, and a client beside them."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Self

import psycopg

PAUSE = 0.01  # seconds between two questions of the client that watches a restore


@dataclass(frozen=True)
class Run:
    """One side of a comparison: programs joined by pipes; the last one writes into ``output``."""

    name: str
    programs: list[list[str]]
    env: dict[str, str]
    output: Path = Path(os.devnull)
    source: Path = Path(os.devnull)
    before: Callable[[], None] = lambda: None


@dataclass
class Times:
    """The runs of one side: seconds of each."""

    name: str
    seconds: list[float] = field(default_factory=list)

    def words(self) -> str:
        return f"{median(self.seconds):.1f} ({min(self.seconds):.1f} to {max(self.seconds):.1f})"


def once(run: Run, folder: Path) -> tuple[float, int]:
    """(seconds, peak resident bytes of the first program); raises SystemExit when it fails."""
    run.before()
    start, running = time.perf_counter(), list[subprocess.Popen[bytes]]()
    with run.output.open("wb") as output, run.source.open("rb") as source:
        for number, argv in enumerate(run.programs):
            last = number == len(run.programs) - 1
            running.append(
                subprocess.Popen(
                    argv,
                    cwd=folder,
                    env=run.env,
                    stdin=running[-1].stdout if running else source,
                    stdout=output if last else subprocess.PIPE,
                    stderr=subprocess.PIPE if last else subprocess.DEVNULL,
                )
            )
        peak = 0
        with memory(running[0].pid) as grown:
            said = running[-1].communicate()[1]
            codes = [process.wait() for process in running]
        peak = grown()
    seconds = time.perf_counter() - start
    if any(codes):
        raise SystemExit(f"{run.name} ended with {codes}: {said.decode(errors='replace')[-2000:]}")
    print(f"{run.name}: {seconds:.1f} s, {peak / 10**6:.0f} MB", file=sys.stderr)
    return seconds, peak


@contextmanager
def memory(pid: int) -> Iterator[Callable[[], int]]:
    """Watch one process; what it yields tells the most that it has held, in bytes, its children not counted."""
    most, over = [0], threading.Event()
    status = Path(f"/proc/{pid}/status")

    def watch() -> None:
        while not over.is_set():
            try:
                lines = status.read_text().splitlines()
            except OSError:
                return
            told = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
            most[0] = max([most[0], *told])
            over.wait(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0] * 1024
    finally:
        over.set()
        thread.join()


class Asking(threading.Thread):
    """A client that keeps asking, and connects anew when it is thrown out; ``away``: seconds without an answer."""

    def __init__(self, url: str) -> None:
        super().__init__(name="asking")
        self.url, self.over = url, threading.Event()
        self.away: list[float] = []

    def run(self) -> None:
        link, last, lost = None, time.perf_counter(), False
        while not self.over.wait(PAUSE):
            try:
                link = link or psycopg.connect(self.url, autocommit=True)
                link.execute("SELECT version_num FROM alembic_version").fetchall()
            except psycopg.Error:
                link, lost = None, True
                continue
            now = time.perf_counter()
            if lost:
                self.away.append(now - last)
            last, lost = now, False
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()
