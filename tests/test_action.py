"""action.yml, executed as it is: its own scripts in bash, with real GITHUB_* files, on a real project with git."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployguard.database.facts_file import Snapshot
from deployguard.database.facts_file import document as facts_document
from deployguard.model import Facts, TableFact
from tests.conftest import CopyBookings

ROOT = Path(__file__).resolve().parent.parent
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
EXPRESSION = re.compile(r"\$\{\{\s*([\w.-]+)\s*\}\}")
CONFIG = """
[project]
name = "bookings"
[environments.production]
database_url_env = "DATABASE_URL"
"""

pytestmark = [pytest.mark.slow]


@dataclass
class Result:
    code: int
    log: str
    outputs: dict[str, str]
    summary: str


class Runner:
    """As much of GitHub's runner as a composite action needs; ``uses`` steps are left out."""

    def __init__(self, folder: Path) -> None:
        self.temp = folder / "runner-temp"
        self.temp.mkdir()

    def run(self, project: Path, /, **given: str) -> Result:
        inputs = {name: spec.get("default", "") for name, spec in ACTION["inputs"].items()}
        inputs |= {name.replace("_", "-"): value for name, value in given.items()}
        values = {f"inputs.{name}": value for name, value in inputs.items()}
        values["github.action_path"] = str(ROOT)
        summary = self.temp / "summary.md"
        summary.write_text("")
        code, log = 0, ""
        for step in ACTION["runs"]["steps"]:
            if "run" not in step:
                continue
            if code:
                break
            output = self.temp / "output"
            output.write_text("")
            files = {"GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(summary)}
            done = self._step(step, project, values, files)
            code, log = done.returncode, log + done.stdout
            for line in output.read_text().splitlines():
                name, _, value = line.partition("=")
                values[f"steps.{step.get('id', '')}.outputs.{name}"] = value
        outputs = {name: fill(spec["value"], values) for name, spec in ACTION["outputs"].items()}
        return Result(code, log, outputs, summary.read_text())

    def _step(
        self, step: dict[str, Any], project: Path, values: Mapping[str, str], files: dict[str, str]
    ) -> subprocess.CompletedProcess[str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "DATABASE_"))}
        environment = {
            **kept,
            **files,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(project.parent),
            **{name: fill(value, values) for name, value in step.get("env", {}).items()},
        }
        assert "${{" not in step["run"], "inputs must not be pasted into a script"
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=project / fill(step["working-directory"], values),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )


def fill(text: str, values: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda match: values.get(match[1], ""), text)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """One runner: the second run finds the virtual environment that the first has made."""
    return Runner(tmp_path_factory.mktemp("action"))


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def pull_request(copy_bookings: CopyBookings, tmp_path: Path) -> Path:
    """A repository whose branch adds the revisions after b014 to main."""
    full = copy_bookings("full")
    project = copy_bookings("checkout", head="b014")
    (project / "deployguard.toml").write_text(CONFIG)
    git(project, "init", "--quiet", "--initial-branch=main")
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "main")
    git(project, "switch", "--quiet", "-c", "drop-fax")
    for file in (full / "migrations" / "versions").glob("b*.py"):
        (project / "migrations" / "versions" / file.name).write_bytes(file.read_bytes())
    git(project, "add", ".")
    git(project, "commit", "--quiet", "-m", "drop things")
    return project


def test_a_dangerous_pull_request_fails_with_annotations_outputs_and_summary(
    runner: Runner, pull_request: Path
) -> None:
    result = runner.run(pull_request, since="main", requirements="requirements.txt")
    assert result.code == 10, result.log
    assert result.outputs["level"] == "critical"
    assert result.outputs["pending"] == "5"
    assert result.outputs["needs-approval"] == "true"
    assert result.outputs["needs-backup"] == "true"
    assert result.outputs["exit-code"] == "10"
    assert re.fullmatch(r"[0-9a-f]{64}", result.outputs["digest"])
    path = r"checkout/migrations/versions/b018_drop_guest_fax\.py"
    assert re.search(rf"^::error .*file={path},line=\d+::", result.log, re.MULTILINE)
    assert "deployguard: critical" in result.summary
    assert "b019" in result.summary
    document = json.loads(Path(result.outputs["report"]).read_text())
    assert document["digest"] == result.outputs["digest"]


