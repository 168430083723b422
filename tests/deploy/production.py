"""Honest fakes of the saga's collaborators: one small production, kept in a file so that it survives a kill.

They are fakes, not mocks: what a step does changes the file, what a probe asks is read from it, and every effect adds
a line to ``effects``. A test says beforehand what goes wrong (``script``).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from deployguard.backups.base import WrittenMeanwhile
from deployguard.backups.offsite_base import OffsiteFailed
from deployguard.database.changes import Changes
from deployguard.database.slot import Slot
from deployguard.deploy import slots
from deployguard.deploy.commits import Named
from deployguard.errors import (
    BackupFailed,
    Busy,
    DeployguardError,
    EnvironmentUnreachable,
    UsageError,
)
from deployguard.migrators.base import Absent, Exit, Exited, Job, Probe, Running, Started
from deployguard.model import (
    BackupRecord,
    Facts,
    Foreseen,
    Json,
    OffsiteCopy,
    Release,
    Restored,
    Verification,
)
from deployguard.revisions.graph import Graph, build
from deployguard.revisions.location import Locations
from deployguard.targets.base import NOT_RUNNING, UpdateFailed

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
BEFORE, AFTER = "a", "b"
V1, V2 = "sha256:one", "sha256:two"
COMMIT = "c" * 40


class Production:
    """The file that stands for the world. Every change is written at once."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "production.json"
        if not self.path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._write(
                {
                    "revision": [BEFORE],
                    "schema": "old",
                    "rows": {"rooms": 3},
                    "release": V1,
                    "up": True,
                    "cron": True,
                    "closed": False,
                    "writes": 0,
                    "backups": {},
                    "copies": [],
                    "runs": {},
                    "kept": {},
                    "checkouts": [],
                    "built": {},
                    "tags": {},
                    "names": {"app:latest": V1},
                    "slots": [],
                    "effects": [],
                    "script": {},
                }
            )

    def read(self) -> dict[str, object]:
        return json.loads(self.path.read_text())

    def __getitem__(self, key: str) -> object:
        return self.read()[key]

    def script(self, **what: object) -> None:
        self.change(script={**self.read()["script"], **what})  # type: ignore[dict-item]

    def says(self, key: str) -> object:
        script = self.read()["script"]
        assert isinstance(script, dict)
        return script.get(key)

    def change(self, effect: str = "", **values: object) -> None:
        content = self.read() | values
        if effect:
            content["effects"] = [*content["effects"], effect]  # type: ignore[misc]
        self._write(content)

    def happen(self, point: str) -> None:
        """What others do at this moment, as ``script(when={point: changes})`` said; "script" among them is merged."""
        when = self.says("when") or {}
        changes = dict(when.get(point, {}))  # type: ignore[attr-defined]
        script = changes.pop("script", {})
        if changes:
            self.change(**changes)
        if script:
            self.script(**script)

    def effects(self) -> list[str]:
        effects = self.read()["effects"]
        assert isinstance(effects, list)
        return effects

    def _write(self, content: Mapping[str, object]) -> None:
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(content))
        temporary.replace(self.path)


@dataclass
class FakeLock:
    world: Production

    def held(self) -> bool:
        return self.world.says("lock") != "lost"

    def session(self) -> Json:
        return None


