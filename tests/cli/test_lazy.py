"""Help costs nothing: no heavy library is imported by it, and every command can tell how it is used."""

import json
import subprocess
import sys

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
PROBE = """
import json, sys
from deployguard.cli.main import run
code = run(json.loads(sys.argv[1]))
print(json.dumps([code, sorted({name.partition('.')[0] for name in sys.modules})]), file=sys.stderr)
"""


def imported(*arguments: str) -> tuple[int, set[str], str]:
    """Exit code, top-level modules and stdout of a command line in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules), done.stdout


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("backup", "--help")])
def test_help_and_version_import_nothing_heavy(arguments: tuple[str, ...]) -> None:
    code, modules, shown = imported(*arguments)
    assert code == 0
    assert shown
    assert not modules & set(HEAVY)


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
