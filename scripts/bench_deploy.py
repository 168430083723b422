"""Measures a deploy beside the bare tools that it runs, in turn on one database, and writes docs/benchmarks.md."""

import argparse
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import datetime
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench_backups import bytes_of, chosen
from bench_database import fill
from bench_page import DEPLOYS, busy, processor, write_deploys
from bench_place import Place, Side
from bench_projects import project

from deployguard.config import load
from deployguard.deploy.keeping import journal_path
from deployguard.state import EventKind, Journal
from tests.support.postgres import Server, serve

WORK = Path(__file__).resolve().parent.parent / "build" / "bench-deploy"
HERE = Path(sys.executable).parent
PENDING = 4  # revisions: a table, and a column each
SHARE, SECONDS = 0.1, 2.0  # what a deploy may add: the greater of the two
STEPS = {"backup": "backup", "migrate": "migrate", "update-app": "update"}  # of ours, beside whose

MEASURED = """\
Written by `scripts/bench deploy`: `deployguard deploy --auto-migrate --backup` beside the tools that it runs, by hand
one after the other, on the same database, put back to the same state before each; {rounds} rounds, and who is first
takes turns. {pending} revisions that add a table and columns are pending (one on the stack). Seconds: the median, the
least and the most; added is the median of the rounds' differences. Ours also reads and judges the revisions, locks,
counts every row, reads the backup back, journals each step with a flush, and looks at the schema afterwards.

Measured on {machine}.
The machine was shared; others kept {load} processors busy meanwhile.

| what | ours | the bare tools | added | target | met |
| --- | --- | --- | --- | --- | --- |"""


