"""Measures backups and restores beside pg_dump and psql, run by run in turn, and writes docs/benchmarks.md."""

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench_database import fill
from bench_page import busy, write_backups
from bench_projects import project
from bench_rows import compared, grown, page, sized
from bench_runs import Asking, Run, Times, once

from deployguard.backups import Site, catalogue, pgtools
from deployguard.config import parse_url
from deployguard.model import BackupRecord
from tests.support.postgres import Server, Tree, serve, trees

WORK = Path(__file__).resolve().parent.parent / "build" / "bench-backups"
HERE = Path(sys.executable).parent
UNITS = {"MB": 10**6, "GB": 10**9}
# As a server is that somebody lives on: what is committed is on the disk.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_level": "replica",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
}


@dataclass
class Shop:
    """A database on the server, the project that backs it up, and where the peers write."""

    server: Server
    name: str
    pg: Path
    size: int  # bytes
    backups: list[Path] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return WORK / self.name

    @property
    def env(self) -> dict[str, str]:
        return {**self.server.environment(self.name), "DATABASE_URL": self.server.url(self.name)}

    def program(self, name: str) -> str:
        return str(self.pg / name)

    def settle(self) -> None:
        """Let nobody pay for what another one has written."""
        self.server.sql("CHECKPOINT")
        os.sync()

    def records(self) -> tuple[BackupRecord, ...]:
        return catalogue.listing(self.folder / ".deployguard" / "backups").records


def make(server: Server, pg: Path, size: int) -> Shop:
    """A database of about ``size`` bytes, and a project beside it."""
    name = f"shop{size // UNITS['MB']}"
    server.create_database(name)
    print(f"filling {name}", file=sys.stderr)
    shop = Shop(server, name, pg, fill(lambda text: server.sql(text, name), size))
    project(shop.folder, 1)
    with (shop.folder / "deployguard.toml").open("a") as file:
        file.write(f'[environments.development.backup]\npg_bin = "{pg}"\n')
    return shop


# --- what is compared ------------------------------------------------------------------------------


def create(shop: Shop) -> Run:
    argv = [str(HERE / "deployguard"), "backup", "create"]
    return Run("`deployguard backup create`", [argv], shop.env)


def zipped(shop: Shop) -> Run:
    target = shop.folder / "dump.sql.gz"
    programs = [[shop.program("pg_dump")], ["gzip"]]
    return Run("`pg_dump \\| gzip > file`", programs, shop.env, target)


def bare(shop: Shop, jobs: int, compression: str = "") -> Run:
    target = shop.folder / "bare"
    # Before version 16 a level alone is known, and means gzip's in every version.
    compression = compression.removeprefix("gzip:")
    more = [f"--compress={compression}"] if compression else []
    argv = [shop.program("pg_dump"), "-Fd", f"-j{jobs}", *more, "-f", str(target)]
    name = " ".join(
        ["pg_dump", "-Fd", f"-j {jobs}", *(f"-Z {one}" for one in [compression] if one)]
    )
    return Run(
        f"`{name}`", [argv], shop.env, before=lambda: shutil.rmtree(target, ignore_errors=True)
    )


def restore(shop: Shop, record: BackupRecord) -> Run:
    words = ["restore", record.id, "--confirm", record.id, "--no-emergency-backup"]
    argv = [str(HERE / "deployguard"), "backup", *words]
    return Run("`deployguard backup restore`", [argv], shop.env, before=lambda: forget(shop))


