"""A recording equals the truth: what the server is told in the real upgrade is what was recorded, revision by revision.

The truth comes from outside of the recorder: PostgreSQL's own log, and SQLite's trace callback.
"""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from deployguard.config.url import parse_url
from deployguard.database import connect
from deployguard.deploy.assess import upgrade_target
from deployguard.model import Json
from deployguard.revisions.launcher import Local
from deployguard.revisions.reader import ProjectSource, Reading, ReadRequest, read
from deployguard.revisions.recorder.names import top_level
from deployguard.sql import split
from tests.migrations_fixtures.scenarios import Case, Warm, cases, copy_project
from tests.support import postgres

PREFIX = "@@LOG "
SAID = re.compile(r"LOG:\s+(?:statement|execute [^:]*): (.*)", re.DOTALL)
# What the driver, SQLAlchemy and Alembic say around the revisions.
AROUND = re.compile(
    r"BEGIN|COMMIT|ROLLBACK|SET client_encoding|select pg_catalog\.version|show |select current_schema"
    r"|SELECT pg_catalog|SELECT typname AS name|SELECT current_setting\('jit|SELECT set_config\('jit"
    r"|WITH RECURSIVE typeinfo|DEALLOCATE|SAVEPOINT \"?_pg3|RELEASE \"?_pg3|RELEASE SAVEPOINT \"_pg3|PRAGMA"
    r"|SAVEPOINT|RELEASE|ROLLBACK TO|SELECT CAST\('test|--"
    # What SQLAlchemy's inspector asks.
    r"|SELECT (name|sql|type) FROM *(\(SELECT|sqlite_)|SELECT attr\.conrelid",
    re.IGNORECASE,
)
TRACER = Path(__file__).with_name("tracer.py")
# Guards whose answer only the target has, and a project whose settings are not here.
WITHOUT_A_DATABASE_OTHERWISE = {"guarded", "guarded-prototype", "lost_version_table"}
NOTHING_RUNS = {"up_to_date"}
CASES = [case for case in cases() if case.revision and not case.error and not case.without]


@pytest.fixture(scope="module")
def talkative() -> Iterator[postgres.Server]:
    """A server that logs every statement."""
    tree = next(tree for tree in postgres.trees() if tree.version == postgres.DEFAULT_VERSION)
    with postgres.serve(tree, log_statement="all", log_line_prefix=PREFIX) as server:
        yield server


def plain(statement: str) -> str:
    """One line, without parameters and their casts, and without the further rows of an INSERT."""
    bare = re.sub(r"\$\d+(::[\w ]+)?|\?", "?", statement)
    bare = re.sub(r"\s+", " ", bare).strip().rstrip("; ")
    while (fewer := re.sub(r"(VALUES \([^()]*\)), ?\(\?[^()]*\)", r"\1", bare)) != bare:
        bare = fewer
    return bare


def told(statements: list[str], dialect: str, table: str) -> dict[str, list[str]]:
    """What was executed for each revision: its row in the version table is written after it."""
    found: dict[str, list[str]] = {}
    since: list[str] = []
    version = re.compile(
        rf"(INSERT INTO|UPDATE|DELETE FROM) \"?(\w+\"?\.)?{table}\b", re.IGNORECASE
    )
    for text in statements:
        for one in split(text, dialect):
            said = plain(one)
            if version.match(said):
                ids = re.findall(r"'([^']*)'", said)
                # A merge first takes the rows of those that it follows.
                if not said.upper().startswith("DELETE") and ids:
                    found.setdefault(ids[0], []).extend(since)
                    since = []
            elif not AROUND.match(said) and not re.search(rf"\b{table}\b", said):
                since.append(said)
    return found


def recorded(found: Reading) -> dict[str, list[str]]:
    return {
        one.id: [
            text
            for statement in one.up.statements
            for text in [plain(statement.sql)]
            if not AROUND.match(text)
        ]
        for one in found.revisions
    }


def once(statements: list[str]) -> list[str]:
    """A loop over portions runs as often as there are rows."""
    return [text for at, text in enumerate(statements) if not at or text != statements[at - 1]]


def ordered(statements: list[str]) -> list[str]:
    """Alembic takes a batch's constraints and indexes out of sets: their order is nobody's decision."""
    found: list[str] = []
    for text in map(_sorted_table, statements):
        at = len(found)
        while (
            at
            and text.startswith("CREATE INDEX")
            and found[at - 1].startswith("CREATE INDEX")
            and found[at - 1] > text
        ):
            at -= 1
        found.insert(at, text)
    return found


