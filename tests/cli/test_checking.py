"""`check` on a real project: the plan in every form, exit codes by level, and one document on stdout."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deployguard.cli.checking import prefix
from tests.cli.conftest import Bookings, MakeBookings


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def branch(bookings: Bookings, later: tuple[str, ...]) -> None:
    """Make the project a repository whose branch adds the revisions in ``later``."""
    folder = bookings.folder
    aside = {name: next((folder / "migrations/versions").glob(f"{name}_*.py")) for name in later}
    texts = {path: path.read_text() for path in aside.values()}
    for path in texts:
        path.unlink()
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "main")
    for path, text in texts.items():
        path.write_text(text)


def test_a_column_with_a_default_is_low_and_passes(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("check")
    assert answer.code == 0, answer.err
    assert " LOW  1 revision pending, b013 → b014" in answer.out
    assert "deployguard deploy --env production --auto-migrate" in answer.out
    assert answer.err == "" or "Reading what is pending" in answer.err


def test_a_dropped_column_is_critical_and_exits_with_10(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b018").deployguard("check")
    assert answer.code == 10
    assert " CRITICAL  5 revisions pending, b013 → b018" in answer.out
    assert "DG102 critical" in answer.out
    assert "migrations/versions/b018_drop_guest_fax.py:" in answer.out
    assert "Does it drop anything?" in answer.out
    assert "deployguard explain DG" in answer.out


def test_json_is_exactly_one_document_however_much_is_said(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b018").deployguard("check", "-vv", "--format", "json")
    document = json.loads(answer.out)
    assert answer.code == 10
    assert document["schema"] == "deployguard.check/1"
    assert [r["id"] for r in document["revisions"]] == ["b014", "b015", "b016", "b017", "b018"]
    assert document["evidence"] == "recorded"


def test_the_digest_is_the_same_each_time_and_for_each_form(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    first = json.loads(bookings.deployguard("check", "--format", "json").out)["digest"]
    assert json.loads(bookings.deployguard("check", "--format", "json").out)["digest"] == first
    assert first in bookings.deployguard("check").out
    assert first in bookings.deployguard("check", "--format", "markdown").out


@pytest.mark.parametrize(
    ("level", "code"), [("low", 10), ("medium", 10), ("high", 0), ("critical", 0)]
)
def test_fail_on_decides_the_exit_code(make_bookings: MakeBookings, level: str, code: int) -> None:
    assert make_bookings("b016").deployguard("check", "--fail-on", level).code == code


def test_the_policy_decides_without_fail_on(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    bookings.configure('[policy]\nfail_on = "low"\n')
    assert bookings.deployguard("check").code == 10


def test_sql_is_shown_when_more_is_asked_for(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert "ALTER TABLE guests" not in bookings.deployguard("check").out
    assert "ALTER TABLE guests" in bookings.deployguard("check", "-v").out


def test_nothing_pending(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b013").deployguard("check", "--fail-on", "low")
    assert answer.code == 0
    assert "Nothing is pending; the database is at b013." in answer.out


def test_since_judges_a_branch_without_any_database(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b018")
    branch(bookings, ("b017", "b018"))
    monkeypatch.delenv("DATABASE_URL")
    answer = bookings.deployguard("check", "--since", "main", "--format", "json")
    document = json.loads(answer.out)
    assert answer.code == 10
    assert (document["dialect"], document["database"]) == ("postgresql", "no database")
    assert [r["id"] for r in document["revisions"]] == ["b017", "b018"]
    assert all("deploy " not in command for command in document["next"])


def test_without_an_environment_the_projects_dialect_decides(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    config = bookings.folder / "deployguard.toml"
    config.write_text(config.read_text().replace("[project]", '[project]\ndialect = "postgresql"'))
    asked = ("check", "--from", "b017", "--format", "json")
    assert json.loads(bookings.deployguard(*asked).out)["dialect"] == "postgresql"
    named = bookings.deployguard(*asked, "--env", "production")
    assert json.loads(named.out)["dialect"] == "sqlite"


def test_without_a_configuration_what_init_would_write_is_assumed(
    make_bookings: MakeBookings,
) -> None:
    bookings = make_bookings("b018")
    (bookings.folder / "deployguard.toml").unlink()
    answer = bookings.deployguard(
        "check", "--from", "b017", "--dialect", "postgresql", "--format", "json"
    )
    assert answer.code == 10, answer.err
    found = json.loads(answer.out)
    assert found["level"] == "critical"
    assert "There is no deployguard.toml" in found["notes"][0]
    assert not (bookings.folder / "deployguard.toml").exists()
    assert not (bookings.folder / ".deployguard").exists()
    for written in (("check",), ("deploy", "--auto-migrate")):
        refused = bookings.deployguard(*written)
        assert refused.code == 2
        assert "deployguard init" in refused.err


def test_a_check_outside_of_a_project_is_a_usage_error(
    make_bookings: MakeBookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.chdir(tmp_path_with(tmp_path, 7))
    answer = bookings.deployguard("check", "--from", "base")
    assert answer.code == 2
    assert "several alembic.ini files" in answer.err
    assert "and 2 more" in " ".join(answer.err.split())


def tmp_path_with(folder: Path, projects: int) -> Path:
    """A folder that is no project, with this many projects below it."""
    for number in range(projects):
        below = folder / "all" / f"p{number}"
        below.mkdir(parents=True)
        (below / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    return folder / "all"


def test_since_a_ref_that_is_not_there(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    branch(bookings, ("b018",))
    answer = bookings.deployguard("check", "--since", "nowhere")
    assert (answer.code, "nowhere" in answer.err) == (2, True)


def test_from_a_revision_in_another_dialect(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b016")
    shown = bookings.deployguard(
        "check", "--from", "b015", "--dialect", "postgresql", "--format", "json"
    )
    document = json.loads(shown.out)
    assert document["dialect"] == "postgresql"
    assert [r["id"] for r in document["revisions"]] == ["b016"]
    monkeypatch.delenv("DATABASE_URL")
    lite = bookings.deployguard(
        "check", "--from", "b015", "--dialect", "sqlite", "--format", "json"
    )
    assert json.loads(lite.out)["dialect"] == "sqlite"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--from", "b013", "--since", "main"), "Only one of"),
        (("--dialect", "sqlite"), "--from, --since or --facts"),
        (("--env", "nowhere"), "nowhere"),
        (("--from", "zzz"), "zzz"),
    ],
)
def test_wrong_usage(
    make_bookings: MakeBookings, arguments: tuple[str, ...], expected: str
) -> None:
    answer = make_bookings("b014").deployguard("check", *arguments)
    assert answer.code == 2
    assert expected in answer.err
    assert answer.out == ""


def test_github_annotates_and_fills_the_jobs_files(
    make_bookings: MakeBookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b018")
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    report = tmp_path / "report.json"
    answer = bookings.deployguard("check", "--format", "github", "--report", str(report))
    assert answer.code == 10
    assert "file=project/migrations/versions/b018_drop_guest_fax.py,line=" in answer.out
    assert "level=critical\n" in (tmp_path / "GITHUB_OUTPUT").read_text()
    assert "## 🔴 deployguard: critical" in (tmp_path / "GITHUB_STEP_SUMMARY").read_text()
    assert json.loads(report.read_text())["level"] == "critical"


def test_a_report_that_cannot_be_written(make_bookings: MakeBookings, tmp_path: Path) -> None:
    answer = make_bookings("b014").deployguard("check", "--report", str(tmp_path / "no" / "r.json"))
    assert answer.code == 2
    assert "Cannot write" in answer.err


def test_a_database_that_does_not_answer_is_3_and_shows_no_password(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://app:c4nary@127.0.0.1:1/bookings")
    answer = bookings.deployguard("check", "-vv")
    assert answer.code == 3
    assert "127.0.0.1" in answer.err
    assert "c4nary" not in answer.out + answer.err


def test_several_heads_are_a_usage_error(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    (bookings.folder / "migrations/versions/other.py").write_text(
        'revision = "other"\ndown_revision = "b012"\ndef upgrade(): pass\ndef downgrade(): pass\n'
    )
    answer = bookings.deployguard("check")
    assert answer.code == 2
    assert "heads" in answer.err


def test_paths_count_from_the_root_of_the_repository(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    project = tmp_path / "services" / "api"
    project.mkdir(parents=True)
    assert prefix(project, {}) == "services/api"
    assert prefix(tmp_path, {}) == ""
    assert prefix(project, {"GITHUB_WORKSPACE": str(tmp_path / "services")}) == "api"
    assert prefix(project, {"GITHUB_WORKSPACE": "/elsewhere"}) == "services/api"


@pytest.mark.parametrize("option", ["--from", "--since", "--env"])
def test_an_unset_variable_of_a_pipeline_does_not_mean_the_default(
    make_bookings: MakeBookings, option: str
) -> None:
    answer = make_bookings("b014").deployguard("check", option, "")
    assert (answer.code, answer.out) == (2, "")
    assert f"Invalid value for '{option}': it is empty." in answer.err


@pytest.mark.parametrize("command", [("check", "--from", "b013"), ("baseline",)])
def test_a_dialect_that_is_not_known_is_an_error_with_the_nearest(
    make_bookings: MakeBookings, command: tuple[str, ...]
) -> None:
    answer = make_bookings("b014").deployguard(*command, "--dialect", "postgres")
    assert (answer.code, answer.out) == (2, "")
    assert "Did you mean 'postgresql'?" in " ".join(answer.err.split())


def test_two_formats_are_not_written_to_one_file(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard("check", "--output", "sarif=a.out", "--output", "junit=a.out")
    assert answer.code == 2
    assert "a.out is named for two formats" in answer.err
    assert not (bookings.folder / "a.out").exists()


def test_a_full_disk_behind_stdout_is_no_bug_of_deployguard(make_bookings: MakeBookings) -> None:
    make_bookings("b014")
    code = "import sys; from deployguard.cli.main import main; sys.argv[1:] = ['check']; main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 3
    assert "Cannot write to stdout: No space left on device." in done.stderr
    assert "bug" not in done.stderr
    assert "Traceback" not in done.stderr