def by_psql(shop: Shop) -> Run:
    name, dump = f"{shop.name}_psql", shop.folder / "dump.sql"

    def before() -> None:
        shop.server.drop_database(name)
        shop.server.sql(f"CREATE DATABASE {name} TEMPLATE template0")

    argv = [shop.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    return Run(
        "`psql < dump.sql`", [argv], shop.env | {"PGDATABASE": name}, source=dump, before=before
    )


def by_pg_restore(shop: Shop, record: BackupRecord, jobs: int) -> Run:
    """The same dump, without anything around it."""
    name, dump = f"{shop.name}_bare", shop.folder / ".deployguard" / "backups" / record.id

    def before() -> None:
        shop.server.drop_database(name)
        shop.server.sql(f"CREATE DATABASE {name} TEMPLATE template0")

    argv = [shop.program("pg_restore"), f"-j{jobs}", "-d", name, str(dump)]
    return Run(f"`pg_restore -j {jobs}`", [argv], shop.env, before=before)


def forget(shop: Shop) -> None:
    """Drop the databases that restores have replaced."""
    kept = f"SELECT datname FROM pg_database WHERE starts_with(datname, '{shop.name}_failed')"
    for name in shop.server.sql(kept).split():
        shop.server.drop_database(name)


def in_turn(shop: Shop, runs: list[Run], rounds: int) -> tuple[list[Times], int]:
    """(the seconds of each run, the peak memory of the first): A B C A B C …; what is read was just written."""
    times, peak = [Times(run.name) for run in runs], 0
    for _ in range(rounds):
        for kept, run in zip(times, runs, strict=True):
            shop.settle()
            seconds, most = once(run, shop.folder)
            if run is runs[0]:
                peak = max(peak, most)
            kept.seconds.append(seconds)
    return times, peak


def chosen(folder: str) -> tuple[Tree, str]:
    """A server with its programs, and how its backups are compressed: the newest, first of those that have zstd."""
    here = (*trees(), *([_tree(Path(folder))] if folder else []))
    found = [(tree, _compression(tree)) for tree in here if not folder or str(tree.bin) == folder]
    return max(found, key=lambda one: (one[1] == pgtools.ZSTD, one[0].version))


def _tree(folder: Path) -> Tree:
    tools = pgtools.at(folder)
    if tools is None:
        raise SystemExit(f"there is no pg_dump in {folder}")
    return Tree(tools.major, folder)


def _compression(tree: Tree) -> str:
    tools, site = (
        pgtools.at(tree.bin),
        Site(parse_url("postgresql://h/d", "x"), Path("/"), "p", "e"),
    )
    return pgtools.form(site, tools).compression if tools else ""


def backups(shop: Shop, small: Shop, rounds: int, form: tuple[str, int]) -> list[str]:
    """The rows on taking backups."""
    compression, jobs = form
    peers = [zipped(shop), bare(shop, jobs), bare(shop, jobs, compression)]
    times, peak = in_turn(shop, [create(shop), *peers], rounds)
    _, little = in_turn(small, [create(small)], 1)
    ours, what = times[0], f"a backup of {shop.size / 10**9:.2f} GB"
    zip_size = (shop.folder / "dump.sql.gz").stat().st_size
    return [
        compared(what, ours, times[1], 1 / 3),
        compared(what, ours, times[2], 1.3),
        compared(f"{what}, compressed alike", ours, times[3], 1.3),
        sized("its size", (ours.name, shop.records()[0].size), (times[1].name, zip_size), 1.0),
        grown("memory of a backup", (small.size, little), (shop.size, peak)),
    ]


def restores(shop: Shop, small: Shop, rounds: int, jobs: int) -> list[str]:
    """The rows on restores."""
    with (shop.folder / "dump.sql").open("wb") as file:
        subprocess.run([shop.program("pg_dump")], env=shop.env, stdout=file, check=True)
    record = shop.records()[0]
    runs = [restore(shop, record), by_psql(shop), by_pg_restore(shop, record, jobs)]
    with Asking(shop.server.url(shop.name)) as client:
        times, peak = in_turn(shop, runs, rounds)
    _, little = in_turn(small, [restore(small, small.records()[0])], 1)
    what, away = f"a restore of {shop.size / 10**9:.2f} GB", client.away
    met = "yes" if max(away) < 1 else "**no**"
    return [
        compared(what, times[0], times[1], 1 / 2.5),
        compared(what, times[0], times[2], None),
        (
            f"| its swap: a client is without an answer | {times[0].name} | {median(away):.2f}"
            f" ({min(away):.2f} to {max(away):.2f}) s | | | | < 1 s | {met} |"
        ),
        grown("memory of a restore", (small.size, little), (shop.size, peak)),
    ]


def bytes_of(text: str) -> int:
    """1GB, 250MB."""
    number, unit = text[:-2], text[-2:].upper()
    if unit not in UNITS or not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 1GB or 250MB")
    return int(number) * UNITS[unit]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=bytes_of, default="1GB", help="of the database (1GB)")
    parser.add_argument("--small", type=bytes_of, default="250MB", help="of another, for memory")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bin", default="", help="folder of a PostgreSQL with pg_dump and server")
    parser.add_argument("--no-write", action="store_true", help="print the page only")
    asked = parser.parse_args()
    tree, compression = chosen(asked.bin)
    form = (compression, max(1, min(4, os.cpu_count() or 1)))
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    start, before, usage = time.perf_counter(), busy(), getrusage(RUSAGE_CHILDREN)
    with serve(tree, **SETTINGS) as server:
        small, shop = (make(server, tree.bin, size) for size in (asked.small, asked.size))
        rows = backups(shop, small, asked.rounds, form)
        rows += restores(shop, small, asked.rounds, form[1])
    after = getrusage(RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    load = max(0.0, busy() - before - own) / (time.perf_counter() - start)
    text = page(rows, tree.program("pg_dump"), form, asked.rounds, load)
    if not asked.no_write:
        write_backups(text)
    shutil.rmtree(WORK, ignore_errors=True)
    print(text)


if __name__ == "__main__":
    main()