@dataclass
class FakeDatabase:
    """Its slot shows as many transactions as "writes" counts since the slot was made."""

    world: Production
    dialect: str = "sqlite"
    name: str = "app"

    def __enter__(self) -> Self:
        if self.world.says("database") == "down":
            from deployguard.errors import EnvironmentUnreachable

            raise EnvironmentUnreachable("The database does not answer.")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        pass

    def current_revisions(
        self, version_table: str = "alembic_version", schema: str | None = None
    ) -> tuple[str, ...]:
        return tuple(self.world["revision"])  # type: ignore[arg-type]

    def facts(self) -> Facts:
        return Facts(self.dialect)

    def row_counts(self) -> dict[str, int]:
        return dict(self.world["rows"])  # type: ignore[call-overload]

    def count(self, table: str, column: str | None = None) -> int | None:
        if column is not None:
            return int(self.world.says("filled") or 0)  # type: ignore[call-overload]
        return self.row_counts().get(table)

    def now(self) -> datetime | None:
        return None

    def size(self) -> int:
        size = self.world.says("size")
        return 1 if size is None else int(str(size))

    def invalid_indexes(self) -> tuple[str, ...]:
        return tuple(self.world.says("invalid") or ()) if self.world["schema"] != "old" else ()  # type: ignore[arg-type]

    def surviving_backends(self, application_name: str) -> tuple[str, ...]:
        return tuple(self.world.says("survivors") or ())  # type: ignore[arg-type]

    def can_check_clients(self) -> bool:
        return False

    def terminate(self, application_name: str) -> int:
        ended = len(self.surviving_backends(application_name))
        if self.world.says("terminate") != "impossible":
            self.world.script(survivors=[])
        return ended

    def observe(self, application_name: str, *, around: bool = False) -> None:
        return None

    def stop(self, application_name: str, pids: object) -> tuple[int, ...]:
        return ()

    def catalogue(self) -> Json:
        return {"schema": str(self.world["schema"])}

    def check(self, sql: str) -> tuple[bool, str]:
        return self.world.says("verify_sql") != "wrong", "it returned 1"

    def identity(self) -> str:
        return str(self.world.says("identity") or "fake:app")

    def advisory_lock(self, key: str, *, wait: float = 0.0) -> AbstractContextManager["FakeLock"]:
        if self.world.says("lock") == "taken":
            raise Busy("The other host has the lock.")
        return nullcontext(FakeLock(self.world))

    def changes_since(self, slot: Json, known: object, version_table: str = "") -> Changes:
        if not self._slot(slot):
            return Changes(missing="there is no slot")
        number = self.world["writes"] - slot["writes"]  # type: ignore[operator,index,call-overload]
        return Changes({"rooms": (number, 0, 0, 0)} if number else {}, transactions=number)

    def changes(self, slot: Json) -> AbstractContextManager[Iterator[tuple[str, int, str]]]:
        if not self._slot(slot) or self.world.says("export") == "fails":
            raise EnvironmentUnreachable("There is no slot.")
        number = self.world["writes"] - slot["writes"]  # type: ignore[operator,index,call-overload]
        inner = (f"table public.rooms: INSERT: id[integer]:{n}" for n in range(number))
        lines = [(xid, text) for xid, row in enumerate(inner) for text in ("BEGIN", row, "COMMIT")]
        return nullcontext(("0/1", xid, text) for xid, text in lines)

    def _slot(self, slot: Json) -> bool:
        shown = self.world.says("writes") != "unknown"
        return shown and isinstance(slot, dict) and slot.get("name") in self.world["slots"]  # type: ignore[operator]

    def slots(self) -> tuple[Slot, ...]:
        pinned = int(str(self.world.says("pinned") or 0))
        names = self.world["slots"]
        return tuple(
            Slot(n, "test_decoding", self.name, None, "0/1", "reserved", pinned) for n in names
        )  # type: ignore[attr-defined]

    def drop_slot(self, name: str) -> bool:
        there = list(self.world["slots"])  # type: ignore[call-overload]
        if name not in there:
            return False
        if self.world.says("undroppable"):
            raise EnvironmentUnreachable("permission denied")
        self.world.change(slots=[one for one in there if one != name])
        return True

    def stillness(self) -> Json:
        return self.writes_mark()

    def rows_since(self, still: Json) -> int | None:
        return self.writes_since(still)

    def writes_mark(self) -> Json:
        return {"writes": self.world["writes"]}  # type: ignore[dict-item]

    def writes_since(
        self, mark: Json, version_table: str = "alembic_version", schema: str | None = None
    ) -> int | None:
        if self.world.says("writes") == "unknown":
            return None
        return self.world["writes"] - mark["writes"]  # type: ignore[operator,index,call-overload]