def _sorted_table(text: str) -> str:
    head, opened, rest = text.partition("(")
    if not head.startswith("CREATE TABLE _alembic_tmp_"):
        return text
    return (
        head
        + opened
        + ", ".join(sorted(part.strip() for part in top_level(rest.rstrip()[:-1])))
        + ")"
    )


def same(true: list[str], said: list[str]) -> bool:
    """Whether they are the same statements: what is executed for many rows is recorded once."""
    true, said, at = ordered(once(true)), ordered(once(said)), 0
    for text in said:
        pattern = re.compile(re.escape(text).replace(r"\?", r".*?"), re.DOTALL)
        if at >= len(true) or not pattern.fullmatch(true[at]):
            return False
        at += 1
        while at < len(true) and "?" in text and pattern.fullmatch(true[at]):
            at += 1
    return at == len(true)


def reading(case: Case, folder: Path, dialect: str, catalogue: Json) -> Reading:
    command = tuple(case.command or case.config.get("migrate", {}).get("command", ())) or (
        ("alembic", "-n", case.section, "upgrade", "head")
    )
    environ: Mapping[str, str] = os.environ | case.environment
    source = ProjectSource(
        folder,
        section=case.section,
        command=command,
        launcher=Local((sys.executable,)),
        pass_environment=tuple(case.environment),
    )
    dummy = case.url(
        f"{dialect}://dummy@127.0.0.1:1/dummy" if dialect != "sqlite" else "sqlite:///dummy.db"
    )
    request = ReadRequest(
        dialect, dummy, "DATABASE_URL", case.current, upgrade_target(command), catalogue
    )
    return read(source, request, environ=environ)


def compare(
    case: Case, folder: Path, dialect: str, catalogue: Json, true: dict[str, list[str]]
) -> None:
    assert true or case.stops_at or case.name in NOTHING_RUNS
    for known in (catalogue, None):
        if known is None and case.name in WITHOUT_A_DATABASE_OTHERWISE:
            continue
        found = reading(case, folder, dialect, known)
        said = recorded(found)
        around = {plain(text) for text in found.around}
        wrong = {
            name: {"recorded": said.get(name), "true": statements}
            for name, all_of_it in true.items()
            for statements in [[text for text in all_of_it if text not in around]]
            if not same(statements, said.get(name, []))
        }
        # What is known to be incomplete says so.
        opaque = {one.id for one in found.revisions if one.up.opacities}
        unexplained = {name: each for name, each in wrong.items() if name not in opaque}
        assert not unexplained, json.dumps(unexplained, indent=1)


def having(dialect: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if dialect in case.dialects]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


@having("postgresql")
def test_postgresql_is_told_what_was_recorded(
    tmp_path: Path, talkative: postgres.Server, warm: Warm, case: Case
) -> None:
    plain_url = talkative.create_database(f"truth_{os.urandom(3).hex()}")
    url = case.url(plain_url)
    folder = copy_project(case, tmp_path / "project", url)
    warm.prepare(case, folder, url)
    with connect(parse_url(plain_url, "the test"), directory=folder) as database:
        catalogue = database.catalogue()
    before = len(talkative.log)
    warm.migrate(case, folder, url)
    lines = (SAID.match(part) for part in talkative.log[before:].split(PREFIX))
    said = [match.group(1) for match in lines if match]
    compare(case, folder, "postgresql", catalogue, told(said, "postgresql", case.version_table))


@having("sqlite")
def test_sqlite_executes_what_was_recorded(tmp_path: Path, warm: Warm, case: Case) -> None:
    url = case.url(f"sqlite:///{tmp_path / 'app.db'}")
    folder = copy_project(case, tmp_path / "project", url)
    warm.prepare(case, folder, url)
    with connect(
        parse_url(f"sqlite:///{tmp_path / 'app.db'}", "the test"), directory=folder
    ) as database:
        catalogue = database.catalogue()
    log = tmp_path / "trace"
    command = tuple(case.command or case.config.get("migrate", {}).get("command", ())) or (
        ("alembic", "-n", case.section, "upgrade", "head")
    )
    if command[0] == "python":
        command = ("python", *command[1:])
    warm.run(folder, url, "python", str(TRACER), str(log), *command, **case.environment)
    said = [ast.literal_eval(line) for line in log.read_text(encoding="utf-8").splitlines()]
    compare(case, folder, "sqlite", catalogue, told(said, "sqlite", case.version_table))
