"""A recording equals the truth: what a PostgreSQL server logs during the real upgrade is what was recorded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config.url import parse_url
from deployguard.database import connect
from deployguard.revisions.launcher import Local
from deployguard.revisions.reader import ProjectSource, ReadRequest, read
from deployguard.sql import split
from tests.migrations_fixtures.scenarios import Case, cases, copy_project
from tests.support import postgres

PREFIX = "@@LOG "
SAID = re.compile(r"LOG:\s+(?:statement|execute [^:]*): (.*)", re.DOTALL)
# What the driver, SQLAlchemy and Alembic say around the revisions.
AROUND = re.compile(
    r"BEGIN|COMMIT|ROLLBACK|SET client_encoding|select pg_catalog\.version|show |select current_schema"
    r"|SELECT pg_catalog|SELECT typname AS name|SELECT current_setting\('jit|SELECT set_config\('jit"
    r"|WITH RECURSIVE typeinfo|[A-Z ]+ alembic_version|SELECT alembic_version|DEALLOCATE"
    r"|SAVEPOINT \"_pg3|RELEASE \"?_pg3|RELEASE SAVEPOINT \"_pg3",
    re.IGNORECASE,
)
NAMES = (
    "bookings",
    "concurrent_index",
    "enum_changes",
    "loop_ddl",
    "schemas",
    "sqlite_batch",
    "text_sql",
)


@pytest.fixture(scope="module")
def talkative() -> Iterator[postgres.Server]:
    """A server that logs every statement."""
    tree = next(tree for tree in postgres.trees() if tree.version == postgres.DEFAULT_VERSION)
    with postgres.serve(tree, log_statement="all", log_line_prefix=PREFIX) as server:
        yield server


def plain(statement: str) -> str:
    """One line, without parameters and their casts."""
    bare = re.sub(r"\$\d+(::\w+)?", "?", statement)
    return re.sub(r"\s+", " ", bare).strip().rstrip(";")


def logged(log: str) -> list[str]:
    matches = (SAID.match(part) for part in log.split(PREFIX))
    whole = [match.group(1) for match in matches if match]
    texts = [
        plain(one)
        for text in whole
        if not AROUND.match(plain(text))
        for one in split(text, "postgresql")
    ]
    return [text for text in texts if not AROUND.match(text)]


def upgrade(folder: Path, url: str, target: str) -> None:
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url}
    argv = [sys.executable, "-m", "alembic", "upgrade", target]
    subprocess.run(argv, cwd=folder, env=environment, check=True, capture_output=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in cases() if case.name in NAMES], ids=lambda case: case.name
)
def test_the_server_is_told_what_was_recorded(
    tmp_path: Path, talkative: postgres.Server, case: Case
) -> None:
    plain_url = talkative.create_database(f"truth_{os.urandom(3).hex()}")
    url = case.url(plain_url)
    folder = copy_project(case, tmp_path / "project", url)
    for revision in case.current:
        upgrade(folder, url, revision)
    with connect(parse_url(plain_url, "the test"), directory=folder) as database:
        catalogue = database.catalogue()
    dummy = case.url("postgresql://dummy@127.0.0.1:1/dummy")
    found = read(
        ProjectSource(folder, launcher=Local((sys.executable,))),
        ReadRequest("postgresql", dummy, "DATABASE_URL", case.current, catalogue=catalogue),
    )
    recorded = [plain(one.sql) for each in found.revisions for one in each.up.statements]
    before = len(talkative.log)
    upgrade(folder, url, "head")
    assert logged(talkative.log[before:]) == recorded
    assert recorded