@dataclass
class FakeStore:
    world: Production

    def preflight(self) -> None:
        if self.world.says("store") == "missing":
            raise BackupFailed("There is no pg_dump.")

    def take(self, reason: str, deploy: str) -> BackupRecord:
        if self.world.says("backup") == "fails":
            raise BackupFailed("The disk is full.")
        name, slot = f"{reason}-{deploy}", slots.name_of(deploy)
        if reason == "pre-deploy":
            others = [one for one in self.world["slots"] if one != slot]  # type: ignore[attr-defined]
            self.world.change(slots=[*others, slot])
            self.world.happen("dumping")
        copy = {"revision": self.world["revision"], "schema": self.world["schema"]}
        kept = {**copy, "rows": self.world["rows"], "writes": self.world["writes"]}
        backups = {**self.world["backups"], name: kept}  # type: ignore[dict-item]
        self.world.change(f"backup {reason}", backups=backups)
        found = self.find(reason, deploy)
        assert found is not None
        return found

    def find(self, reason: str, deploy: str) -> BackupRecord | None:
        name = f"{reason}-{deploy}"
        kept = self.world["backups"].get(name)  # type: ignore[attr-defined]
        return None if kept is None else self._record(name, reason, deploy)

    def named(self, name: str) -> BackupRecord:
        """One that was taken by hand."""
        found = self.find("manual", name.removeprefix("manual-"))
        assert found is not None
        return found

    def slot(self, record: BackupRecord) -> Json:
        kept = self.world["backups"][record.id]  # type: ignore[index]
        return {"name": slots.name_of(record.deploy or ""), "writes": kept["writes"]}

    def mark(self, record: BackupRecord) -> Json:
        return {"writes": 0} if self.world.says("mark") != "unknown" else None

    def _record(self, name: str, reason: str, deploy: str) -> BackupRecord:
        kept = self.world["backups"][name]  # type: ignore[index]
        return BackupRecord(
            id=name,
            store="fake",
            environment="production",
            database="app",
            created=NOW,
            folder=name,
            files={"dump": (1, "0" * 64)},
            revision=tuple(kept["revision"]),
            counts=kept["rows"],
            seconds=0.1,
            reason=reason,
            deploy=deploy,
        )

    def verify(self, record: BackupRecord) -> Verification:
        self.world.happen("verify")
        ok = self.world.says("verify") != "wrong"
        return Verification(ok, ("every byte was read" if ok else "it is cut off",), NOW)

    def kept_name(self, deploy: str) -> str:
        return f"app_failed_{deploy}"

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        return kept_as in self.world["kept"]  # type: ignore[operator]

    def restore(
        self,
        record: BackupRecord,
        *,
        kept_as: str,
        on_progress: Callable[[str], None],
        still: Json = None,
    ) -> Restored:
        if self.world.says("restore") == "fails":
            raise BackupFailed("The new database could not be filled.")
        assert not self.world["up"], "a restore under a running application"
        kept = dict(self.world["kept"])  # type: ignore[call-overload]
        if kept_as not in kept:
            self.world.happen("restoring")
            if still is not None and (rows := FakeDatabase(self.world).rows_since(still)) != 0:
                raise WrittenMeanwhile(rows)
            now = {key: self.world[key] for key in ("revision", "schema", "rows")}
            copy = dict(self.world["backups"][record.id])  # type: ignore[index]
            copy.pop("writes")
            self.world.change("restore", kept={**kept, kept_as: now}, **copy)
        return Restored("app", kept_as, record.counts, 0.1)


@dataclass
class FakeOffsite:
    """The place for copies: "down" answers nobody, "refuses" takes nothing."""

    world: Production

    def preflight(self) -> None:
        if self.world.says("offsite") == "down":
            raise EnvironmentUnreachable("The place does not answer hunter2.")

    def put(self, record: BackupRecord) -> OffsiteCopy:
        self.preflight()
        if self.world.says("offsite") == "refuses":
            raise OffsiteFailed("The bucket does not take it.")
        if self.world.says("offsite") == "surprises":
            raise ZeroDivisionError("inside of some library")
        copies = self.world["copies"]
        self.world.change(f"copy {record.reason}", copies=[*copies, record.id])  # type: ignore[misc]
        return self._copy(record)

    def find(self, record: BackupRecord) -> OffsiteCopy | None:
        self.preflight()
        return self._copy(record) if record.id in self.world["copies"] else None  # type: ignore[operator]

    def _copy(self, record: BackupRecord) -> OffsiteCopy:
        return OffsiteCopy(f"fake://place/{record.id}", NOW, "0" * 64, {})


