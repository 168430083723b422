"""Help costs nothing: no heavy library is imported by it, and every command can tell how it is used."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployguard.cli.group import COMMANDS, root
from deployguard.cli.main import run

HEAVY = (
    "alembic",
    "boto3",
    "docker",
    "httpx",
    "psycopg",
    "postgast",
    "rich",
    "sqlalchemy",
    "sqlglot",
)
ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
with create_engine("postgresql://").connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
PROBE = """
import json, sys
from deployguard.cli.main import run
code = run(json.loads(sys.argv[1]))
names = {name.partition('.')[0] for name in sys.modules}
rooms = {name for name in sys.modules if name.startswith('deployguard.')}
print(json.dumps([code, sorted(names | rooms)]), file=sys.stderr)
"""


def imported(*arguments: str, folder: Path | None = None) -> tuple[int, set[str], str]:
    """Exit code, modules (ours by full name) and stdout of a command line in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules), done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("backup", "--help")])
def test_help_and_version_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code, modules, shown = imported(*arguments)
    assert code == 0
    assert shown
    assert not modules & {*HEAVY, "deployguard.model", "deployguard.formats"}


def test_a_check_that_was_made_before_loads_no_parser_no_rule_and_no_alembic(
    tmp_path: Path,
) -> None:
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (tmp_path / "deployguard.toml").write_text(
        '[project]\nname = "app"\ndialect = "postgresql"\n'
        '[environments.development]\ndatabase_url_env = "DATABASE_URL"\n'
    )
    (tmp_path / "migrations" / "env.py").write_text(ENV)
    (versions / "a.py").write_text(
        'from alembic import op\nrevision = "a"\ndown_revision = None\n\n'
        'def upgrade():\n    op.execute("DROP TABLE people")\n\ndef downgrade():\n    pass\n'
    )
    time.sleep(2.5)  # what has only just been written is not kept
    first = imported("check", "--from", "base", folder=tmp_path)
    again = imported("check", "--from", "base", folder=tmp_path)
    assert (again[0], again[2]) == (first[0], first[2])
    assert "critical" in again[2]
    assert {"sqlglot", "postgast", "deployguard.rules"} <= first[1]
    assert not again[1] & {*HEAVY, "deployguard.rules", "deployguard.process"}
    anew = imported("check", "--from", "base", "--no-cache", folder=tmp_path)
    assert (anew[0], anew[2]) == (first[0], first[2])
    assert "sqlglot" in anew[1]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_the_help_of_every_command_is_light_and_teaches(name: str) -> None:
    code, modules, shown = imported(name, "--help")
    assert code == 0
    assert not modules & set(HEAVY)
    assert "Exit codes" in shown
    assert f"deployguard {name}" in shown.partition("Usage:")[2]
    assert "Examples:" in shown or "Commands:" in shown


def test_the_table_of_commands_is_what_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    for name, (_, text) in COMMANDS.items():
        assert text in shown
        command = root.get_command(
            root.make_context("deployguard", [], resilient_parsing=True), name
        )
        assert command.name in ("command", name)


def test_every_short_help_is_one_line() -> None:
    assert all(len(text) < 70 and text.endswith(".") for _, text in COMMANDS.values())
