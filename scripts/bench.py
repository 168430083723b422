"""Measures deployguard beside its peers, run by run in turn, and writes the medians to docs/benchmarks.md."""

import argparse
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench_page import busy, processor, write_checks
from bench_projects import of_statements, project, revision_id, statements

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "bench"
HERE = Path(sys.executable).parent
PEERS = ("squawk-cli", "safemigrate-lint")
STATEMENTS = 1000
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/bench"

WHY = """\
Where a target is missed, this is why:

- A cold check does what `alembic heads` does, in a child process that no revision can take down with it, and then
  runs `env.py` and the pending revisions on a recorder; beside it, the parent loads two parsers and the rules. The
  two overlap where two processors are free, but the parent must read its configuration and the files before it can
  start the child. That is the price of the first check of a project, and of one after a change.
- A check of a live database loads psycopg and asks the server for its sizes and its schema each time.
- Each statement is read by sqlglot and by PostgreSQL's own grammar, and the two must agree; safemigrate-lint reads
  it with the latter alone, and squawk is a compiled program. sqlglot takes about two thirds of the reading. Compiled
  (`pip install "sqlglot[c]"`) it parses in a third of the time but takes 50 ms longer to load, which pays from some
  500 statements on; it has no wheels for musl, so it is no dependency of deployguard.
"""

ANALYSE = """
import sys
from deployguard.model import Body, Evidence, Facts, Revision, Script, Statement
from deployguard.rules import judge
from deployguard.sql import lower
text = open(sys.argv[1], encoding="utf-8").read()
up = tuple(Statement(sql, 0, operations) for sql, operations in lower(text, "postgresql"))
script = Script(Body.PRESENT, 1, up)
revision = Revision("a", (), "a.py", "", "", script, Script(Body.MISSING), Evidence.RECORDED)
(verdict,) = judge([revision], Facts("postgresql"))
print(len(up), len(verdict.findings), verdict.risk)
"""


@dataclass(frozen=True)
class Command:
    """One side of a comparison: programs joined by pipes, and what to do before each run."""

    name: str
    programs: list[list[str]]
    folder: Path
    env: dict[str, str]
    before: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Time:
    """One run, in seconds; ``cpu`` is of all processes together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: str
    peer: str
    own: Time
    other: Time | None
    ratio: Time | None
    target: float | None = None  # of the wall clock's ratio; below or equal meets it
    why_not: str = ""


def once(command: Command) -> Time:
    """Run it and wait. A peer that finds something exits with 1: that is no failure."""
    command.before()
    usage, start = getrusage(RUSAGE_CHILDREN), time.perf_counter()
    running: list[subprocess.Popen[bytes]] = []
    for number, argv in enumerate(command.programs):
        last = number == len(command.programs) - 1
        running.append(
            subprocess.Popen(
                argv,
                cwd=command.folder,
                env=command.env,
                stdin=running[-1].stdout if running else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if last else subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
    codes = [process.wait() for process in running]
    wall, after = time.perf_counter() - start, getrusage(RUSAGE_CHILDREN)
    if any(code not in {0, 1, 10} for code in codes):
        raise SystemExit(f"{command.name} ended with {codes} in {command.folder}")
    cpu = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    return Time(wall, cpu)


def in_turn(commands: list[Command], rounds: int) -> list[list[Time]]:
    """Each command ``rounds`` times, A B C A B C …, after one round that does not count."""
    for command in commands:
        once(command)
    times: list[list[Time]] = [[] for _ in commands]
    for _ in range(rounds):
        for kept, command in zip(times, commands, strict=True):
            kept.append(once(command))
    return times


def middle(times: list[Time]) -> Time:
    return Time(median(one.wall for one in times), median(one.cpu for one in times))


def row(
    what: str,
    ours: tuple[Command, list[Time]],
    peer: tuple[Command, list[Time]],
    target: float | None,
) -> Row:
    """The comparison of two columns of runs: the median of the ratios of each pair."""
    pairs = zip(ours[1], peer[1], strict=True)
    ratios = [Time(a.wall / b.wall, a.cpu / b.cpu) for a, b in pairs]
    return Row(
        what, ours[0].name, peer[0].name, middle(ours[1]), middle(peer[1]), middle(ratios), target
    )


# --- what is compared ------------------------------------------------------------------------------


def startup(rounds: int) -> list[Row]:
    """How long it takes to say one's version."""
    ours = Command("`deployguard --version`", [[tool("deployguard"), "--version"]], WORK, environ())
    bare = Command(
        "Python importing click", [[sys.executable, "-c", "import click"]], WORK, environ()
    )
    times = in_turn([ours, bare], rounds)
    return [row("start-up", (ours, times[0]), (bare, times[1]), 2.0)]


