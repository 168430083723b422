"""A judge from outside: asks the database, the files and the processes by itself, and knows nothing of deployguard.

Nothing of the program is imported here. What it leaves behind is known from the documents alone: a sealed backup is a
folder whose manifest.json names its files with their sha256, and a database that a restore has replaced is kept under
a name that begins with the live one's and holds "failed".
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

OBJECTS = """
SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready)"
SESSIONS = """
SELECT coalesce(application_name, '') || ': ' || left(query, 60) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND datname LIKE %s AND application_name <> %s
"""
ADVISORY = """
SELECT l.classid || '/' || l.objid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE l.locktype = 'advisory' AND d.datname LIKE %s
"""
SEQUENCES = """
SELECT s.sequencename, coalesce(s.last_value, 0) FROM pg_sequences s WHERE s.schemaname = 'public'
"""


@dataclass(frozen=True, slots=True)
class Data:
    """What one database holds: ``rows`` is table → checksum of its rows, ``clients`` what the clients wrote."""

    revision: tuple[str, ...]
    objects: frozenset[str]
    rows: Mapping[str, str]
    clients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """Production as it is: the live database, those that were kept, and what should not be there."""

    live: Data | None
    kept: tuple[Data, ...]
    litter: tuple[str, ...]


def checksum(rows: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Postgres:
    """A database of a server; ``url`` is its own, ``clients`` the table that clients write to (column "label")."""

    url: str
    clients: str
    writer: str = "a client"  # whose sessions are no litter

    @property
    def name(self) -> str:
        return urlsplit(self.url).path.lstrip("/")

    def look(self) -> Seen:
        with self._link("postgres") as link:
            names = [
                str(row[0]) for row in link.execute("SELECT datname FROM pg_database").fetchall()
            ]
            mine = f"{self.name}%"
            litter = [f"a session: {one}" for one in _column(link, SESSIONS, mine, self.writer)]
            litter += [f"an advisory lock: {one}" for one in _column(link, ADVISORY, mine)]
            litter += [
                f"a replication slot: {one}"
                for one in _column(
                    link,
                    "SELECT slot_name FROM pg_replication_slots WHERE database LIKE %s",
                    mine,
                )
            ]
            litter += [
                f"a prepared transaction: {one}"
                for one in _column(
                    link, "SELECT gid FROM pg_prepared_xacts WHERE database LIKE %s", mine
                )
            ]
        kept = [one for one in names if one.startswith(self.name) and "_failed_" in one]
        litter += [
            f"a database: {one}"
            for one in names
            if one.startswith(self.name) and one != self.name and one not in kept
        ]
        if self.name not in names:
            return Seen(None, (), (*litter, "the database is gone"))
        with self._link(self.name) as link:
            live = self._data(link)
            litter += [f"an invalid index: {one}" for one in _column(link, INVALID)]
            litter += self._sequences(link, live)
        held = []
        for one in kept:
            with self._link(one) as link:
                held.append(self._data(link))
        return Seen(live, tuple(held), tuple(litter))

    def _link(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        address = self.url.rpartition("/")[0]
        return psycopg.connect(f"{address}/{name}", autocommit=True, application_name=self.writer)

    def _data(self, link: psycopg.Connection[tuple[object, ...]]) -> Data:
        tables = _column(link, TABLES)
        revision = (
            _column(link, "SELECT version_num FROM alembic_version")
            if "alembic_version" in tables
            else []
        )
        rows = {
            one: checksum(
                _column(
                    link,
                    sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(one)),
                )
            )
            for one in tables
            if one not in ("alembic_version", self.clients)
        }
        clients = sql.SQL("SELECT label FROM {}").format(sql.Identifier(self.clients))
        return Data(
            tuple(sorted(revision)),
            frozenset(_column(link, OBJECTS)),
            rows,
            frozenset(_column(link, clients)),
        )

    def _sequences(self, link: psycopg.Connection[tuple[object, ...]], live: Data) -> list[str]:
        """A sequence that is behind its table would refuse the next row."""
        wrong = []
        for name, last in link.execute(SEQUENCES).fetchall():
            table = str(name).removesuffix("_id_seq")
            if table in live.rows or table == self.clients:
                top = sql.SQL("SELECT coalesce(max(id), 0) FROM {}").format(sql.Identifier(table))
                [[highest]] = link.execute(top).fetchall()
                if highest > last:
                    wrong.append(f"a sequence behind its table: {name} ({last} < {highest})")
        return wrong


def _column(
    link: psycopg.Connection[tuple[object, ...]], query: str | sql.Composed, *values: str
) -> list[str]:
    found = link.execute(query, values or None).fetchall()  # type: ignore[arg-type]
    return [str(row[0]) for row in found]


@dataclass(frozen=True, slots=True)
class SQLite:
    """A database in a file."""

    path: Path
    clients: str

    def look(self) -> Seen:
        litter = [
            f"a file: {one.name}"
            for one in self.path.parent.glob(f"*{self.path.name}*")
            if one != self.path
            and f"{self.path.name}.failed-" not in one.name
            and not one.name.endswith(("-wal", "-shm"))
        ]
        journal = self.path.with_name(f"{self.path.name}-journal")
        litter = [one for one in litter if one != f"a file: {journal.name}"]  # SQLite's own to undo
        kept = [
            one
            for one in self.path.parent.glob(f"{self.path.name}.failed-*")
            if not one.name.endswith((".json", "-wal", "-shm", "-journal"))
        ]
        if not self.path.exists():
            return Seen(None, (), (*litter, "the database is gone"))
        return Seen(self._data(self.path), tuple(map(self._data, kept)), tuple(litter))

    def _data(self, path: Path) -> Data:
        with closing(sqlite3.connect(path)) as link:
            made = link.execute(
                "SELECT type, name, tbl_name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
            ).fetchall()
            assert link.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path
            objects = {f"{kind} {name} on {table}" for kind, name, table in made}
            tables = [name for kind, name, _ in made if kind == "table"]
            rows = {}
            for table in tables:
                columns = link.execute(f"PRAGMA table_info({table})").fetchall()
                objects |= {f"column {table}.{one[1]} {one[2]} {one[3]}" for one in columns}
                names = sorted(str(one[1]) for one in columns)
                found = link.execute(f"SELECT {', '.join(names)} FROM {table}").fetchall()
                rows[table] = checksum(json.dumps(row) for row in found)
            revision: list[str] = []
            if "alembic_version" in tables:
                revision = [
                    r[0] for r in link.execute("SELECT version_num FROM alembic_version").fetchall()
                ]
            written = link.execute(f"SELECT label FROM {self.clients}").fetchall()
        clean = {
            name: value
            for name, value in rows.items()
            if name not in ("alembic_version", self.clients)
        }
        return Data(
            tuple(sorted(revision)), frozenset(objects), clean, frozenset(r[0] for r in written)
        )


@dataclass(frozen=True, slots=True)
class Host:
    """The machine that deploys: its state folder, the maintenance file, and a mark that its processes carry."""

    state: Path
    mark: str  # an entry of the environment, NAME=VALUE
    maintenance: Path | None = None
    copies: Path | None = None  # the off-site folder
    spare: tuple[int, ...] = ()  # processes that carry the mark and may

    def litter(self) -> tuple[str, ...]:
        found = [f"a process: {one}" for one in self.processes()]
        # One that never began has said nothing.
        runs = [one for one in self.state.glob("runs/*") if _said_something(one)]
        found += [f"a run folder: {one.name}" for one in runs]
        found += [f"a held lock: {one.name}" for one in self.state.glob("lock-*") if _held(one)]
        if self.maintenance is not None and self.maintenance.exists():
            found.append("the maintenance page is up")
        found += _backups(self.state / "backups")
        if self.copies is not None:
            found += _copies(self.copies, self.state / "backups")
        crashed = [*self.state.glob("**/crash-*.log")]
        return (*found, *(f"a crash: {one.read_text()[-1500:]}" for one in crashed))

    def processes(self) -> list[str]:
        """Whoever carries the mark."""
        found = []
        for number in self.numbers():
            try:
                words = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ")
            except OSError:
                continue
            if words:  # a zombie has none
                found.append(f"{number} {words.decode(errors='replace')[:120]}")
        return found

    def numbers(self) -> list[int]:
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in (os.getpid(), *self.spare):
                continue
            try:
                words = (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if self.mark.encode() in words:
                found.append(int(entry.name))
        return found


def _said_something(folder: Path) -> bool:
    output = folder / "output.log"
    return output.exists() and output.stat().st_size > 0


def _held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _copies(folder: Path, backups: Path) -> list[str]:
    """A copy without its manifest is none: it can be gone on with while its backup is there."""
    half = [one for one in folder.iterdir() if not (one / "manifest.json").is_file()]
    wrong = [f"half a copy: {one}" for one in half if not (backups / one.name).is_dir()]
    return wrong + _backups(folder, leave=half)


def _backups(folder: Path, leave: Sequence[Path] = ()) -> list[str]:
    """Everything in a folder of backups is a sealed one, with every byte that its manifest names."""
    wrong = []
    for entry in folder.iterdir() if folder.is_dir() else ():
        known = entry.name in (".gitignore", ".busy", ".pins") or entry.name.endswith(".json")
        if known or entry in leave:
            continue
        if not (entry / "manifest.json").is_file():
            wrong.append(f"half a backup: {entry}")
            continue
        for name, said in json.loads((entry / "manifest.json").read_bytes())["files"].items():
            file = entry / name
            if (
                not file.is_file()
                or hashlib.sha256(file.read_bytes()).hexdigest() != said["sha256"]
            ):
                wrong.append(f"a damaged backup: {file}")
        wrong += [f"a temporary: {one}" for one in entry.glob(".*")]
    return wrong


@dataclass(frozen=True, slots=True)
class Ends:
    """The legal ends: name → (what the database holds, what the application runs)."""

    ends: Mapping[str, tuple[Data, str]]
    acknowledged: frozenset[str] = field(default_factory=frozenset)

    def judge(
        self, seen: Seen, application: str, *, litter: Iterable[str] = (), restored: bool = False
    ) -> tuple[str, list[str]]:
        """(the end that this is, what is wrong with it). ``restored``: a person ordered writes to be given up."""
        wrong = [*seen.litter, *litter]
        if seen.live is None:
            return "none", wrong
        live = seen.live
        same = [
            name
            for name, (data, runs) in self.ends.items()
            if (data.revision, data.objects, data.rows) == (live.revision, live.objects, live.rows)
            and runs == application
        ]
        if not same:
            wrong.append(
                f"no legal end: the application is {application!r}, the database {self._nearest(live)}"
            )
        everywhere = live.clients.union(*(one.clients for one in seen.kept))
        lost = self.acknowledged - (everywhere if restored else live.clients)
        if lost:
            wrong.append(f"LOST ROWS: {len(lost)} of {len(self.acknowledged)}, {sorted(lost)[:3]}")
        return (same or ["none"])[0], wrong

    def _nearest(self, live: Data) -> str:
        said = [f"at {', '.join(live.revision) or 'no revision'}"]
        for name, (data, runs) in self.ends.items():
            differs = [
                *sorted(f"+{one}" for one in live.objects - data.objects),
                *sorted(f"-{one}" for one in data.objects - live.objects),
                *sorted(
                    f"rows of {one}"
                    for one in {*live.rows, *data.rows}
                    if live.rows.get(one) != data.rows.get(one)
                ),
            ]
            said.append(f"beside {name} ({runs}): {'; '.join(differs[:8]) or 'the same'}")
        return " | ".join(said)
