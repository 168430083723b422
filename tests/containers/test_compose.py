"""Compose commands are pure argv lists, and the project is what compose itself makes of the files."""

import os
import stat
from pathlib import Path

import pytest

from deployguard.config import TargetConfig
from deployguard.containers import Compose, compose_argv
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Redactor
from tests.support.projects import Project

TARGET = TargetConfig(kind="compose", compose_files=("a.yml", "b.yml"), project_name="shop")


def test_argv_names_files_project_profile_and_overrides_in_order() -> None:
    assert compose_argv(TARGET, "up", "-d", profile="migration", overrides=(Path("/s/o.yml"),)) == [
        *("docker", "compose", "-f", "a.yml", "-f", "b.yml", "-f", "/s/o.yml"),
        *("-p", "shop", "--profile", "migration", "up", "-d"),
    ]


def test_argv_leaves_the_name_to_compose_when_none_is_configured() -> None:
    target = TargetConfig(kind="compose", compose_files=("a.yml",))
    assert compose_argv(target, "ps") == ["docker", "compose", "-f", "a.yml", "ps"]


def fake_docker(folder: Path, script: str) -> dict[str, str]:
    program = folder / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return os.environ | {"PATH": f"{folder}:/usr/bin:/bin"}


def test_a_docker_without_the_compose_plugin_is_told_what_to_install(tmp_path: Path) -> None:
    environ = fake_docker(
        tmp_path, "echo \"docker: 'compose' is not a docker command.\" >&2; exit 1"
    )
    with pytest.raises(EnvironmentUnreachable, match="docker-compose-plugin") as caught:
        Compose(TARGET, tmp_path, environ, Redactor()).preflight()
    assert caught.value.next_commands == ("docker compose version",)


def test_no_docker_at_all_is_told_where_to_get_it(tmp_path: Path) -> None:
    compose = Compose(TARGET, tmp_path, {"PATH": str(tmp_path)}, Redactor())
    with pytest.raises(EnvironmentUnreachable, match=r"docker was not found.*Install Docker"):
        compose.preflight()


def test_a_missing_compose_file_is_named(tmp_path: Path) -> None:
    environ = fake_docker(tmp_path, "exit 0")
    with pytest.raises(UsageError, match=r"no compose file a\.yml"):
        Compose(TARGET, tmp_path, environ, Redactor()).preflight()


@pytest.mark.docker
def test_the_project_is_resolved_with_its_variables(compose_project: Project) -> None:
    compose_project.write("""
services:
  web:
    image: shop:${TAG:?set TAG}
    environment: {DATABASE_URL: "postgresql://u:${PW}@db/x"}
  worker: {build: ., command: [work]}
  migration: {image: "shop:${TAG}", profiles: [migration]}
""")
    compose_project.environ |= {"TAG": "v7", "PW": "canary"}
    compose = compose_project.compose()
    compose.preflight()
    project = compose.project()
    assert project.name == compose_project.name
    assert project.image("web") == "shop:v7"
    assert project.image("worker") == f"{project.name}-worker"
    assert project.services["web"].environment["DATABASE_URL"] == "postgresql://u:canary@db/x"
    assert project.services["worker"].builds
    assert set(project.services) == {"web", "worker"}
    assert "migration" in compose.project(profile="migration").services


@pytest.mark.docker
def test_the_name_is_the_one_that_compose_takes_by_itself(tmp_path: Path) -> None:
    folder = tmp_path / "My Shop"
    folder.mkdir()
    (folder / "docker-compose.prod.yml").write_text("services: {web: {image: x}}\n")
    environ = {k: v for k, v in os.environ.items() if k != "COMPOSE_PROJECT_NAME"}
    compose = Compose(TargetConfig(kind="compose"), folder, environ, Redactor())
    assert compose.project().name == "myshop"
    (folder / "docker-compose.prod.yml").write_text("name: shop\nservices: {web: {image: x}}\n")
    assert compose.project().name == "shop"


@pytest.mark.docker
def test_what_compose_cannot_read_is_a_usage_error_without_secrets(
    compose_project: Project,
) -> None:
    compose_project.write("services: {web: {image: '${TAG:?canary is not set}'}}\n")
    compose_project.secrets = ("canary",)
    with pytest.raises(UsageError, match=r"\*\*\* is not set") as caught:
        compose_project.compose().project()
    assert "canary" not in str(caught.value)
