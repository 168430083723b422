"""Commits are named, checked out beside the working copy and swept, in real repositories."""

import os
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.targets.git import Git, git_argv, git_environment
from tests.support.repositories import Repository, environ, repository


@pytest.fixture
def repo(tmp_path: Path) -> Repository:
    made = repository(tmp_path / "repo")
    (made.folder / "app").mkdir()
    (made.folder / "app" / "code").write_text("one\n")
    made.commit("one", tag="v1")
    (made.folder / "app" / "code").write_text("two\n")
    made.commit("two", tag="v2")
    return made


@pytest.fixture
def git(repo: Repository, tmp_path: Path) -> Git:
    return Git(repo.folder / "app", tmp_path / "state" / "checkouts", environ())


def test_argv_and_environment_keep_programs_and_secrets_out() -> None:
    argv = git_argv(Path("app"), "status")
    assert argv[:3] == ("git", "-C", "app")
    assert "core.hooksPath=/dev/null" in argv
    given = git_environment({"PATH": "/bin", "HOME": "/root", "SECRET": "x", "GIT_DIR": "/else"})
    assert "SECRET" not in given
    assert "GIT_DIR" not in given
    assert (given["PATH"], given["HOME"], given["GIT_TERMINAL_PROMPT"]) == ("/bin", "/root", "0")


@pytest.mark.parametrize("kind", ["tag", "branch", "id", "short id", "annotated"])
def test_whatever_names_a_commit_is_resolved_to_its_id(
    repo: Repository, git: Git, kind: str
) -> None:
    first = repo.git("rev-parse", "v1")
    repo.git("branch", "old", "v1")
    repo.git("tag", "--annotate", "--message", "one", "release", "v1")
    name = {
        "tag": "v1",
        "branch": "old",
        "id": first,
        "short id": first[:10],
        "annotated": "release",
    }[kind]
    assert git.resolve(name) == first


@pytest.mark.parametrize("name", ["v9", "0" * 40, "", "--help", "^v1", "two words"])
def test_an_unknown_commit_is_refused_with_what_to_type(git: Git, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        git.resolve(name)
    assert f"git -C {git.directory} branch --all" in caught.value.next_commands


def test_a_name_of_a_tag_and_a_branch_is_refused(repo: Repository, git: Git) -> None:
    repo.git("branch", "v1", "v2")
    with pytest.raises(UsageError, match="names a tag and a branch"):
        git.resolve("v1")
    assert git.resolve("tags/v1") == repo.git("rev-parse", "refs/tags/v1")


def test_a_shallow_clone_says_what_fetches_the_rest(repo: Repository, tmp_path: Path) -> None:
    first = repo.git("rev-parse", "v1")
    clone = tmp_path / "clone"
    repo.git("clone", "--quiet", "--depth", "1", f"file://{repo.folder}", str(clone))
    with pytest.raises(UsageError, match="shallow") as caught:
        Git(clone, tmp_path / "state", environ()).resolve(first)
    assert caught.value.next_commands[0] == f"git -C {clone} fetch --unshallow --tags"


def test_no_repository_and_no_git_are_told(tmp_path: Path, git: Git) -> None:
    lonely = tmp_path / "lonely"
    lonely.mkdir()
    with pytest.raises(UsageError, match="no git repository"):
        Git(lonely, tmp_path / "state", environ()).resolve("v1")
    nothing = Git(git.directory, git.folder, {"PATH": str(lonely)})
    with pytest.raises(EnvironmentUnreachable, match="git was not found"):
        nothing.resolve("v1")


def test_changes_of_tracked_files_are_refused_and_others_are_not(
    repo: Repository, git: Git
) -> None:
    (repo.folder / "notes.txt").write_text("of nobody's\n")
    git.refuse_changes()
    (repo.folder / "app" / "code").write_text("three\n")
    with pytest.raises(UsageError, match="app/code"):
        git.refuse_changes()


def test_a_checkout_is_whole_private_and_beside_the_working_copy(
    repo: Repository, git: Git
) -> None:
    index = (repo.folder / ".git" / "index").read_bytes()
    tree = git.check_out("d1", git.resolve("v1"))
    assert (tree / git.inside() / "code").read_text() == "one\n"
    assert (repo.folder / "app" / "code").read_text() == "two\n"
    assert repo.git("rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert (repo.folder / ".git" / "index").read_bytes() == index
    assert stat.S_IMODE(git.folder.stat().st_mode) == 0o700
    assert repo.worktrees() == [str(tree)]
    assert git.present("d1", git.resolve("v1"))
    assert not git.present("d1", git.resolve("v2"))
    git.remove("d1")
    assert not tree.exists()
    assert repo.worktrees() == []
    git.remove("d1")


def test_a_working_copy_that_leaves_files_out_does_not_make_a_checkout_do_so(
    repo: Repository, git: Git
) -> None:
    (repo.folder / "lib").mkdir()
    (repo.folder / "lib" / "code").write_text("of the library\n")
    commit = repo.commit("with a library")
    repo.git("sparse-checkout", "set", "--cone", "app")
    assert not (repo.folder / "lib").exists()
    assert (git.check_out("d1", commit) / "lib" / "code").is_file()


def test_no_hook_of_the_repository_runs(repo: Repository, git: Git, tmp_path: Path) -> None:
    for name in ("post-checkout", "reference-transaction"):
        hook = repo.folder / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/hooks\n")
        hook.chmod(0o755)
    git.check_out("d1", git.resolve("v1"))
    git.tag("deployguard-d1", git.resolve("v1"))
    assert not (tmp_path / "hooks").exists()
    repo.git("checkout", "--quiet", "v1")  # the hooks are real ones
    assert (tmp_path / "hooks").exists()


def test_a_checkout_that_somebody_changed_or_lost_a_part_of_is_not_taken_for_it(
    repo: Repository, git: Git
) -> None:
    commit = git.resolve("v1")
    tree = git.check_out("d1", commit)
    (tree / "app" / "code").write_text("forged\n")
    assert not git.present("d1", commit)
    assert (git.check_out("d1", commit) / "app" / "code").read_text() == "one\n"
    (tree / "app" / "code").unlink()
    assert not git.present("d1", commit)
    shutil.rmtree(tree)  # the folder is gone, and git still knows of it
    assert not git.present("d1", commit)
    git.check_out("d1", commit)
    assert git.present("d1", commit)
    assert repo.worktrees() == [str(tree)]


def test_sweeping_leaves_what_is_needed_and_what_is_not_ours(
    repo: Repository, git: Git, tmp_path: Path
) -> None:
    for name in ("d1", "d2"):
        git.check_out(name, git.resolve("v1"))
    repo.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "theirs"), "v1")
    shutil.move(tmp_path / "theirs", tmp_path / "on another disk")  # git must go on knowing it
    files = [git.folder / f"{name}.compose.json" for name in ("d1", "d2")]
    for file in files:
        file.touch()
    assert git.sweep({"d2"}) == ("d1",)
    assert [file.exists() for file in files] == [False, True]
    assert repo.worktrees() == [str(git.tree("d2")), str(tmp_path / "theirs")]