def run(argv: list[str], place: Place) -> float:
    """Seconds of one program; raises SystemExit when it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        argv, cwd=place.folder, env=lived(place), capture_output=True, check=False
    )
    if done.returncode:
        raise SystemExit(
            f"{' '.join(argv)} ended with {done.returncode}: {done.stderr.decode()[-2000:]}"
        )
    return time.perf_counter() - start


def lived(place: Place) -> dict[str, str]:
    """As where Python is installed to stay: what it compiles is kept, whatever this shell says."""
    kept = {key: value for key, value in place.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(WORK / "compiled")}


def by_hand(place: Place) -> tuple[dict[str, float], float]:
    parts = {part: run(argv, place) for part, argv in place.bare}
    return parts, sum(parts.values())


def ours(place: Place) -> tuple[dict[str, float], float]:
    program = str(HERE / "deployguard")
    total = run([program, "deploy", "--auto-migrate", "--backup"], place)
    return steps(place.folder), total


def steps(folder: Path) -> dict[str, float]:
    """Seconds of each step of the only deploy, from its journal."""
    began: dict[str, datetime] = {}
    took: dict[str, float] = {}
    journal = Journal(journal_path(load(None, folder)))
    for event in journal.events(journal.history()[-1].id):
        if event.kind is EventKind.INTENT:
            began[event.step] = event.at
        elif event.kind is EventKind.DONE and event.step in began:
            took[event.step] = (event.at - began[event.step]).total_seconds()
    journal.close()
    return took


def compared(place: Place, rounds: int) -> tuple[Side, Side]:
    """(ours, the bare tools), one after the other; who is first takes turns."""
    own, bare = Side(), Side()
    for work in (ours, by_hand):  # once uncounted: the first start of all compiles
        place.reset()
        work(place)
    for number in range(rounds):
        pair = ((own, ours), (bare, by_hand))
        for side, work in pair if number % 2 == 0 else pair[::-1]:
            place.reset()
            os.sync()
            parts, total = work(place)
            side.add(parts, total)
            print(f"{place.name}, {work.__name__}: {total:.2f} s", file=sys.stderr)
    return own, bare


def postgres(server: Server, bin_: Path, size: int, form: tuple[str, int]) -> Place:
    """A shop of ``size`` bytes, made once and copied before each run."""
    server.create_database("shop")
    print("filling a database", file=sys.stderr)
    size = fill(lambda text: server.sql(text, "shop"), size)
    server.sql("DELETE FROM alembic_version", "shop")
    folder = project(WORK / "postgres", PENDING)
    with (folder / "deployguard.toml").open("a") as file:
        file.write(f'[environments.development.backup]\npg_bin = "{bin_}"\n')
    compression, jobs = form

    def reset() -> None:
        server.drop_database("live")
        server.sql("CREATE DATABASE live TEMPLATE shop")
        server.sql("CHECKPOINT")
        clear(folder)

    dump = [
        str(bin_ / "pg_dump"),
        "-Fd",
        f"-j{jobs}",
        f"--compress={compression.removeprefix('gzip:')}",
    ]
    return Place(
        f"PostgreSQL, {size / 10**6:.0f} MB",
        folder,
        {**server.environment("live"), "DATABASE_URL": server.url("live")},
        reset,
        (("backup", [*dump, "-f", str(folder / "bare")]), ("migrate", _alembic())),
    )


def sqlite(rows: int) -> Place:
    folder = project(WORK / "sqlite", PENDING)
    toml = folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace('"postgresql"', '"sqlite"'))
    made, live = folder / "made.db", folder / "app.db"
    with closing(sqlite3.connect(made)) as link:
        link.execute("CREATE TABLE words (id integer PRIMARY KEY, word text)")
        texts = ((f"{n} {'word ' * 40}",) for n in range(rows))
        link.executemany("INSERT INTO words (word) VALUES (?)", texts)
        link.commit()

    def reset() -> None:
        shutil.copyfile(made, live)
        clear(folder)

    copy = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))"
    return Place(
        f"SQLite, {made.stat().st_size / 10**6:.0f} MB",
        folder,
        {**os.environ, "DATABASE_URL": f"sqlite:///{live}"},
        reset,
        (
            ("backup", [sys.executable, "-c", copy, str(live), str(folder / "bare")]),
            ("migrate", _alembic()),
        ),
    )


def _alembic() -> list[str]:
    return [str(HERE / "alembic"), "upgrade", "head"]


def clear(folder: Path) -> None:
    """No run finds what another has left: no backups, no journal, nothing that was kept of a reading."""
    shutil.rmtree(folder / ".deployguard", ignore_errors=True)
    bare = folder / "bare"
    if bare.is_dir():
        shutil.rmtree(bare)
    bare.unlink(missing_ok=True)


def words(seconds: list[float]) -> str:
    return f"{median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f}) s"


def rows(place: Place, own: Side, bare: Side) -> list[str]:
    """A row for the whole, and one for each step of ours that takes time."""
    differences = [a - b for a, b in zip(own.total, bare.total, strict=True)]
    added, may = median(differences), max(SHARE * median(bare.total), SECONDS)
    share = added / median(bare.total)
    met = "yes" if added <= may else "**no**"
    both = f"{words(own.total)} | {words(bare.total)}"
    lines = [f"| **{place.name}** | {both} | {added:.2f} s ({share:.0%}) | ≤ {may:.1f} s | {met} |"]
    for name, seconds in own.parts.items():
        peer = bare.parts.get(STEPS.get(name, ""))
        if median(seconds) >= 0.05 or peer:
            lines.append(f"| {name} | {words(seconds)} | {words(peer) if peer else ''} | | | |")
    rest = [a - sum(own.parts[name][n] for name in own.parts) for n, a in enumerate(own.total)]
    return [*lines, f"| starting, loading and between the steps | {words(rest)} | | | | |"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=bytes_of, default="250MB", help="of the database (250MB)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bin", default="", help="folder of a PostgreSQL with pg_dump and server")
    parser.add_argument("--docker", action="store_true", help="measure a Compose stack as well")
    parser.add_argument("--no-write", action="store_true", help="print the page only")
    asked = parser.parse_args()
    tree, compression = chosen(asked.bin)
    form = (compression, max(1, min(4, os.cpu_count() or 1)))
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    start, before, usage = time.perf_counter(), busy(), getrusage(RUSAGE_CHILDREN)
    lines: list[str] = []
    with serve(tree, fsync="on", synchronous_commit="on") as server:
        for place in (sqlite(20_000), postgres(server, tree.bin, asked.size, form)):
            lines += rows(place, *compared(place, asked.rounds))
    if asked.docker:
        from bench_stack import stack

        with stack(WORK) as place:
            lines += rows(place, *compared(place, asked.rounds))
    after = getrusage(RUSAGE_CHILDREN)
    own = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    load = max(0.0, busy() - before - own) / (time.perf_counter() - start)
    told = subprocess.run(
        [tree.program("pg_dump"), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()}, {told}"
    head = MEASURED.format(
        rounds=asked.rounds, pending=PENDING, machine=machine, load=f"{load:.1f}"
    )
    text = "\n".join([DEPLOYS, "", head, *lines, ""])
    if not asked.no_write:
        write_deploys(text)
    shutil.rmtree(WORK, ignore_errors=True)
    print(text)


if __name__ == "__main__":
    main()
