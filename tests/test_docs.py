"""What the pages tell people to type works as it stands there, and every page and command they name exists."""

import os
import re
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deployguard.cli.app import App
from deployguard.cli.backup import COMMANDS as BACKUP_COMMANDS
from deployguard.cli.check import command as check
from deployguard.cli.group import COMMANDS
from deployguard.formats import FORMS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXIT_CODE = re.compile(r"^(?P<command>\w.*?) +# .*exit code (?P<code>\d+)", re.MULTILINE)
LEFT_OUT = (".git", ".venv", ".deployguard", "__pycache__", ".mypy_cache", ".ruff_cache", "*.db")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"(?:^|[`$] ?)deployguard ([a-z]\w*)\b", text, re.MULTILINE):
        assert name in COMMANDS, name
    for name in re.findall(r"deployguard backup ([a-z]+(?:-[a-z]+)*)", text):
        assert name in BACKUP_COMMANDS, name
    for script in re.findall(r"`(scripts/[a-z-]+)", text):
        assert (ROOT / script).exists(), script


def test_exit_codes_are_told_alike() -> None:
    listed = [
        set(re.findall(r"^\| (\d+) \|", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("README.md", "docs/exit-codes.md")
    ]
    assert listed[0] == listed[1]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def script(page: Path) -> str:
    """The page's shell blocks as one script that stops at the first exit code which is not as announced."""
    blocks = "\n".join(BLOCK.findall(page.read_text(encoding="utf-8")))
    announced = r'code=0; \g<command> || code=$?; [ "$code" -eq \g<code> ]'
    return "set -eux\n" + EXIT_CODE.sub(announced, blocks)


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_compose_tour_goes_as_it_is_told(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns(*LEFT_OUT))
    name = f"dgtour{secrets.token_hex(4)}"
    environ = {
        **os.environ,
        "COMPOSE_PROJECT_NAME": name,
        "BOOKINGS_IMAGE": name,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    tour = script(ROOT / "docs" / "compose.md").replace("8080", free_port())
    try:
        done = subprocess.run(
            ["bash", "-c", tour],
            cwd=clone,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        assert '"version":"v2"' in done.stdout
        assert "database at  b013" in done.stdout
    finally:
        tidy(name, clone, environ)


def tidy(name: str, clone: Path, environ: dict[str, str]) -> None:
    down = [
        "docker",
        "compose",
        "-f",
        "docker-compose.prod.yml",
        "--profile",
        "migration",
        "down",
        "-v",
    ]
    password = {"POSTGRES_PASSWORD": "x"}
    subprocess.run(down, cwd=clone, env=environ | password, capture_output=True, check=False)
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}", name],
        capture_output=True,
        text=True,
        check=False,
    )
    if images := listed.stdout.split():
        subprocess.run(["docker", "rmi", "-f", *images], capture_output=True, check=False)


def test_the_ci_page_is_yaml_whose_commands_are_understood() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert all(isinstance(yaml.safe_load(block), dict) for block in blocks)
    commands = re.findall(r"deployguard check (--.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for command in commands:
        check.make_context("check", shlex.split(command), obj=App())
    listed = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert tuple(listed) == FORMS


def test_the_ci_page_installs_what_it_runs_and_fetches_what_it_compares() -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    found = re.findall(r"^```yaml\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    blocks = [yaml.safe_load(block) for block in found]
    *hosted, gitlab = [one.get("jobs", one)["migrations"] for one in blocks]
    inputs = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))["inputs"]
    for job in hosted:
        assert job["steps"][0]["with"]["fetch-depth"] == 0
        ours = [step["with"] for step in job["steps"] if "deployguard@" in step.get("uses", "")]
        assert all(given.keys() <= inputs.keys() for given in ours)
        runs = " ".join(step.get("run", "") for step in job["steps"])
        assert ours or ("setup-python" in str(job) and "-r requirements.txt" in runs)
        assert "sarif=deployguard.sarif" in str(job)
    assert gitlab["image"].startswith("python:")
    assert gitlab["variables"] == {"GIT_DEPTH": 0}
    install, fetch, run = gitlab["script"]
    assert "deployguard@" in install
    assert "-r requirements.txt" in install
    assert fetch.startswith("git fetch origin ")
    assert "origin/$CI_MERGE_REQUEST_TARGET_BRANCH_NAME" in run