def analysis(rounds: int, peers: dict[str, str]) -> list[Row]:
    """A thousand statements, analysed."""
    sql = WORK / "statements.sql"
    sql.write_text("".join(f"{text};\n" for text in statements(STATEMENTS)))
    folder = of_statements(WORK / "statements", STATEMENTS)
    known = (("squawk-cli", "squawk", 5.0), ("safemigrate-lint", "safemigrate-lint", 1.0))
    ours = [
        Command("analysis", [[sys.executable, "-c", ANALYSE, str(sql)]], WORK, environ()),
        Command("`check --no-cache`", [check(["--from", "base", "--no-cache"])], folder, environ()),
    ]
    theirs = [
        Command(f"`{name}`", [[peers[package], str(sql)]], WORK, environ())
        for package, name, _ in known
        if not peers[package].startswith("!")
    ]
    times = in_turn([*ours, *theirs], rounds)
    rows = []
    for package, name, target in known:
        what = f"{STATEMENTS:,} statements"
        found = next((at for at, one in enumerate(theirs) if one.name == f"`{name}`"), None)
        if found is None:
            own = middle(times[0])
            rows.append(Row(what, ours[0].name, name, own, None, None, target, peers[package][1:]))
            continue
        peer = (theirs[found], times[len(ours) + found])
        rows.append(row(what, (ours[0], times[0]), peer, target))
        rows.append(row(f"{what}, in one revision", (ours[1], times[1]), peer, None))
    return rows


@dataclass(frozen=True)
class History:
    """A project with one pending revision, and where its cache is kept."""

    folder: Path
    start: str
    env: dict[str, str]

    @property
    def kept(self) -> Path:
        return self.folder / ".deployguard" / "cache"

    def ours(self, extra: list[str], name: str) -> tuple[Command, Command]:
        """(a warm check, a cold one)."""
        argv = check(extra)

        def forget() -> None:
            shutil.rmtree(self.kept, ignore_errors=True)

        def remember() -> None:
            if not any(self.kept.glob("reading-*.json")):
                time.sleep(2.1)  # what has only just changed is not kept
                subprocess.run(argv, cwd=self.folder, env=self.env, check=True, capture_output=True)

        return (
            Command(f"`{name}`, warm", [argv], self.folder, self.env, remember),
            Command(f"`{name}`, cold", [argv], self.folder, self.env, forget),
        )

    def theirs(self, *words: str) -> Command:
        return Command(f"`alembic {words[0]}`", [[tool("alembic"), *words]], self.folder, self.env)


def history(length: int, rounds: int, peers: dict[str, str], serve: "Server | None") -> list[Row]:
    """One pending revision at the end of a history."""
    folder = project(WORK / f"history-{length}", length)
    here = History(
        folder,
        revision_id(length - 2),
        environ(DATABASE_URL=serve.url(length) if serve else NOWHERE),
    )
    offline = here.ours(["--from", here.start], "check --from")
    groups = [(offline, here.theirs("heads"))]
    if serve:
        migrate = [tool("alembic"), "upgrade", here.start]
        subprocess.run(migrate, cwd=folder, env=here.env, check=True)
        groups.append((here.ours([], "check"), here.theirs("current")))
    rows: list[Row] = []
    what = f"history of {length:,}"
    for (warm, cold), peer in groups:
        # Warm runs first, all of them: a cold one would take their cache away.
        quick = in_turn([warm, peer], rounds)
        slow = in_turn([cold, peer], rounds)
        rows.append(row(what, (cold, slow[0]), (peer, slow[1]), 1.0))
        rows.append(row(what, (warm, quick[0]), (peer, quick[1]), 0.5))
    return [*rows, against_squawk(here, offline[1], rounds, peers["squawk-cli"])]


def against_squawk(here: History, cold: Command, rounds: int, squawk: str) -> Row:
    """What people do without deployguard: render the SQL, and lint it."""
    what = f"history of {int(here.folder.name.partition('-')[2]):,}"
    if squawk.startswith("!"):
        return Row(what, cold.name, "squawk", Time(0, 0), None, None, None, squawk[1:])
    render = [tool("alembic"), "upgrade", f"{here.start}:head", "--sql"]
    name = "`alembic upgrade --sql \\| squawk`"
    piped = Command(name, [render, [squawk]], here.folder, here.env)
    times = in_turn([cold, piped], rounds)
    return row(what, (cold, times[0]), (piped, times[1]), None)


# --- around it -------------------------------------------------------------------------------------


class Server:
    """A PostgreSQL server with a database for each history."""

    def __init__(self, running: object) -> None:
        self.running = running

    def url(self, length: int) -> str:
        made: str = self.running.create_database(f"history_{length}")  # type: ignore[attr-defined]  # tests' own
        return made.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def postgres() -> Iterator[Server | None]:
    """The tests' server; None where there is none."""
    with ExitStack() as stack:
        try:
            from tests.support.postgres import serve, trees

            running = stack.enter_context(serve(trees()[-1]))
        except (ImportError, IndexError, OSError, RuntimeError) as error:
            print(f"no PostgreSQL to be started here: {error}", file=sys.stderr)
            yield None
            return
        yield Server(running)


