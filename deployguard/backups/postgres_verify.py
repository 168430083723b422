"""Read a PostgreSQL backup back: every file to its end, everything that was counted in it."""

import re
import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deployguard.backups import pgargv, pgtools, plain, sealed, streams
from deployguard.backups.base import UNTOUCHED, Site
from deployguard.backups.postgres_dump import whole_globals
from deployguard.database import libpq
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord, Json
from deployguard.process import Completed

_DATA_FILE: Final = re.compile(r"\.dat(\.(gz|zst|lz4))?$")
_ENTRY: Final = re.compile(
    r"^(\d+); \d+ \d+ (TABLE DATA|BLOBS|BLOB DATA|SEQUENCE SET) ", re.MULTILINE
)
_OBJECTS: Final = re.compile(r"blobs(_\d+)?\.toc")
_SLOWEST: Final = 1 << 20  # bytes of a dump that are read in a second at the very least
_ENDED: Final = (-signal.SIGTERM, -signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGKILL)
_ROWS_END: Final = b"\\.\n\n\n"  # what pg_dump writes behind the rows of a table


def read_back(site: Site, record: BackupRecord) -> tuple[list[str], list[str]]:
    """(problems, evidence) from decompressing the whole dump, and from its table of contents."""
    taken = sealed.read_json(site.folder / record.folder / sealed.EVIDENCE)
    estimates = taken.get("estimates", {})
    if (
        estimates != dict(record.estimates)
        or taken.get("counts") != dict(record.counts)
        or taken.get("revision") != [*record.revision]
    ):
        return ["the manifest's counts or revision are not those that were taken"], []
    globals_ = site.folder / record.folder / pgargv.GLOBALS
    if pgargv.GLOBALS in record.files and not whole_globals(globals_):
        return [f"{pgargv.GLOBALS} is not whole"], []
    if record.layout == "plain":
        return _plain(site, record, taken)
    return _archive(site, record, taken)


def _plain(
    site: Site, record: BackupRecord, taken: Mapping[str, Json]
) -> tuple[list[str], list[str]]:
    path = site.folder / record.folder / pgargv.form_of(record).data
    try:
        found = plain.rows(path)
    except (streams.Broken, OSError) as error:
        return [f"{path.name} cannot be read to the end: {error}"], []
    problems = []
    for schema, name, rows in counted(taken):
        have = found.get((schema, name))
        if have is None:
            problems.append(f"the dump has no data of {schema}.{name}")
        elif rows is not None and have != rows:
            problems.append(f"the dump has {have} rows of {schema}.{name}, {rows} were counted")
    return problems, [f"the whole dump was read: {sum(found.values())} rows in {len(found)} tables"]


def _archive(
    site: Site, record: BackupRecord, taken: Mapping[str, Json]
) -> tuple[list[str], list[str]]:
    directory = record.layout == "directory"
    dump = site.folder / record.folder / pgargv.form_of(record).data
    tools = pgtools.choose(site, dumped_by(record), f"Backup {record.id}", here=directory)
    program, file = tools.program("pg_restore"), "" if tools.inside else str(dump)
    listed = _offline(site, tools, pgargv.contents_argv(program, file), record)
    if not listed.ok:
        return [f"pg_restore cannot list it: {listed.why()}"], []
    with ThreadPoolExecutor(
        1
    ) as beside:  # while pg_restore, which has one processor, reads the same files
        files = beside.submit(lambda: [*_files(dump, record, listed.stdout)] if directory else [])
        read = _offline(site, tools, pgargv.read_argv(program, file), record)
    if "does not support compression" in read.stderr:
        raise EnvironmentUnreachable(
            f"Backup {record.id} is compressed with {record.compression}, which pg_restore {tools.version} in"
            f" {tools.where} was built without. Name the folder of another one in [backup] pg_bin."
        )
    if not read.ok:
        return [f"pg_restore cannot read it to the end: {read.why()}"], []
    missing = tables_missing(listed.stdout, taken)
    if missing:
        return [f"the dump has no data of {', '.join(missing)}"], []
    rows, tables = sum(record.counts.values()), len(record.counts)
    return files.result(), [
        f"pg_restore {tools.version} read the whole dump",
        *([f"each of its {len(record.files)} files is there to its end"] if directory else []),
        f"its table of contents has all {tables} tables that were counted ({rows} rows)",
    ]


