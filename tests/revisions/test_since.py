"""In a pull request, pending is what the branch adds; what it does to the history is said."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deployguard.errors import UsageError
from deployguard.revisions.graph import load
from deployguard.revisions.since import Since, since
from tests.revisions.projects import chain, named, reading, revision, sql

CREATE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True))'


def git(folder: Path, *arguments: str) -> None:
    identity = (
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "init.defaultBranch=main",
    )
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Main has r1 and r2; the branch that is checked out starts there."""
    folder = chain(tmp_path / "service", CREATE, "pass")
    git(tmp_path, "init")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-m", "start")
    git(tmp_path, "checkout", "-b", "feature")
    return folder


def write(folder: Path, name: str, text: str) -> None:
    (folder / "migrations" / "versions" / f"{name}.py").write_text(text)


def compare(folder: Path) -> Since:
    return since(load(folder), folder, "main")


def test_added_files_are_pending_committed_or_not(repository: Path) -> None:
    write(repository, "r3", revision("r3", "r2", 'op.drop_table("t")'))
    git(repository, "add", "-A")
    git(repository, "commit", "-m", "three")
    write(repository, "r4", revision("r4", "r3", "pass"))
    write(repository, "r5", revision("r5", "r4", "pass"))
    git(repository, "add", "migrations/versions/r4.py")
    assert compare(repository).added == {"r3", "r4", "r5"}


def test_what_main_got_meanwhile_is_not_ours(repository: Path) -> None:
    git(repository, "checkout", "main")
    write(repository, "r3", revision("r3", "r2", "pass"))
    git(repository, "add", "-A")
    git(repository, "commit", "-m", "theirs")
    git(repository, "checkout", "feature")
    write(repository, "mine", revision("mine", "r2", "pass"))
    assert compare(repository).added == {"mine"}


def test_history_that_is_edited_or_deleted_is_said(repository: Path) -> None:
    write(repository, "r1", revision("r1", None, CREATE + "\npass"))
    (repository / "migrations/versions/r2.py").unlink()
    found = compare(repository)
    assert (found.added, found.edited) == (frozenset(), ("r1",))
    assert "r1 is part of the history and was edited" in found.notes[0]
    assert "r2.py of the history was deleted" in found.notes[1]


def test_a_file_that_is_only_renamed_is_not_pending(repository: Path) -> None:
    versions = repository / "migrations" / "versions"
    (versions / "r2.py").rename(versions / "r2_with_a_better_name.py")
    found = compare(repository)
    assert (found.added, found.notes) == (frozenset(), ())


def test_the_added_revisions_are_read_on_the_replayed_history(repository: Path) -> None:
    write(repository, "r3", revision("r3", "r2", 'op.drop_column("t", "id")'))
    found = reading(repository, only=compare(repository).added)
    assert [one.id for one in found.revisions] == ["r3"]
    assert sql(named(found, "r3").up) == ["ALTER TABLE t DROP COLUMN id"]


def test_a_ref_that_does_not_exist_is_an_error(repository: Path) -> None:
    with pytest.raises(UsageError, match="'nowhere'") as raised:
        since(load(repository), repository, "nowhere")
    assert raised.value.next_commands == ("git fetch --all", "git branch --all")


def test_a_clone_that_is_shallow_is_told_to_fetch_the_rest(
    repository: Path, tmp_path: Path
) -> None:
    write(repository, "r3", revision("r3", "r2", 'op.drop_table("t")'))
    git(repository, "add", "-A")
    git(repository, "commit", "-m", "three")
    git(tmp_path, "clone", "--depth=1", f"file://{tmp_path}", "shallow")
    shallow = tmp_path / "shallow" / "service"
    with pytest.raises(UsageError) as raised:
        since(load(shallow), shallow, "main")
    assert raised.value.next_commands[0] == "git fetch --unshallow"


def test_outside_of_a_repository_is_an_error(tmp_path: Path) -> None:
    folder = chain(tmp_path / "x", CREATE)
    with pytest.raises(UsageError):
        since(load(folder), folder, "main")
