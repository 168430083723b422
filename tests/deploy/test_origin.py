"""What a backup says it is of: the commit, its tag, and what runs; where nobody knows, a backup is taken all the same."""

import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from deployguard.backups import catalogue
from deployguard.config import load
from deployguard.containers import Engine
from deployguard.deploy import origin
from deployguard.deploy.reporter import Silent
from deployguard.deploy.wiring import wire
from tests.support.projects import BASE, Project, project

CONFIG = """
[project]
name = "app"
[environments.production]
database_url = "sqlite:///app.db"
"""


def git(folder: Path, *argv: str) -> str:
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *name, *argv], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-b", "main")
    (tmp_path / "deployguard.toml").write_text(CONFIG)
    (tmp_path / "app.db").write_bytes(b"")
    git(tmp_path, "add", "deployguard.toml")
    git(tmp_path, "commit", "-m", "first")
    return tmp_path


def test_a_tag_counts_for_exactly_its_commit(checkout: Path) -> None:
    assert origin.tag(checkout, os.environ) is None
    git(checkout, "tag", "v1.2.0")
    assert origin.tag(checkout, os.environ) == "v1.2.0"
    assert origin.commit(checkout, os.environ) == git(checkout, "rev-parse", "HEAD")
    git(checkout, "commit", "--allow-empty", "-m", "second")
    assert origin.tag(checkout, os.environ) is None


def test_no_repository_and_no_git_are_no_failure(tmp_path: Path) -> None:
    assert origin.commit(tmp_path, os.environ) is None
    assert origin.tag(tmp_path, {"PATH": str(tmp_path)}) is None


def test_a_backup_of_a_tagged_commit_says_so(checkout: Path) -> None:
    git(checkout, "tag", "-a", "v1.3.0", "-m", "x")
    settings = load(checkout / "deployguard.toml", checkout)
    world = wire(settings, settings.environment(), reporter=Silent(), by="ann")
    made = world.take_backup("manual", "")
    assert (made.git_tag, made.images) == ("v1.3.0", {})
    folder = checkout / ".deployguard/backups"
    assert catalogue.listing(folder).records == (made,)
    manifest = json.loads((folder / made.folder / "manifest.json").read_text())
    assert manifest["git_tag"] == "v1.3.0"
    assert manifest["images"] == {}
    # one of before these keys
    del manifest["git_tag"], manifest["images"]
    (folder / made.folder / "manifest.json").write_text(json.dumps(manifest))
    [old] = catalogue.listing(folder).records
    assert (old.git_tag, old.images, old.git_commit) == (None, {}, made.git_commit)


def test_an_engine_that_never_answers_holds_up_no_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "docker.sock"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
        assert origin.images(("web",), lambda: "app", patience=0.5) == {}


def test_a_project_that_nobody_names_holds_up_no_backup() -> None:
    over = threading.Event()

    def name() -> str:
        over.wait()
        return "app"

    assert origin.images(("web",), name, patience=0.5) == {}
    over.set()  # it was still being waited for


def test_no_engine_and_no_project_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    assert origin.images(("web",), lambda: "app") == {}


@pytest.mark.docker
def test_the_images_are_those_that_run(tmp_path: Path) -> None:
    with project(tmp_path) as made:
        running(made)
        image = made.build("v1", "one")
        assert origin.images(("web", "worker", "gone"), lambda: made.name) == {
            "web": image,  # no registry knows it
            "worker": base(),
        }


def running(made: Project) -> None:
    made.build("v1", "one")
    made.write("""
services:
  web: {image: "@PROJECT:v1", command: [sleep, "60"], init: true}
  worker: {image: "@BASE", command: [sleep, "60"], init: true}
""")
    made.call("up", "-d")


def base() -> str:
    with Engine() as engine:
        return engine.digest(BASE) or ""
