"""Real Alembic projects made on the spot, and short words for what was read of them."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from deployguard.model import Json, Opaque, Revision, Script
from deployguard.revisions.launcher import Launcher, Local
from deployguard.revisions.reader import ProjectSource, Reading, ReadRequest, read

# The interpreter that the child runs in, unless a test names one; `interpreter` in conftest.py changes it.
INTERPRETER = [sys.executable]

URLS = {"postgresql": "postgresql://x:x@127.0.0.1:1/app", "sqlite": "sqlite:///:memory:"}

INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
sqlalchemy.url = driver://user:password@localhost/database
"""

ENV = """\
import os
from alembic import context
from sqlalchemy import create_engine

engine = create_engine(os.environ["DATABASE_URL"])
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""


def revision(
    name: str, after: str | None, upgrade: str, downgrade: str = "pass", head: str = ""
) -> str:
    """The text of a revision file; the upgrade's body begins on line 12 when `head` is empty."""
    return "\n".join(
        [
            f'"""Revision {name}."""',
            "import sqlalchemy as sa",
            "from alembic import op",
            textwrap.dedent(head),
            f"revision = {name!r}",
            f"down_revision = {after!r}",
            "branch_labels = None",
            "depends_on = None",
            "",
            "",
            "def upgrade():",
            textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
            "",
            "",
            "def downgrade():",
            textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
            "",
        ]
    )


def project(folder: Path, files: Mapping[str, str], *, env: str = ENV, ini: str = INI) -> Path:
    """A project with these revision files (name → text); a name with a slash is a file of the application."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "alembic.ini").write_text(ini)
    (folder / "migrations" / "env.py").write_text(env)
    for name, text in files.items():
        path = folder / name if "/" in name else versions / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def chain(folder: Path, *upgrades: str, env: str = ENV, ini: str = INI) -> Path:
    """A project whose revisions r1, r2, … have these upgrades."""
    files = {
        f"r{number}": revision(f"r{number}", f"r{number - 1}" if number > 1 else None, upgrade)
        for number, upgrade in enumerate(upgrades, 1)
    }
    return project(folder, files, env=env, ini=ini)


def reading(
    folder: Path,
    dialect: str = "postgresql",
    *,
    current: tuple[str, ...] = (),
    target: str = "head",
    catalogue: Json = None,
    only: frozenset[str] | None = None,
    command: tuple[str, ...] = ("alembic", "upgrade", "head"),
    url: str | None = None,
    launcher: Launcher | None = None,
    timeout: float = 60,
    pass_environment: tuple[str, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Reading:
    """Read the project with the interpreter that the test is about."""
    source = ProjectSource(
        folder,
        command=command,
        launcher=launcher or Local((INTERPRETER[-1],)),
        timeout=timeout,
        pass_environment=pass_environment,
    )
    request = ReadRequest(
        dialect, url or URLS[dialect], "DATABASE_URL", current, target, catalogue, only
    )
    return read(source, request, environ=environ)


def named(found: Reading, name: str) -> Revision:
    return next(one for one in found.revisions if one.id == name)


def sql(script: Script) -> list[str]:
    """The statements, each in one line."""
    return [" ".join(statement.sql.split()) for statement in script.statements]


def opaque(script: Script) -> dict[Opaque, int]:
    """The reasons why it is not completely known, each with its line."""
    return {opacity.code: opacity.line for opacity in script.opacities}


def detail(script: Script, code: Opaque) -> str:
    return " | ".join(opacity.detail for opacity in script.opacities if opacity.code is code)
