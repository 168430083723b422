"""Compose services are recreated at the new image and really put back to the old one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.containers import Engine
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import Release
from deployguard.targets import NOT_RUNNING, ComposeTarget, Target, UpdateFailed
from tests.support.docker import run
from tests.support.projects import Project

FILE = """
services:
  web:
    image: "${IMAGE:-@PROJECT:latest}"
    command: [sleep, "600"]
    init: true
    deploy: {replicas: 2}
    depends_on: [database]
    stop_grace_period: 1s
  worker:
    image: "${WORKER_IMAGE:-@PROJECT:latest}"
    command: [sleep, "600"]
    init: true
  database: {image: "@BASE", command: [sleep, "600"], init: true}
  migration: {image: "@PROJECT:latest", profiles: [migration]}
"""
Make = Callable[..., ComposeTarget]


@pytest.fixture
def make(compose_project: Project, engine: Engine) -> Make:
    compose_project.write(FILE)

    def target(*services: str, **changes: object) -> ComposeTarget:
        compose = compose_project.compose(*(services or ("web", "worker")), **changes)
        state = compose_project.folder / "state"
        return ComposeTarget(compose, engine, state, ("migration", "migration"), print)

    return target


def said(project: Project, service: str) -> list[str]:
    """What /said holds in each running container: which image it really runs."""
    ids = project.call("ps", "-q", service).split()
    return sorted(run("docker", "exec", one, "cat", "/said").strip() for one in ids)


@pytest.mark.docker
def test_what_was_stopped_is_put_back_too(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    old = compose_project.build("latest", "old")
    compose_project.call("up", "-d")
    target: Target = make()
    before = target.current()
    compose_project.build("latest", "new")
    target.update("d1", before)
    target.stop()  # as a downgrade of the schema does
    assert target.put_back(before, "d1").images == {"web": old, "worker": old}
    assert said(compose_project, "web") == ["old", "old"]


@pytest.mark.docker
def test_same_name_is_led_back_to_the_old_image(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    name = compose_project.name
    old = compose_project.build("latest", "old")
    compose_project.call("up", "-d")
    database = compose_project.call("ps", "-q", "database")
    target: Target = make()
    target.preflight()
    before = target.current()
    assert before == Release(
        {"web": old, "worker": old}, {"web": f"{name}:latest", "worker": f"{name}:latest"}
    )
    new = compose_project.build("latest", "new")
    target.prepare()
    assert target.update("d1", target.current()).images == {"web": new, "worker": new}
    assert said(compose_project, "web") == ["new", "new"]
    dangling = run("docker", "images", "-q", "--no-trunc", "--filter", "dangling=true")
    assert old not in dangling.split()  # or a prune would take it
    after = target.put_back(before, "d1")
    assert after == before
    assert said(compose_project, "web") == ["old", "old"]
    assert said(compose_project, "worker") == ["old"]
    assert engine.image_id(f"{name}:latest") == old
    assert engine.image_id(f"{name}:deployguard-failed-d1") == new
    assert compose_project.call("ps", "-q", "database") == database
    assert target.put_back(before, "d1") == before
    assert engine.image_id(f"{name}:deployguard-failed-d1") == new


@pytest.mark.docker
def test_another_name_is_put_back_by_an_override(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    name = compose_project.name
    v1, v2 = compose_project.build("v1", "one"), compose_project.build("v2", "two")
    compose_project.build("latest", "worker")
    compose_project.environ["IMAGE"] = f"{name}:v1"
    compose_project.call("up", "-d")
    before = make().current()
    compose_project.environ["IMAGE"] = f"{name}:v2"
    target = make()
    assert target.update("d1", target.current()).images["web"] == v2
    after = target.put_back(before, "d1")
    assert after == before
    assert said(compose_project, "web") == ["one", "one"]
    assert (engine.image_id(f"{name}:v1"), engine.image_id(f"{name}:v2")) == (v1, v2)
    override = compose_project.folder / "state" / "runs" / "d1-put-back.compose.json"
    assert override.stat().st_mode & 0o777 == 0o600
    assert json.loads(override.read_text())["services"]["web"]["image"] == f"{name}:v1"
    assert "worker" not in json.loads(override.read_text())["services"]


@pytest.mark.docker
def test_another_name_that_leads_elsewhere_by_now_is_put_back_by_the_kept_tag(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    name = compose_project.name
    old = compose_project.build("v1", "one")
    compose_project.build("v2", "two")
    compose_project.environ |= {"IMAGE": f"{name}:v1", "WORKER_IMAGE": f"{name}:v1"}
    compose_project.call("up", "-d")
    before = make().current()
    compose_project.environ |= {"IMAGE": f"{name}:v2", "WORKER_IMAGE": f"{name}:v2"}
    target = make()
    target.update("d1", target.current())
    other = compose_project.build("v1", "rebuilt")
    after = target.put_back(before, "d1")
    assert after.images == before.images
    assert after.references["web"] == f"{name}:deployguard-d1-web"
    assert said(compose_project, "worker") == ["one"]
    assert engine.image_id(f"{name}:deployguard-d1-web") == old
    assert engine.image_id(f"{name}:v1") == other


@pytest.mark.docker
def test_services_of_one_name_that_ran_different_images_each_get_theirs_back(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    first = compose_project.build("latest", "first")
    compose_project.call("up", "-d", "worker")
    second = compose_project.build("latest", "second")
    compose_project.call("up", "-d", "--no-deps", "web")
    target = make()
    before = target.current()
    assert before.images == {"web": second, "worker": first}
    new = compose_project.build("latest", "third")
    assert set(target.update("d1", target.current()).images.values()) == {new}
    assert target.put_back(before, "d1").images == before.images
    assert said(compose_project, "worker") == ["first"]


@pytest.mark.docker
def test_what_did_not_run_is_said_and_does_not_run_after_putting_back(
    make: Make, compose_project: Project
) -> None:
    compose_project.build("latest", "old")
    target = make()
    before = target.current()
    assert before.images == {"web": NOT_RUNNING, "worker": NOT_RUNNING}
    assert target.stopped()
    assert not target.running()
    target.update("d1", target.current())
    assert target.running()
    assert target.put_back(before, "d1").images == before.images
    assert target.stopped()


@pytest.mark.docker
def test_an_update_that_is_repeated_keeps_the_first_old_image(
    make: Make, compose_project: Project, engine: Engine
) -> None:
    old = compose_project.build("latest", "old")
    compose_project.call("up", "-d")
    target = make()
    compose_project.build("latest", "new")
    before = target.current()
    target.update("d1", before)
    target.update("d1", before)
    assert engine.image_id(f"{compose_project.name}:deployguard-d1-web") == old


@pytest.mark.docker
def test_stop_and_start_touch_the_configured_services_only(
    make: Make, compose_project: Project
) -> None:
    compose_project.build("latest", "old")
    compose_project.call("up", "-d")
    target = make("web")
    containers = compose_project.call("ps", "-q", "web")
    target.stop()
    assert target.stopped()
    assert said(compose_project, "worker") == ["old"]
    compose_project.build("latest", "new")
    target.start()
    assert target.running()
    assert compose_project.call("ps", "-q", "web") == containers
    assert said(compose_project, "web") == ["old", "old"]


@pytest.mark.docker
def test_an_unhealthy_new_version_is_a_failed_update_and_can_be_put_back(
    make: Make, compose_project: Project
) -> None:
    check = "healthcheck: {test: [CMD, grep, -q, ok, /said], interval: 1s, retries: 2}"
    compose_project.write(
        FILE.replace('command: [sleep, "600"]', f'{check}\n    command: [sleep, "600"]', 1)
    )
    compose_project.build("latest", "ok")
    compose_project.call("up", "-d", "--wait")
    target = make("web")
    before = target.current()
    compose_project.build("latest", "bad")
    with pytest.raises(UpdateFailed, match=r"compose up.*unhealthy"):
        target.update("d1", target.current())
    assert target.put_back(before, "d1") == before
    assert said(compose_project, "web") == ["ok", "ok"]


@pytest.mark.docker
def test_the_old_image_that_is_gone_is_said_before_anything_is_touched(
    make: Make, compose_project: Project
) -> None:
    compose_project.build("latest", "old")
    compose_project.call("up", "-d")
    target = make()
    containers = compose_project.call("ps", "-q")
    gone = "sha256:" + "0" * 64
    with pytest.raises(UpdateFailed, match="not on this machine any more"):
        target.put_back(Release({"web": gone, "worker": gone}, {}), "d1")
    assert compose_project.call("ps", "-q") == containers


@pytest.mark.docker
def test_a_missing_image_is_found_while_preparing(make: Make) -> None:
    with pytest.raises(EnvironmentUnreachable, match=r"image .*:latest .* not on this machine"):
        make().prepare()


@pytest.mark.docker
def test_build_is_done_while_preparing_and_a_broken_one_touches_nothing(
    make: Make, compose_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose_project.environ["DOCKER_BUILDKIT"] = "0"
    context = compose_project.folder / "src"
    context.mkdir()
    built = FILE.replace(
        "    init: true\n    deploy", "    init: true\n    build: ./src\n    deploy"
    )
    compose_project.write(built)
    (context / "Dockerfile").write_text("FROM python:3.11-slim\nRUN echo built > /said\n")
    target = make("web", prepare="build")
    target.prepare()
    target.update("d1", target.current())
    assert said(compose_project, "web") == ["built", "built"]
    (context / "Dockerfile").write_text("FROM python:3.11-slim\nCOPY no-such-file /\n")
    with pytest.raises(EnvironmentUnreachable, match=r"compose build` failed"):
        target.prepare()
    assert said(compose_project, "web") == ["built", "built"]


@pytest.mark.docker
def test_services_must_be_named_and_known(make: Make, compose_project: Project) -> None:
    with pytest.raises(UsageError, match=r"no service 'wep'.*web, worker"):
        make("wep").preflight()
    empty = ComposeTarget(compose_project.compose(), Engine(), Path("unused"), None, lambda _: None)
    with pytest.raises(UsageError, match="services is empty"):
        empty.preflight()