def _files(folder: Path, record: BackupRecord, contents: str) -> Iterator[str]:
    """What is wrong with the files of a dump in directory format."""
    kinds = dict[str, str](_ENTRY.findall(contents))
    names = [name for name in record.files if _DATA_FILE.search(name)]
    there = {name.split(".")[0] for name in names}
    for number, kind in kinds.items():
        if kind == "TABLE DATA" and number not in there:
            yield f"the file {number}.dat of the table of contents is missing"

    yield from _large_objects(folder, record, there)

    def whole(name: str) -> str:
        rows = kinds.get(name.split(".", maxsplit=1)[0]) == "TABLE DATA"
        return streams.problem(folder / name, _ROWS_END if rows else b"")

    with ThreadPoolExecutor(sealed.READERS) as pool:
        yield from (said for said in pool.map(whole, names) if said)


def _large_objects(folder: Path, record: BackupRecord, there: set[str]) -> Iterator[str]:
    """pg_restore takes a list of large objects that was cut for a short one: both sides are compared."""
    listed = set[str]()
    for name in record.files:
        if _OBJECTS.fullmatch(name):
            text = (folder / name).read_text(errors="replace")
            if not text.endswith("\n"):
                yield f"{name} is not whole"
            listed |= {line.split(" ")[-1].split(".")[0] for line in text.splitlines()}
    missing = {name for name in there if name.startswith("blob_")} ^ listed
    if missing:
        yield f"the files of large objects are not those that are listed: {', '.join(sorted(missing)[:3])}"


def _offline(site: Site, tools: pgtools.Tools, argv: list[str], record: BackupRecord) -> Completed:
    """Run pg_restore without a server. It does not tell how far it is, so a large dump has more time.

    Raises BackupFailed when it was ended before its time: that says nothing about the dump.
    """
    dump = site.folder / record.folder / pgargv.form_of(record).data
    seconds = site.config.timeout + record.size // _SLOWEST
    done = pgtools.execute(
        tools,
        argv,
        libpq.environment({}, site.environ) | {"LC_ALL": "C"},
        redact=site.redact,
        timeout=seconds,
        stdin_path=dump if tools.inside else None,
    )
    if done.timed_out or done.code in _ENDED:
        how = f"within {seconds} seconds" if done.timed_out else "before it was ended by somebody"
        raise BackupFailed(
            f"pg_restore did not read backup {record.id} to its end {how}: whether it is whole is not known.",
            state=UNTOUCHED,
            next_commands=(f"deployguard backup verify {record.id}",),
        )
    return done


def counted(taken: Mapping[str, Json]) -> list[tuple[str, str, int | None]]:
    """(schema, table, rows) of all tables that were looked at; rows None: not counted."""
    tables = taken.get("tables")
    rows = [each for each in tables if isinstance(each, list)] if isinstance(tables, list) else []
    return [
        (str(each[0]), str(each[1]), each[2] if isinstance(each[2], int) else None)
        for each in rows
        if len(each) == 3
    ]


def dumped_by(record: BackupRecord) -> int:
    """The major version of the pg_dump that made it; only that or a newer pg_restore reads it."""
    match = re.match(r"\d+", record.tools.get("pg_dump", ""))
    if match is None:
        raise BackupFailed(f"The manifest of {record.id} does not say which pg_dump made it.")
    return int(match[0])


def tables_missing(contents: str, taken: Mapping[str, Json]) -> tuple[str, ...]:
    """Counted tables whose data the table of contents of a dump does not have; pure."""
    return tuple(
        f"{schema}.{name}"
        for schema, name, _ in counted(taken)
        # pg_restore prints a line break in a name as a blank
        if f" TABLE DATA {schema} {name} ".replace("\n", " ") not in contents
    )