def test_fail_on_decides_and_a_lower_level_passes(runner: Runner, pull_request: Path) -> None:
    git(
        pull_request,
        "rm",
        "--quiet",
        *[f"migrations/versions/{n}" for n in names(pull_request, "b017")],
    )
    result = runner.run(pull_request, since="main", fail_on="high", requirements="requirements.txt")
    assert (result.code, result.outputs["level"]) == (0, "medium"), result.log
    stricter = runner.run(pull_request, since="main", fail_on="medium")
    assert stricter.code == 10


def test_a_file_of_facts_stands_in_for_the_database(runner: Runner, pull_request: Path) -> None:
    made = datetime.now(UTC)
    facts = Facts("postgresql", (16, 4), (TableFact("jobs", 90_000_000, 20 * 10**9),))
    snapshot = Snapshot(made, "production", "shop", "alembic_version", ("b014",), facts, None)
    (pull_request / "facts.json").write_text(json.dumps(facts_document(snapshot)))
    result = runner.run(
        pull_request, since="main", facts="facts.json", requirements="requirements.txt"
    )
    assert result.code == 10, result.log
    report = json.loads(Path(result.outputs["report"]).read_text())
    assert report["database"] == "facts of production (shop)"
    assert report["current"] == ["b014"]
    assert any("facts.json" in note for note in report["notes"])


def names(project: Path, first: str) -> list[str]:
    folder = project / "migrations" / "versions"
    return sorted(f.name for f in folder.glob("b*.py") if f.name >= first)


def test_what_cannot_be_checked_is_said_and_fails(runner: Runner, pull_request: Path) -> None:
    result = runner.run(pull_request, since="no-such-branch", requirements="requirements.txt")
    assert result.code == 2
    assert "no-such-branch" in result.log
    assert "::error title=deployguard::The check could not be made (exit code 2)" in result.log
    assert result.outputs["level"] == ""


def test_a_step_that_makes_no_report_does_not_name_the_one_of_an_earlier_step(
    runner: Runner, pull_request: Path
) -> None:
    first = runner.run(pull_request, since="main", requirements="requirements.txt")
    assert Path(first.outputs["report"]).is_file()
    second = runner.run(pull_request, since="no-such-branch", requirements="requirements.txt")
    assert (second.code, second.outputs["report"]) == (2, "")
    third = runner.run(pull_request, since="main", requirements="requirements.txt")
    assert third.outputs["report"] != first.outputs["report"]


def test_further_formats_are_written_to_files(runner: Runner, pull_request: Path) -> None:
    wanted = "sarif=dg.sarif\n  junit=dg.xml gitlab=dg.json\n"
    result = runner.run(pull_request, since="main", output=wanted, requirements="requirements.txt")
    assert result.code == 10, result.log
    assert json.loads((pull_request / "dg.sarif").read_text())["version"] == "2.1.0"
    assert "<testcase" in (pull_request / "dg.xml").read_text()
    assert json.loads((pull_request / "dg.json").read_text())
    nasty = '*=x "$(touch pwned)"'
    result = runner.run(pull_request, since="main", output=nasty, requirements="requirements.txt")
    assert result.code == 2, result.log
    assert not list(pull_request.rglob("pwned"))


def test_inputs_are_never_run(runner: Runner, pull_request: Path) -> None:
    nasty = '"; touch pwned; echo "$(touch pwned)'
    result = runner.run(
        pull_request, since=nasty, env=nasty, fail_on="high", requirements="requirements.txt"
    )
    assert result.code == 2
    assert not list(pull_request.rglob("pwned"))


def test_every_output_and_input_is_used() -> None:
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    for name in ACTION["inputs"]:
        assert f"${{{{ inputs.{name} " in text, name
    for name, spec in ACTION["outputs"].items():
        assert spec["value"] == f"${{{{ steps.check.outputs.{name} }}}}"


def test_foreign_actions_are_pinned_to_a_commit() -> None:
    for file in (ROOT / "action.yml", *(ROOT / ".github" / "workflows").glob("*.yml")):
        for used in re.findall(r"uses: (\S+)", file.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", used), f"{file.name}: {used}"
