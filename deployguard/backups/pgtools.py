"""Which of PostgreSQL's programs to use, what they can do, and how they are run.

The connection is in the environment, never in argv.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deployguard.backups.base import Inside, Say, Site
from deployguard.backups.pgargv import Form, probe_argv
from deployguard.database import libpq
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Completed, Redactor, program_version, run, which

SYSTEM: Final = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
)
# The levels of "auto": rows compress as well with zstd's first as with gzip's sixth, in a tenth of the time.
ZSTD: Final = "zstd:1"
GZIP: Final = "gzip:4"
_RESTRICT: Final = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}  # the first of each major version
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\S*)")


@dataclass(frozen=True, slots=True)
class Tools:
    """A pair of pg_dump and pg_restore of one version; ``bin`` None: they run in a container.

    That is the database's own, or with ``image`` one that is made for each program.
    """

    major: int
    version: str  # as they print it, for people and the manifest
    bin: Path | None
    inside: Inside | None = None
    image: str = ""

    @property
    def where(self) -> str:
        """Where they are, for people."""
        contained = (
            f"a one-off container of {self.image}" if self.image else "the database's container"
        )
        return contained if self.bin is None else str(self.bin)

    def program(self, name: str) -> str:
        return name if self.bin is None else str(self.bin / name)


def understood(tools: Tools, server: int) -> bool:
    """Whether the server knows every setting that this pg_restore begins with: 17 brought transaction_timeout."""
    return tools.major < 17 or server >= 17


def restricts(tools: Tools) -> bool:
    """Whether this psql can be told to take no commands of its own from what it reads; pure."""
    minor = re.match(r"\d+\.(\d+)", tools.version)
    known = tools.major > max(_RESTRICT) or tools.major in _RESTRICT
    return minor is not None and known and int(minor[1]) >= _RESTRICT.get(tools.major, 0)


def restored(done: Completed, *, strict: bool) -> bool:
    """Whether a restore did everything; pure.

    One that was not strict may only have failed to set transaction_timeout, which an older server does not know. It
    must have had one job: several write their lines into each other.
    """
    if done.ok or strict or done.timed_out or done.code != 1:
        return done.ok
    lines = [line.strip() for line in done.stderr.splitlines()]
    errors = sum(line.startswith("pg_restore: error:") for line in lines)
    harmless = sum(line == "Command was: SET transaction_timeout = 0;" for line in lines)
    told = f"pg_restore: warning: errors ignored on restore: {errors}"
    return 0 < errors == harmless and lines[-1] == told


def form(site: Site, tools: Tools) -> Form:
    """What kind of dump is configured, as far as the tools can make it; says so where they cannot.

    Raises EnvironmentUnreachable when the compression that was asked for is not built into pg_dump.
    """
    layout, wanted = site.config.format, site.config.compression
    if layout == "directory" and tools.inside is not None:
        # a folder would be written inside of the container; one stream is all that comes out of it
        site.say(f"pg_dump runs in {tools.where}: custom format instead of a directory")
        layout = "custom"
    method = wanted.partition(":")[0]
    if method != "auto":
        if not offers(site, tools, method):
            raise EnvironmentUnreachable(
                f"pg_dump {tools.version} in {tools.where} cannot compress with {method}."
                ' Set [backup] compression = "auto", or name the folder of another pg_dump in [backup] pg_bin.'
            )
    else:
        methods = (GZIP,) if layout == "plain" else (ZSTD, GZIP)
        wanted = next((m for m in methods if offers(site, tools, m.partition(":")[0])), "none")
    return Form(layout, wanted, connections(site) if layout == "directory" else 1)


def connections(site: Site) -> int:
    """How many connections dump or restore at once."""
    return site.config.jobs or max(1, min(4, os.cpu_count() or 1))


def offers(site: Site, tools: Tools, method: str) -> bool:
    """Whether this pg_dump was built with a method of compression: it says so before it looks for a server."""
    if method == "none":
        return True
    if tools.major < 16:
        return method == "gzip"
    nowhere = libpq.environment({"host": "/nonexistent"}, site.environ) | {"LC_ALL": "C"}
    done = execute(
        tools,
        probe_argv(tools.program("pg_dump"), method),
        nowhere,
        redact=site.redact,
        timeout=30,
    )
    return "compress" not in done.stderr


def choose(site: Site, needed: int, what: str, *, here: bool = False) -> Tools:
    """The tools to use with ``what`` of major version ``needed``: that very version, else a newer one.

    A local one of the same version is best, then the container's own, then a newer local one, then one in a
    container that is made for it; with ``here`` only local ones will do. Raises EnvironmentUnreachable that names
    both versions.
    """
    local = installed(site)
    exact = next((tools for tools in local if tools.major == needed), None)
    if exact is not None:
        return exact
    contained = None if here else _contained(site.inside)
    newer = next((tools for tools in local if tools.major > needed), None)
    if contained is not None and contained.major >= needed:
        return contained
    if newer is not None:
        return newer
    once, hint = (None, "") if here else _oneoff(site, needed)
    if once is not None:
        return once
    have = ", ".join(f"{tools.version} in {tools.bin}" for tools in local) or "none"
    raise EnvironmentUnreachable(
        f"{what} is PostgreSQL {needed}, and needs pg_dump and pg_restore of version {needed} or newer;"
        f" found: {have}. Install the client programs of version {needed}, or name their folder in [backup]"
        f" pg_bin{hint}."
    )


def _oneoff(site: Site, needed: int) -> tuple[Tools | None, str]:
    """(the tools in a container that is made for them, what would make that possible).

    A server that listens on a socket of this machine only cannot be reached from there.
    """
    urls = (site.url, site.source or site.url)
    if site.oneoffs is None or not all(libpq.by_network(url) for url in urls):
        return None, ""
    for once in site.oneoffs(needed):
        found = _contained(once)
        if found is not None and found.major >= needed:
            tools = replace(found, image=once.image)
            site.say(f"PostgreSQL's programs {tools.version} run in {tools.where}")
            return tools, ""
    return (
        None,
        f", or have Docker and the image postgres:{needed} on this machine (it is never pulled)",
    )


def installed(site: Site) -> tuple[Tools, ...]:
    """The tools on this machine, one of each version, oldest first; only those of pg_bin where it is configured."""
    known: dict[int, Tools] = {}
    for tools in everywhere(site):
        known.setdefault(tools.major, tools)
    return tuple(known[major] for major in sorted(known))


def everywhere(site: Site) -> tuple[Tools, ...]:
    """The tools in every folder of this machine, in the order in which they are looked for."""
    if site.config.pg_bin:
        folder = (site.directory / site.config.pg_bin).resolve()
        if not (folder / "pg_dump").exists():
            raise EnvironmentUnreachable(f"[backup] pg_bin: there is no pg_dump in {folder}.")
        folders = [folder]
    else:
        found = which("pg_dump", path=site.environ.get("PATH"))
        folders = [Path(found).parent] if found else []
        folders += [path for pattern in SYSTEM for path in sorted(Path("/").glob(pattern[1:]))]
    return tuple(tools for folder in folders if (tools := at(folder)) is not None)


def at(folder: Path) -> Tools | None:
    """The tools in a folder; None when they are not there."""
    if not (folder / "pg_dump").exists() or not (folder / "pg_restore").exists():
        return None
    around = libpq.environment({}, os.environ)  # no child sees more of ours than it needs
    said = program_version([str(folder / "pg_dump"), "--version"], env=around)
    return parse_version(said, folder, None)


def _contained(inside: Inside | None) -> Tools | None:
    if inside is None:
        return None
    said = inside(("pg_dump", "--version"), timeout=30)
    return parse_version(said.stdout if said.ok else None, None, inside)


def parse_version(text: str | None, folder: Path | None, inside: Inside | None) -> Tools | None:
    """Tools from what ``pg_dump --version`` printed; None when it printed something else."""
    match = _VERSION.search(text or "")
    if match is None:
        return None
    return Tools(int(match[1]), match[1] + match[2], folder, inside)


def execute(
    tools: Tools,
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    redact: Redactor,
    timeout: float,
    say: Say | None = None,
    stdin_path: Path | None = None,
    stdout_path: Path | None = None,
    moving: Callable[[], object] | None = None,
) -> Completed:
    """Run one of the tools where it is; files are ours either way.

    ``timeout`` counts anew while something is ``moving``. What is ended so in a container may live on there until the
    server ends its session.
    """
    if tools.inside is None:
        return run(
            argv,
            env=environment,
            timeout=timeout,
            on_line=say,
            redact=redact,
            stdin_path=stdin_path,
            stdout_path=stdout_path,
            moving=moving,
        )
    return tools.inside(
        tuple(argv),
        environment={k: v for k, v in environment.items() if k.startswith(("PG", "LC_"))},
        stdin_path=stdin_path,
        stdout_path=stdout_path,
        timeout=timeout,
        redact=redact,
        moving=moving,
    )
