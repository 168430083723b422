"""The scenarios of migrations_fixtures/: what each expected*.toml says, and the project it speaks of, made real."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "migrations_fixtures"
DIALECTS = ("sqlite", "postgresql")
MODES = ("live", "replayed")
DUMMY = {"sqlite": "sqlite:///nowhere.db", "postgresql": "postgresql://nobody@localhost/db"}
DRIVERS = {"sqlite": "", "postgresql": "psycopg"}
VARIANTS = frozenset(DIALECTS + MODES) | {f"{d}-{m}" for d in DIALECTS for m in MODES}
REVISION_KEYS = frozenset({"id", "level", "rules", "undo", "evidence"})


@dataclass(frozen=True, slots=True)
class Case:
    """One expected*.toml: the database's state, and what `deployguard check` must say of what is pending."""

    folder: Path
    name: str
    about: str
    dialects: tuple[str, ...] = DIALECTS
    modes: tuple[str, ...] = MODES
    current: tuple[str, ...] = ()
    stamp: tuple[str, ...] | None = None
    seed: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    offline: tuple[str, ...] = DIALECTS
    stops_at: str = ""
    command: tuple[str, ...] = ()
    section: str = "alembic"
    version_table: str = "alembic_version"
    drivers: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    revision: tuple[Mapping[str, Any], ...] = ()
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def url(self, plain: str) -> str:
        """A URL as the project wants it: with the driver that it uses."""
        dialect, _, rest = plain.partition("://")
        driver = self.drivers.get(dialect, DRIVERS[dialect])
        return f"{dialect}+{driver}://{rest}" if driver else plain

    def expected(self, dialect: str, mode: str) -> dict[str, Any]:
        """The answers and revisions for one dialect and mode, with the overrides for them applied."""
        answers = dict(self.answers)
        for variant in (dialect, mode, f"{dialect}-{mode}"):
            answers |= self.variants.get(variant, {}).get("answers", {})
        return {
            "answers": answers,
            "revisions": [
                _revision(one, (dialect, mode, f"{dialect}-{mode}")) for one in self.revision
            ],
        }


def _revision(entry: Mapping[str, Any], variants: tuple[str, ...]) -> dict[str, Any]:
    found = {"evidence": "recorded"} | {k: v for k, v in entry.items() if k not in VARIANTS}
    for variant in variants:
        found |= entry.get(variant, {})
    assert set(found) == REVISION_KEYS, f"{entry.get('id')}: {set(found) ^ REVISION_KEYS}"
    return found | {"rules": sorted(found["rules"])}


def load(path: Path) -> Case:
    """Read one expected*.toml, strictly."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    variants = {key: table.pop(key) for key in VARIANTS & set(table)}
    lists = {key: tuple(value) for key, value in table.items() if isinstance(value, list)}
    name = path.parent.name + path.stem.removeprefix("expected")
    return Case(folder=path.parent, name=name, variants=variants, **(table | lists))


def cases() -> tuple[Case, ...]:
    """Every case of every scenario, by name."""
    return tuple(load(path) for path in sorted(FIXTURES.glob("*/expected*.toml")))


# --- projects -------------------------------------------------------------------------------------


def copy_project(case: Case, target: Path, url: str, *, complete: bool = True) -> Path:
    """The scenario's project in `target`, with its URL in alembic.ini where the project keeps it there."""
    leave = shutil.ignore_patterns("expected*.toml", "wheels", "__pycache__", "*.db", ".*")
    shutil.copytree(case.folder, target, ignore=leave, dirs_exist_ok=True)
    if not complete:
        for file in case.without:
            (target / file).unlink()
    ini = target / "alembic.ini"
    lines = ini.read_text(encoding="utf-8").splitlines()
    named = [
        f"sqlalchemy.url = {url}" if line.startswith("sqlalchemy.url") else line for line in lines
    ]
    ini.write_text("\n".join(named) + "\n", encoding="utf-8")
    return target


def write_config(case: Case, project: Path, dialect: str) -> Path:
    """A deployguard.toml as a team would write it: only what differs from the defaults."""
    tables: dict[str, Mapping[str, Any]] = {
        "project": {"name": case.folder.name.replace("_", "-"), "dialect": dialect},
        "environments.test": {"database_url_env": "DATABASE_URL"},
    }
    for name, table in case.config.items():
        tables[name] = {**tables.get(name, {}), **table}
    text = ""
    for name, table in tables.items():
        text += f"[{name}]\n"
        text += "".join(f"{key} = {json.dumps(value)}\n" for key, value in table.items())
    path = project / "deployguard.toml"
    path.write_text(text, encoding="utf-8")
    return path


# --- databases ------------------------------------------------------------------------------------


def execute(url: str, statements: tuple[str, ...]) -> None:
    """Run SQL on a sqlite or postgresql URL, whatever its driver, and commit."""
    url = re.sub(r"\+\w+://", "://", url)
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.partition(":///")[2])) as file, file:
            for statement in statements:
                file.execute(statement)
        return
    import psycopg

    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]  # text of our own fixtures


def stamp(case: Case, url: str) -> None:
    """Let the version table say what `stamp` says, whatever the code knows."""
    if case.stamp is None:
        return
    rows = tuple(f"INSERT INTO {case.version_table} VALUES ('{name}')" for name in case.stamp)
    execute(url, (f"DELETE FROM {case.version_table}", *rows))


# --- programs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


class Warm:
    """Runs `alembic …`, `python …` and `deployguard …` in a project's folder, in forks of one warm process."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(self, project: Path, url: str, *argv: str, **environment: str) -> Ran:
        out, err = self._folder / "out", self._folder / "err"
        request = {
            "directory": str(project),
            "argv": argv,
            "environment": ({"DATABASE_URL": url} if url else {}) | environment,
            "out": str(out),
            "err": str(err),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Ran(code, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))

    def migrate(self, case: Case, project: Path, url: str, target: str = "") -> Ran:
        """What the scenario's own command does; with a target, `alembic upgrade TARGET`."""
        argv = (
            ("alembic", "-n", case.section, "upgrade", target)
            if target and not case.command
            else None
        )
        configured = tuple(case.config.get("migrate", {}).get("command", ()))
        argv = argv or case.command or configured or ("alembic", "upgrade", "head")
        return self.run(project, url, *argv, **case.environment)

    def prepare(self, case: Case, project: Path, url: str) -> None:
        """Bring a fresh database to `current`, fill it with `seed`, and stamp it."""
        for target in case.current:
            ran = self.migrate(case, project, url, target)
            assert ran.code == 0, ran.output
        execute(url, case.seed)
        stamp(case, url)


@contextmanager
def warm(folder: Path) -> Iterator[Warm]:
    outer = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.migrations_fixtures.warm"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=outer | {"PYTHONDONTWRITEBYTECODE": "1"},
    ) as process:
        try:
            yield Warm(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
