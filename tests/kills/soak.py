"""Kill deploys at random moments, many times over; see scripts/soak."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.kills import arena as arenas
from tests.kills.arena import Arena
from tests.kills.chase import JOURNEYS, MOST_BLOWS, Chase, Tally, digest_of
from tests.support import postgres

STORES = ("postgresql", "sqlite")


@dataclass
class Productions:
    """The arenas of one process, each made when it is first wanted."""

    folder: Path
    server: postgres.Server | None
    stack: ExitStack
    made: dict[tuple[str, str], tuple[Arena, str]] = field(default_factory=dict)

    def get(self, store: str, plot: str) -> tuple[Arena, str]:
        if (store, plot) not in self.made:
            folder = self.folder / f"{store}-{plot}"
            folder.mkdir(parents=True)
            server = self.server if store == "postgresql" else None
            made = self.stack.enter_context(arenas.arena(folder, plot, server))
            self.made[store, plot] = (made, digest_of(made))
        return self.made[store, plot]


def journey(productions: Productions, stores: tuple[str, ...], seed: int, tally: Tally) -> Chase:
    """One journey, all of it drawn from ``seed``; the time that things take is not."""
    rng = Random(seed)
    name = rng.choice(list(JOURNEYS))
    plot, store = rng.choice(JOURNEYS[name]), rng.choice(stores)
    arena, digest = productions.get(store, plot)
    arena.reset()
    chase = Chase(arena, plot, name, rng, tally, digest)
    writing = store == "postgresql" and rng.random() < 0.5
    before = tally.blows
    try:
        end = chase.go(rng.randint(1, MOST_BLOWS), writing=writing)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown with its seed
        end = "none"
        chase.wrong.append(f"{type(error).__name__}: {error}")
    tally.counts[f"journey {name}"] += 1
    tally.counts[f"on {store}"] += tally.blows - before
    if chase.wrong:
        tally.illegal.append(
            f"seed {seed}: {name} of {plot!r} on {store} ended {end!r}: {'; '.join(chase.wrong)}"
        )
    return chase


def keep(chase: Chase, seed: int, folder: Path) -> Path:
    """Everything that is needed to understand an illegal state."""
    kept = folder / f"illegal-{seed}"
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(chase.arena.folder, kept)
    (kept / "log.txt").write_text("\n".join([*chase.arena.log, "", *chase.wrong]) + "\n")
    server = chase.arena.server
    if server is not None:
        for name in server.sql("SELECT datname FROM pg_database").splitlines():
            if name.startswith(chase.arena.name):
                argv = [str(server.bin / "pg_dump"), "-f", str(kept / f"{name}.sql"), name]
                subprocess.run(argv, env=server.environment(), check=False, capture_output=True)
    return kept


ENDING = 30.0  # seconds that a worker may take to put its servers away


class Shared:
    """What the processes of one soak tell each other."""

    def __init__(self) -> None:
        self.results: multiprocessing.Queue[Told | None] = multiprocessing.Queue()
        self.enough = multiprocessing.Event()


@dataclass(frozen=True)
class Told:
    """What one journey adds."""

    seed: int
    blows: int
    counts: Counter[str]
    illegal: list[str]
    kept: str


def work(number: int, options: argparse.Namespace, shared: Shared) -> None:
    """One process: journeys with seeds of its own until there were enough kills."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what runs is torn down then, too
    try:
        with suppress(KeyboardInterrupt):
            journeys(number, options, shared)
    finally:
        shared.results.put(None)


def journeys(number: int, options: argparse.Namespace, shared: Shared) -> None:
    tally, stores = Tally(), tuple(options.stores)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="deployguard-soak-")))
        server = None
        if "postgresql" in stores:
            known = {tree.version: tree for tree in postgres.trees()}
            server = stack.enter_context(postgres.serve(known[options.postgres]))
        productions = Productions(folder, server, stack)
        for seed in itertools.count(options.seed + number, options.jobs):
            had, blows, counts = len(tally.illegal), tally.blows, Counter(tally.counts)
            chase = journey(productions, stores, seed, tally)
            illegal = tally.illegal[had:]
            kept = str(keep(chase, seed, Path(options.keep))) if illegal else ""
            shared.results.put(
                Told(seed, tally.blows - blows, tally.counts - counts, illegal, kept)
            )
            if shared.enough.is_set() or options.once:
                break


def gather(options: argparse.Namespace, shared: Shared) -> tuple[int, int]:
    """Print what the processes tell until all have ended; (kills, illegal states)."""
    began = last = time.monotonic()
    blows, illegal, counts = 0, 0, Counter[str]()
    running = options.jobs
    while running:
        told = shared.results.get()
        if told is None:
            running -= 1
            continue
        blows, counts, illegal = (
            blows + told.blows,
            counts + told.counts,
            illegal + len(told.illegal),
        )
        for one in told.illegal:
            print(f"ILLEGAL {one}\n        kept in {told.kept}", flush=True)
        if blows >= options.kills or (illegal and not options.go_on):
            shared.enough.set()
        if time.monotonic() - last > 20:
            last = time.monotonic()
            print(
                f"{blows} of {options.kills} kills, {illegal} illegal, {last - began:.0f} s",
                flush=True,
            )
    print(f"\n{blows} kills in {time.monotonic() - began:.0f} s, seeds from {options.seed} on:")
    for name, count in sorted(counts.items()):
        print(f"  {count:5}  {name}")
    print(f"{illegal} illegal states", flush=True)
    return blows, illegal


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="how many signals must have struck")
    parser.add_argument("--seed", type=int, default=1, help="of the first journey")
    parser.add_argument("--once", action="store_true", help="only the journey of --seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--stores", nargs="+", default=list(STORES), choices=STORES)
    parser.add_argument("--postgres", type=int, default=postgres.DEFAULT_VERSION)
    parser.add_argument("--keep", default="soak", help="folder for what an illegal state left")
    parser.add_argument("--go-on", action="store_true", help="do not stop at an illegal state")
    options = parser.parse_args()
    options.jobs = 1 if options.once else options.jobs
    shared = Shared()
    workers = [
        multiprocessing.Process(target=work, args=(number, options, shared))
        for number in range(options.jobs)
    ]
    for worker in workers:
        worker.start()
    try:
        _, illegal = gather(options, shared)
    except KeyboardInterrupt:
        return 130
    finally:
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.join(ENDING)
            if worker.is_alive():
                worker.kill()
                worker.join()
    return 1 if illegal else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
