"""`deploy --ref` on SQLite and a real repository: the revisions of the commit, beside a working copy that stays."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Bookings, MakeBookings
from tests.conftest import FIXTURES
from tests.support.repositories import Repository, repository

VERSIONS = Path("migrations") / "versions"


def add(bookings: Bookings, *revisions: str) -> None:
    for file in sorted((FIXTURES / "bookings" / VERSIONS).glob("b*.py")):
        if file.name.split("_")[0] in revisions:
            shutil.copy(file, bookings.folder / VERSIONS)


@pytest.fixture
def bookings(make_bookings: MakeBookings) -> Bookings:
    """The tag v2 has b014, main has b018, which is critical; the database is at b013."""
    made = make_bookings("b014")
    repo = repository(made.folder)
    (made.folder / ".gitignore").write_text(".deployguard/\n__pycache__/\n")
    repo.commit("v2", tag="v2")
    add(made, "b015", "b016", "b017", "b018")
    repo.commit("v3", tag="v3")
    return made


def write_more(file: Path) -> None:
    file.write_text(file.read_text() + "\n# more\n")


def repo_of(bookings: Bookings) -> Repository:
    return Repository(bookings.folder)


def clean(bookings: Bookings) -> bool:
    """Whether nothing of a checkout is left, for git or on the disk."""
    left = list((bookings.folder / ".deployguard").glob("checkouts/*/*"))
    assert repo_of(bookings).worktrees() == []
    assert left == []
    return True


def last(bookings: Bookings, *arguments: str) -> dict[str, object]:
    return dict(json.loads(bookings.deployguard("show", "--format", "json", *arguments).out))


def test_the_revisions_of_the_commit_are_deployed_and_not_those_of_the_working_copy(
    bookings: Bookings,
) -> None:
    commit = repo_of(bookings).git("rev-parse", "v2")
    before = repo_of(bookings).git("status", "--porcelain", "--branch")
    answer = bookings.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    assert answer.code == 0, answer.err
    assert f"v2 is commit {commit}" in " ".join(answer.err.split())
    assert bookings.revision == "b014"
    shown = last(bookings)
    assert (shown["ref"], shown["commit"], shown["to"]) == ("v2", commit, ["b014"])
    assert commit in bookings.deployguard("show").out
    assert "v2" in bookings.deployguard("history").out
    assert repo_of(bookings).git("status", "--porcelain", "--branch") == before
    assert clean(bookings)


def test_without_a_ref_the_working_copy_is_deployed_as_ever(bookings: Bookings) -> None:
    answer = bookings.deployguard("deploy", "--auto-migrate")
    assert answer.code == 11  # b018 is critical
    assert (last(bookings)["ref"], last(bookings)["commit"]) == (None, None)
    assert not (bookings.folder / ".deployguard" / "checkouts").exists()


def test_an_approval_is_of_one_commit(bookings: Bookings) -> None:
    refused = bookings.deployguard("deploy", "--ref", "v3", "--auto-migrate")
    assert refused.code == 11
    digest = str(last(bookings)["digest"])
    assert "--ref v3" in refused.err
    write_more(bookings.folder / "bookings" / "app.py")
    repo_of(bookings).commit("same revisions", tag="v4")
    other = bookings.deployguard("deploy", "--ref", "v4", "--auto-migrate", "--approve", digest)
    assert other.code == 11, other.err
    assert bookings.revision == "b013"
    done = bookings.deployguard("deploy", "--ref", "v3", "--auto-migrate", "--approve", digest)
    assert done.code == 0, done.err
    assert bookings.revision == "b018"
    assert clean(bookings)


def test_what_is_wrong_with_a_ref_is_said_before_anything_is_begun(bookings: Bookings) -> None:
    unknown = bookings.deployguard("deploy", "--ref", "v9", "--auto-migrate")
    assert (unknown.code, "git knows no commit 'v9'" in unknown.err) == (2, True)
    assert f"git -C {bookings.folder} fetch --all --tags" in unknown.err
    write_more(bookings.folder / "alembic.ini")
    dirty = bookings.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    assert (dirty.code, "not committed" in dirty.err) == (2, True)
    assert bookings.deployguard("history").out.startswith("No deploy has run yet")
    assert bookings.revision == "b013"
    assert clean(bookings)


def test_revisions_that_are_no_part_of_the_commit_are_refused(
    bookings: Bookings, tmp_path: Path
) -> None:
    ini = bookings.folder / "alembic.ini"
    shutil.copytree(bookings.folder / "migrations", tmp_path / "elsewhere")
    text = ini.read_text().replace(
        "script_location = migrations", f"script_location = {tmp_path}/elsewhere"
    )
    text = text.replace(
        "script_location = %(here)s/migrations", f"script_location = {tmp_path}/elsewhere"
    )
    assert "elsewhere" in text
    ini.write_text(text)
    repo_of(bookings).commit("moved", tag="moved")
    answer = bookings.deployguard("deploy", "--ref", "moved", "--auto-migrate")
    assert (answer.code, "not a part of the commit" in " ".join(answer.err.split())) == (2, True)
    assert bookings.revision == "b013"
    assert clean(bookings)


def test_a_relative_database_file_is_that_of_the_project(
    bookings: Bookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(bookings.database, bookings.folder / "own.db")
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:///own.db")
    bookings.database = bookings.folder / "own.db"
    answer = bookings.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    assert answer.code == 0, answer.err
    assert bookings.revision == "b014"


KILLING = """
import os, signal, sys
from deployguard.state import Journal
step, kind = sys.argv[1:3]
record = Journal.record
def killing(self, deploy, name, what, evidence=None):
    record(self, deploy, name, what, evidence)
    if (name, str(what)) == (step, kind):
        os.kill(os.getpid(), signal.SIGKILL)