def tool(name: str) -> str:
    """A program of the environment that runs this script."""
    return str(HERE / name)


def check(extra: list[str]) -> list[str]:
    return [tool("deployguard"), "check", *extra]


def environ(**more: str) -> dict[str, str]:
    """A plain environment: nobody's settings, and compiled modules where they always are."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}
    return {**kept, "XDG_CACHE_HOME": str(WORK / "cache-home"), "DATABASE_URL": NOWHERE, **more}


def install() -> dict[str, str]:
    """The programs of the peers by package; "!why" for one that could not be installed."""
    folder = WORK.parent / "bench-peers"
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    found: dict[str, str] = {}
    for package in PEERS:
        program = folder / "bin" / package.removesuffix("-cli")
        argv = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", package]
        done = None
        if not program.exists():
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
        lines = done.stderr.strip().splitlines() if done else []
        found[package] = (
            str(program) if program.exists() else f"!{lines[-1] if lines else 'no reason'}"
        )
    return found


def peer_version(package: str) -> str:
    python = WORK.parent / "bench-peers" / "bin" / "python"
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run(
        [str(python), "-c", code, package], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "not installed"


def page(rows: list[Row], rounds: int, load: float) -> str:
    """The page as Markdown."""
    ours = ("alembic", "sqlalchemy", "sqlglot", "postgast", "click")
    versions = ", ".join(f"{name} {version(name)}" for name in ours)
    peers = ", ".join(f"{name} {peer_version(name)}" for name in PEERS)
    lines = [
        "# Benchmarks",
        "",
        "Written by `scripts/bench`, which runs each pair of commands in turn and takes the median of the ratios of",
        f"the pairs ({rounds} each). Whole processes are measured, start-up included. Below a ratio of 1,",
        "ours is the faster; the target is one of the wall clock. *Cold* is the first check of a project: its",
        "cache is empty, and is filled. *Warm* is a check of the same revisions when nothing has changed since.",
        "",
        f"Measured on {processor()}, {os.cpu_count()} cores, {platform.system()}, Python",
        f"{platform.python_version()} with {versions};",
        f"peers: {peers}.",
        f"The machine was shared; others kept {load:.1f} processes busy meanwhile. Take the ratios, not the seconds,",
        "and run it yourself.",
        "",
        "| what | ours | s (CPU) | peer | s (CPU) | ratio (CPU) | target | met |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += map(line, rows)
    return "\n".join([*lines, "", *flatness(rows), "", WHY])


def line(entry: Row) -> str:
    own = f"{entry.own.wall:.2f} ({entry.own.cpu:.2f})"
    if entry.other is None or entry.ratio is None:
        return f"| {entry.what} | {entry.ours} | {own} | {entry.peer} | not installed: {entry.why_not} | | | |"
    other = f"{entry.other.wall:.2f} ({entry.other.cpu:.2f})"
    ratio = f"{entry.ratio.wall:.2f} ({entry.ratio.cpu:.2f})"
    met, target = "", ""
    if entry.target is not None:
        target = f"≤ {entry.target:g}"
        met = "yes" if entry.ratio.wall <= entry.target else "**no**"
    return f"| {entry.what} | {entry.ours} | {own} | {entry.peer} | {other} | {ratio} | {target} | {met} |"


def flatness(rows: list[Row]) -> list[str]:
    """How the cost grows with the history."""
    said = []
    for name in dict.fromkeys(row.ours for row in rows if row.what.startswith("history")):
        own = [row for row in rows if row.ours == name and row.target is not None]
        first, last = own[0], own[-1]
        said.append(
            f"- {name}: {last.own.wall / first.own.wall:.2f} times as long (CPU {last.own.cpu / first.own.cpu:.2f}) "
            f"with a {last.what} as with one of {first.what.split()[-1]}."
        )
    return ["How the cost grows with the length of the history:", "", *said] if said else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs, shorter histories")
    parser.add_argument("--no-write", action="store_true", help="print the page only")
    asked = parser.parse_args()
    lengths, rounds = ((100, 500), 3) if asked.quick else ((100, 500, 2000), 7)
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    peers = install()
    start, usage = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    before = busy()
    rows = [*startup(rounds), *analysis(rounds, peers)]
    with postgres() as server:
        for length in lengths:
            print(f"a history of {length}", file=sys.stderr)
            rows += history(length, rounds, peers, server)
    after = getrusage(RUSAGE_CHILDREN)
    seconds = time.perf_counter() - start
    ours = after.ru_utime + after.ru_stime - usage.ru_utime - usage.ru_stime
    text = page(rows, rounds, max(0.0, busy() - before - ours) / seconds)
    if not asked.no_write:
        write_checks(text)
    print(text)


if __name__ == "__main__":
    main()