def test_a_checkout_that_was_killed_in_the_middle_is_made_anew(repo: Repository, git: Git) -> None:
    for number in range(3000):
        (repo.folder / "app" / f"{number}").write_text("x" * 2000)
    commit = repo.commit("many")
    argv = git_argv(git.directory, "worktree", "add", "--detach", str(git.tree("d1")), commit)
    git.folder.mkdir(parents=True)
    child = subprocess.Popen(argv, env=environ(), start_new_session=True, stderr=subprocess.DEVNULL)
    while child.poll() is None and not (git.tree("d1") / "app").exists():
        time.sleep(0.001)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    tree = git.check_out("d1", commit)
    assert len(list((tree / "app").iterdir())) == 3001
    git.sweep(())
    assert repo.worktrees() == []


def test_submodules_are_refused(repo: Repository, git: Git, tmp_path: Path) -> None:
    other = repository(tmp_path / "other")
    other.commit("first")
    repo.git(
        "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other.folder), "lib"
    )
    commit = repo.commit("with a submodule")
    git.refuse_unfit("v2", git.resolve("v2"))
    with pytest.raises(UsageError, match="submodules \\(lib\\)"):
        git.refuse_unfit("main", commit)


def test_files_that_a_filter_writes_are_refused(repo: Repository, git: Git) -> None:
    (repo.folder / "app" / ".gitattributes").write_text("*.bin filter=lfs diff=lfs -text\n")
    commit = repo.commit("with LFS")
    git.refuse_unfit("v2", git.resolve("v2"))
    with pytest.raises(UsageError, match="Git LFS"):
        git.refuse_unfit("main", commit)


def test_a_tag_is_made_once_and_again_and_its_failure_is_told(repo: Repository, git: Git) -> None:
    commit = git.resolve("v1")
    for _ in range(2):
        git.tag("deployguard-d1", commit)
    assert repo.git("rev-parse", "deployguard-d1") == commit
    (repo.folder / ".git" / "refs" / "tags" / "deployguard-d2.lock").write_text("")
    with pytest.raises(EnvironmentUnreachable, match="deployguard-d2"):
        git.tag("deployguard-d2", commit)
    assert "deployguard-d2" not in repo.git("tag")


def test_what_git_tracks_is_known_by_its_path(repo: Repository, git: Git, tmp_path: Path) -> None:
    (repo.folder / "uploads").mkdir()
    assert git.tracks(repo.folder / "app")
    assert git.tracks(repo.folder / "app" / "code")
    assert not git.tracks(repo.folder / "uploads")
    assert not git.tracks(tmp_path)