@dataclass
class FakeCommits:
    """A repository whose every name is one commit; a build gives the image V2, and a tagged one V1."""

    world: Production

    def name(self, ref: str, *, strict: bool) -> Named:
        if self.world.says("ref") == "unknown":
            raise UsageError(f"git knows no commit {ref!r} here.")
        if strict and self.world.says("tree") == "dirty":
            raise UsageError("The working copy has changes that are not committed.")
        return Named(ref, str(self.world.says("commit") or COMMIT))

    def check_out(self, run: str, named: Named) -> tuple[str, ...]:
        if self.world.says("git") == "down":
            raise EnvironmentUnreachable("git could not check it out.")
        self.world.change("checkout", checkouts=[*self._there(), run])
        return ()

    def present(self, run: str, named: Named) -> bool:
        return run in self._there() and named.commit in (COMMIT, self.world.says("commit"))

    def build(self, run: str, named: Named, tag: str = "") -> dict[str, tuple[str, str]]:
        if self.world.says("build") == "fails":
            raise EnvironmentUnreachable("The images could not be built.")
        assert self.present(run, named), "a build from nothing"
        self.world.change(f"build {tag or run}", **({} if tag else named_as(V2)))
        return {"web": (V1 if tag else V2, f"app:{tag or 'latest'}")}

    def images(self) -> dict[str, tuple[str, str]]:
        return {"web": (self._names().get("app:latest", ""), "app:latest")}

    def lead(self, names: Mapping[str, str], only: Collection[str] = ()) -> None:
        if self.world.says("engine") == "down":
            raise EnvironmentUnreachable("The Docker engine does not answer.")
        now = self._names()
        moved = {name: to for name, to in names.items() if not only or now.get(name) in only}
        self.world.change(names={name: to for name, to in (now | moved).items() if to})

    def _names(self) -> dict[str, str]:
        return dict(self.world["names"])  # type: ignore[call-overload]

    def graph(self, run: str, named: Named) -> Graph:
        assert self.present(run, named), "revisions of nothing"
        known = self.world.says("knows") or (BEFORE,)
        return replace(graph(*known), partial=self.world.says("partial") is True)  # type: ignore[misc]

    def keep(self, tag: str) -> dict[str, str]:
        self.world.change(f"keep {self.world['release']}")
        return {"web": f"app:{tag}-web"}

    def head(self) -> str | None:
        return COMMIT

    def clean(self) -> bool:
        return self.world.says("tree") != "dirty"

    def tag(self, name: str, commit: str) -> None:
        if self.world.says("git") == "tagless":
            raise EnvironmentUnreachable("git could not make the tag.")
        self.world.change(f"tag {name}", tags={**self.world["tags"], name: commit})  # type: ignore[dict-item]

    def remove(self, run: str) -> None:
        self.world.change(checkouts=[name for name in self._there() if name != run])

    def sweep(self, keep: Collection[str], *, used: bool) -> None:
        assert used or not self._there()
        left = [run for run in self._there() if run in keep]
        if left != self._there():
            self.world.change(checkouts=left)

    def _there(self) -> list[str]:
        return list(self.world["checkouts"])  # type: ignore[call-overload]


def named_as(image: str) -> dict[str, object]:
    """What compose starts the application by leads to that image."""
    return {"names": {"app:latest": image}}


def graph(*names: str) -> Graph:
    """Revisions, each after the former."""
    text = "revision = {!r}\ndown_revision = {!r}\n"
    pairs = list(zip(names, (None, *names), strict=False))
    files = {Path(f"{name}.py"): text.format(name, parent) for name, parent in pairs}
    return build(Locations(Path(), ()), [(path, t.encode()) for path, t in files.items()])


@dataclass
class FakeMigrator:
    """Runs in no time, but leaves its run folder until it is tidied, like the real ones."""

    world: Production
    interrupts: list[str] = field(default_factory=list)  # what to raise while following

    def preflight(self) -> None:
        pass

    def image(self) -> str:
        return str(self.world.says("image") or "")

    def start(self, job: Job) -> Started:
        how = self.world.says(job.direction) or "ok"
        if isinstance(how, list):  # one answer an attempt
            how = how[min(job.attempt, len(how)) - 1]
        changes: dict[str, object] = {}
        code, lines = 0, [f"Running {job.direction}"]
        if how in ("ok", "dies-unseen") and job.direction == "upgrade":
            changes = {"revision": [AFTER], "schema": "new"}
            changes["rows"] = {**self.world["rows"], "notes": 0}  # type: ignore[dict-item]
        if how == "ok" and job.direction == "downgrade":
            changes = {"revision": [job.revision], "schema": "old"}
            rows = dict(self.world["rows"])  # type: ignore[call-overload]
            changes["rows"] = {table: n for table, n in rows.items() if table != "notes"}
        if how == "leaves-residue":
            changes = {"schema": "half"}
        if how in ("fails", "leaves-residue"):
            code, lines = 1, [*lines, "sqlalchemy.exc.ProgrammingError: no such column"]
        if how == "locked":
            code, lines = 1, [*lines, "canceling statement due to lock timeout"]
        if how == "runs":
            code = -999
        runs = {**self.world["runs"], job.name: [code, lines]}  # type: ignore[dict-item]
        self.world.change(f"{job.direction} {how}", runs=runs, **changes)
        return self._started(job.name)

    def follow(self, started: Started, on_line: Callable[[str], None]) -> Exit:
        code, lines = self.world["runs"][started.name]  # type: ignore[index]
        for line in lines:
            on_line(line)
        if self.interrupts:
            self.interrupts.pop(0)
            raise KeyboardInterrupt
        self.world.happen("followed")
        return Exit(None if code == -999 else code, Path("migrate.log"))

    def probe(self, job: Job) -> Probe:
        found = self.world["runs"].get(job.name)  # type: ignore[attr-defined]
        if found is None:
            return Absent()
        if found[0] == -999:
            return Running(self._started(job.name))
        return Exited(self._started(job.name), found[0])

    def cancel(self, started: Started) -> None:
        _, lines = self.world["runs"][started.name]  # type: ignore[index]
        runs = {**self.world["runs"], started.name: [143, lines]}  # type: ignore[dict-item]
        self.world.change("cancel", runs=runs)

    def tidy(self, started: Started) -> None:
        runs = dict(self.world["runs"])  # type: ignore[call-overload]
        runs.pop(started.name, None)
        self.world.change(runs=runs)

    def _started(self, name: str) -> Started:
        return Started("fake", name, {"log": "migrate.log", "timeout": "3600"})


