"""`deploy --ref` and `rollback --to-ref` with images that Compose builds from real checkouts; the database is SQLite."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Bookings, MakeBookings
from tests.cli.test_deploying_a_commit import KILLING, add
from tests.support.docker import run
from tests.support.projects import Project, project
from tests.support.repositories import Repository, repository

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

FILE = """
services:
  web:
    image: "@PROJECT:${TAG:-none}"
    build: {context: app}
    command: [sleep, "900"]
    init: true
    stop_grace_period: 1s
    environment: {FROM_ENV: "${SECRET_WORD:-unset}"}
    volumes: ["./data:/data"]
  worker:
    image: "@PROJECT:${TAG:-none}"
    build: {context: app}
    command: [sleep, "900"]
    init: true
    stop_grace_period: 1s
"""
CONFIGURATION = """
[target]
kind = "compose"
project_name = "@PROJECT"
services = ["web", "worker"]
timeout = 120
"""


@dataclass
class Shop:
    """The working copy is at v3; v1 runs, and the database is at b013, which v1 knows."""

    bookings: Bookings
    compose: Project
    repo: Repository

    def deployguard(self, *arguments: str) -> str:
        answer = self.bookings.deployguard(*arguments)
        assert answer.code == 0, answer.err
        return answer.out

    def inside(self, service: str, file: str = "/said") -> str:
        [one] = self.compose.call("ps", "-q", service).split()
        return run("docker", "exec", one, "cat", file).strip()

    def image(self, name: str) -> str:
        return run("docker", "image", "inspect", "-f", "{{.Id}}", name).strip()

    def running(self) -> str:
        """The image of both services."""
        ids = self.compose.call("ps", "-q", "web", "worker").split()
        images = {run("docker", "inspect", "-f", "{{.Image}}", one).strip() for one in ids}
        [image] = images
        return image

    def last(self) -> dict[str, object]:
        return dict(json.loads(self.deployguard("show", "--format", "json")))

    def clean(self) -> None:
        assert self.repo.worktrees() == []
        assert not list((self.bookings.folder / ".deployguard").glob("checkouts/*/*"))


@pytest.fixture
def shop(make_bookings: MakeBookings) -> Iterator[Shop]:
    bookings = make_bookings("b013")
    with project(bookings.folder) as compose:
        made = Shop(bookings, compose, repository(bookings.folder))
        compose.write(FILE)
        bookings.configure(CONFIGURATION.replace("@PROJECT", compose.name))
        ignored = ".deployguard/\n__pycache__/\n.env\ndata/\n"
        (bookings.folder / ".gitignore").write_text(ignored)
        (bookings.folder / ".env").write_text("TAG=current\nSECRET_WORD=of the working copy\n")
        (bookings.folder / "data").mkdir()
        (bookings.folder / "data" / "kept").write_text("kept\n")
        (bookings.folder / "app").mkdir()
        for tag, revisions in (
            ("v1", ()),
            ("v2", ("b014",)),
            ("v3", ("b015", "b016", "b017", "b018")),
        ):
            add(bookings, *revisions)
            (bookings.folder / "app" / "Dockerfile").write_text(
                f"FROM python:3.11-slim\nLABEL project={compose.name}\nRUN echo {tag} > /said\n"
            )
            made.repo.commit(tag, tag=tag)
            if tag == "v1":
                compose.call("build")
                compose.call("up", "-d", "--wait")
        yield made


def test_a_commit_is_built_deployed_and_kept_by_name_and_digest(shop: Shop) -> None:
    name, old = shop.compose.name, shop.running()
    assert shop.inside("web") == "v1"
    shop.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    assert (shop.inside("web"), shop.inside("worker")) == ("v2", "v2")
    assert shop.bookings.revision == "b014"
    new, last = shop.running(), shop.last()
    assert new == shop.image(f"{name}:current")
    assert shop.image(f"{name}:deployguard-{last['id']}-web") == old
    assert shop.repo.git("rev-parse", f"deployguard-{last['id']}") == last["commit"]
    detail = shop.deployguard("show", "-v")
    assert f"deployguard-{last['id']}-web" in "".join(detail.split())
    # what is not of the commit is the working copy's
    [web] = shop.compose.call("ps", "-q", "web").split()
    assert run("docker", "exec", web, "printenv", "FROM_ENV").strip() == "of the working copy"
    assert shop.inside("web", "/data/kept") == "kept"
    assert "FROM python" in (shop.bookings.folder / "app" / "Dockerfile").read_text()
    assert "echo v3" in (shop.bookings.folder / "app" / "Dockerfile").read_text()
    shop.clean()


def test_going_back_to_a_commit_keeps_what_runs_builds_anew_and_leaves_the_names_right(
    shop: Shop,
) -> None:
    name = shop.compose.name
    shop.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    new = shop.running()
    run("docker", "rmi", "-f", *run("docker", "images", "-q", f"{name}:deployguard-*").split())
    planned = shop.deployguard("rollback", "--to-ref", "v1", "--plan")
    assert "Keeping what runs under an emergency tag" in planned
    assert shop.running() == new
    shop.clean()
    shop.deployguard("rollback", "--to-ref", "v1")
    assert (shop.inside("web"), shop.inside("worker")) == ("v1", "v1")
    assert shop.bookings.revision == "b014"  # which only grew
    last = shop.last()
    tag = f"deployguard-emergency-{last['id']}"
    assert (last["ref"], last["commit"]) == ("v1", shop.repo.git("rev-parse", "v1"))
    assert shop.repo.git("rev-parse", tag) == shop.repo.git("rev-parse", "v2")
    assert shop.image(f"{name}:{tag}-web") == new
    assert shop.image(f"{name}:current") == shop.running()  # a later `up` starts the same
    shop.compose.call("up", "-d", "--wait", "--no-build")
    assert shop.inside("web") == "v1"
    shop.clean()


def test_a_commit_that_the_schema_has_left_behind_is_refused_until_it_is_ordered(
    shop: Shop,
) -> None:
    refused = shop.bookings.deployguard("deploy", "--ref", "v3", "--auto-migrate")
    assert refused.code == 11
    digest = str(shop.last()["digest"])
    shop.deployguard("deploy", "--ref", "v3", "--auto-migrate", "--approve", digest)
    deploy, runs = str(shop.last()["id"]), shop.running()
    back = shop.bookings.deployguard("rollback", "--to-ref", "v2")
    assert back.code == 10, back.err
    said = " ".join(back.err.split())
    assert f"deployguard rollback {deploy} --to-ref v2 --to b014" in said
    assert (shop.running(), shop.bookings.revision) == (runs, "b018")
    assert "emergency" not in shop.repo.git("tag")
    shop.clean()
    shop.deployguard(
        *("rollback", deploy, "--to-ref", "v2", "--to", "b014", "--confirm", deploy),
    )
    assert (shop.inside("web"), shop.bookings.revision) == ("v2", "b014")
    shop.clean()


def test_a_commit_that_cannot_be_built_changes_nothing(shop: Shop) -> None:
    old = shop.running()
    (shop.bookings.folder / "app" / "Dockerfile").write_text("FROM scratch\nCOPY gone /\n")
    shop.repo.commit("cannot be built", tag="unbuildable")
    failed = shop.bookings.deployguard("deploy", "--ref", "unbuildable", "--skip-migrate")
    assert failed.code == 3
    assert "could not be built" in " ".join(failed.err.split())
    assert (shop.running(), shop.image(f"{shop.compose.name}:current")) == (old, old)
    shop.clean()


@pytest.mark.parametrize(
    ("step", "kind"),
    [("emergency-tag", "done"), ("build", "intent"), ("arm", "done"), ("app-back", "intent")],
)
def test_a_way_back_to_a_commit_that_was_killed_comes_to_the_same_end(
    shop: Shop, step: str, kind: str
) -> None:
    shop.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    argv = [sys.executable, "-c", KILLING, step, kind, "rollback", "--to-ref", "v1"]
    done = subprocess.run(
        argv, cwd=shop.bookings.folder, env=os.environ, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.rmtree(shop.bookings.folder / ".deployguard" / "checkouts", ignore_errors=True)
    shop.deployguard("resume")
    assert (shop.inside("web"), shop.inside("worker")) == ("v1", "v1")
    assert shop.image(f"{shop.compose.name}:current") == shop.running()
    tags = shop.repo.git("tag", "--list", "deployguard-emergency-*").split()
    assert [shop.repo.git("rev-parse", tag) for tag in tags] == [shop.repo.git("rev-parse", "v2")]
    shop.clean()


def test_revisions_that_are_mounted_from_the_working_copy_are_refused(shop: Shop) -> None:
    file = shop.bookings.folder / "docker-compose.prod.yml"
    runner = '  migration: {image: "@PROJECT:x", build: {context: app}, profiles: [migration], volumes: ["./migrations:/m"]}\n'
    file.write_text(file.read_text() + runner.replace("@PROJECT", shop.compose.name))
    target = CONFIGURATION.replace("@PROJECT", shop.compose.name)
    shop.bookings.configure(f'{target}[migrate]\nrunner = "compose"\n')
    shop.repo.commit("another compose file")
    refused = shop.bookings.deployguard("deploy", "--ref", "v2", "--skip-migrate")
    assert refused.code == 2
    assert "from the working copy" in " ".join(refused.err.split())
    shop.clean()


def test_a_path_that_the_configuration_names_is_told_where_it_is_mounted(shop: Shop) -> None:
    tracked = Path(shop.bookings.folder / "data" / "kept")
    shop.repo.git("add", "--force", str(tracked))
    shop.repo.commit("with data")
    answer = shop.bookings.deployguard("deploy", "--ref", "v2", "--auto-migrate")
    assert answer.code == 0, answer.err
    assert "web mounts" in " ".join(answer.err.split())