Journal.record = killing
from deployguard.cli.main import run
sys.exit(run(sys.argv[3:]))
"""


@pytest.mark.parametrize(
    ("step", "kind"),
    [("checkout", "intent"), ("checkout", "done"), ("plan", "done"), ("migrate", "intent")],
)
@pytest.mark.parametrize("lost", [False, True])
def test_a_killed_deploy_is_resumed_with_the_same_commit(
    bookings: Bookings, step: str, kind: str, lost: bool
) -> None:
    repo = repo_of(bookings)
    commit = repo.git("rev-parse", "v2")
    argv = [sys.executable, "-c", KILLING, step, kind, "deploy", "--ref", "v2", "--auto-migrate"]
    done = subprocess.run(
        argv, cwd=bookings.folder, env=os.environ, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    repo.git("tag", "--force", "v2", "v3")  # the name leads elsewhere by now
    if lost:
        shutil.rmtree(bookings.folder / ".deployguard" / "checkouts", ignore_errors=True)
    answer = bookings.deployguard("resume")
    assert answer.code == 0, answer.err
    assert bookings.revision == "b014"
    assert last(bookings)["commit"] == commit
    assert clean(bookings)


def test_closing_a_killed_deploy_sweeps_its_checkout(bookings: Bookings) -> None:
    argv = [
        sys.executable,
        "-c",
        KILLING,
        "plan",
        "done",
        "deploy",
        "--ref",
        "v2",
        "--auto-migrate",
    ]
    subprocess.run(argv, cwd=bookings.folder, env=os.environ, capture_output=True, check=False)
    assert len(repo_of(bookings).worktrees()) == 1
    assert bookings.deployguard("close", "--reason", "not needed").code == 0
    assert clean(bookings)


def test_a_deploy_of_a_commit_is_taken_back_by_its_own_revisions(bookings: Bookings) -> None:
    assert bookings.deployguard("deploy", "--ref", "v2", "--auto-migrate").code == 0
    name = str(last(bookings)["id"])
    (bookings.folder / VERSIONS).rename(bookings.folder / "gone")  # they are in the repository
    planned = bookings.deployguard("rollback", name, "--to", "b013", "--plan")
    assert planned.code == 0, planned.err
    back = bookings.deployguard("rollback", name, "--to", "b013", "--confirm", name)
    assert back.code == 0, back.err
    assert bookings.revision == "b013"
    assert clean(bookings)