@dataclass
class FakeTarget:
    world: Production

    @property
    def can_stop(self) -> bool:
        return self.world.says("stop") != "impossible"

    def preflight(self) -> None:
        if self.world.says("target") == "missing":
            raise DeployguardError("There is no Docker engine.")

    def foresee(self) -> tuple[Foreseen, ...]:
        web = Foreseen("web", beside=True)
        worker = Foreseen(
            "worker", beside=False, why="has a container name", gap=12, basis="grace period"
        )
        return (web, worker) if self.world.says("foresees") else ()

    def prepare(self) -> None:
        pass

    def current(self) -> Release:
        self.world.happen("current")
        release = str(self.world["release"])
        more = {"cron": release if self.world["cron"] else NOT_RUNNING}
        images = {"web": release} | (more if self.world.says("cron_too") else {})
        return Release(images, dict.fromkeys(images, "app:latest"))

    def update(self, deploy: str, former: Release) -> Release:
        if self.world.says("update") == "fails":
            raise UpdateFailed("The container does not start.")
        self.world.change(**named_as(V2))
        self._start(V2)
        gap = self.world.says("gap")
        details = {"worker": {"way": "recreated", "gap": gap}} if gap else {}
        return replace(self.current(), details=details)

    def put_back(self, release: Release, deploy: str) -> Release:
        if self.world.says("put_back") == "fails":
            raise UpdateFailed("The image is gone.")
        if "cron" in release.images:
            self.world.change(f"put back cron {release.images['cron']}")
        self.world.change(**named_as(release.images["web"]))
        self._start(release.images["web"])
        return self.current()

    def _start(self, image: str) -> None:
        if (
            self.world["release"] != image or not self.world["up"]
        ):  # starting what runs does nothing
            self.world.change(f"start {image}", release=image, up=True)

    def stop(self) -> None:
        if self.world["up"]:
            self.world.change("stop", up=False)
        self.world.happen("stopped")

    def start(self) -> None:
        self._start(str(self.world["release"]))

    def running(self) -> bool:
        return bool(self.world["up"])

    def stopped(self) -> bool:
        return not self.world["up"]


@dataclass
class FakeQuiescer:
    """A maintenance page and one service that writes."""

    world: Production
    file: Path = Path("maintenance")

    def preflight(self) -> None:
        return

    def writers(self) -> tuple[str, ...]:
        return ("cron",) if self.world["cron"] else ()

    def close(self, services: tuple[str, ...], deploy: str) -> None:
        if self.world.says("close") == "fails":
            self.world.change("close", closed=True)  # half of it
            raise UpdateFailed("The service does not stop.")
        if not self.world["closed"] or self.world["cron"]:
            self.world.change("close", closed=True, cron=False)

    def open(self, services: tuple[str, ...], deploy: str) -> None:
        if self.world.says("open") == "fails":
            raise UpdateFailed("The service does not start.")
        if self.world["closed"] or (services and not self.world["cron"]):
            cron = bool(self.world["cron"]) or "cron" in services
            self.world.change("open", closed=False, cron=cron)

    def by_hand(self, services: tuple[str, ...]) -> tuple[str, ...]:
        return ("docker compose start cron", "rm -f maintenance")
