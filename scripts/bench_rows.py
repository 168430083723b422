"""The rows and the text of what is measured of backups."""

import os
import platform
import subprocess
from statistics import median

from bench_page import BACKUPS, processor
from bench_runs import Times

MEASURED = """\
Written by `scripts/bench backups`: a shop's tables with numbers, texts, JSON, arrays and files that cannot be
compressed, thirteen indexes and five foreign keys, on a server that flushes what is committed. Each round runs
every command once, in turn; {rounds} rounds count. A column of seconds holds the median, and the least and the
most. The ratio is the median of the rounds' ratios: below 1 ours is the faster, or the smaller. Ours does more
than its peers: it counts every row, flushes, seals, and reads all of it back; a restore is read back first, and
has its statistics collected and its rows counted before it is swapped in.

Measured on {machine};
`compression = "auto"` is {compression} there, with {jobs} jobs.
The machine was shared; others kept {load} processors busy meanwhile.

| what | ours | | peer | | ratio | target | met |
| --- | --- | --- | --- | --- | --- | --- | --- |"""
WHY = """\
What the numbers come from:

- A bare dump that is compressed alike is quicker than ours by what counting every row, flushing, two digests of each
  file and reading it all back take, on processors that the server needs as well.
- Where pg_dump has only gzip (before version 16, or built without zstd), "auto" is gzip:4: gzip's sixth level on two
  processors is at best twice as fast as on one, and its first leaves a tenth to a quarter more.
- A restore is the server's work: it writes the rows and the log, builds the indexes and checks the foreign keys.
  `pg_restore -j` spreads that over the processors; with two of them that is less than twice as fast as `psql`, and
  reading back, statistics and counting come on top. More processors, and tables of like size, bring it nearer.
"""


def compared(what: str, ours: Times, peer: Times, target: float | None) -> str:
    """A row: the median of the ratios of each pair, below 1 ours is the faster."""
    ratio = median(a / b for a, b in zip(ours.seconds, peer.seconds, strict=True))
    said = "" if target is None else f"≤ {target:.2g}"
    met = "" if target is None else "yes" if ratio <= target else "**no**"
    sides = f"{ours.name} | {ours.words()} s | {peer.name} | {peer.words()} s"
    return f"| {what} | {sides} | {ratio:.2f} | {said} | {met} |"


def sized(what: str, ours: tuple[str, float], peer: tuple[str, float], target: float) -> str:
    """A row on bytes."""
    ratio = ours[1] / peer[1]
    met = "yes" if ratio <= target else "**no**"
    own, other = (f"{value / 10**6:,.1f} MB" for _, value in (ours, peer))
    return (
        f"| {what} | {ours[0]} | {own} | {peer[0]} | {other} | {ratio:.3f} | ≤ {target:g} | {met} |"
    )


def grown(what: str, small: tuple[int, int], large: tuple[int, int]) -> str:
    """A row on memory: (bytes of the database, bytes of our process), of a small database and of a large one."""
    words = [f"{size / 10**6:,.0f} MB" for size, _ in (small, large)]
    return sized(what, (f"of {words[1]}", large[1]), (f"of {words[0]}", small[1]), 1.1)


def page(rows: list[str], program: str, form: tuple[str, int], rounds: int, load: float) -> str:
    """The part of the page. ``load``: how many processors others kept busy."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    compression, jobs = form
    measured = MEASURED.format(
        rounds=rounds,
        machine=f"{processor()}, {os.cpu_count()} cores, {platform.system()}, {told.strip()}",
        compression=compression,
        jobs=jobs,
        load=f"{load:.1f}",
    )
    return "\n".join([BACKUPS, "", measured, *rows, "", WHY])
