"""Images of a commit: only the build contexts move to the checkout; names that are in use stay where they lead."""

from pathlib import Path

import pytest

from deployguard.containers import ComposeProject, Engine, Service
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.targets.built import Builder, Moved, names, override
from tests.support.docker import run
from tests.support.projects import Project


@pytest.fixture
def moved(tmp_path: Path) -> Moved:
    for root in ("copy", "tree"):
        (tmp_path / root / "app").mkdir(parents=True)
    return Moved(tmp_path / "copy", tmp_path / "tree", "v1")


def service(name: str, image: str = "", **build: object) -> Service:
    return Service(name, image, {}, bool(build), build)  # type: ignore[arg-type]


def test_contexts_dockerfiles_and_more_contexts_of_the_repository_are_moved(moved: Moved) -> None:
    copy, tree = moved.top, moved.tree
    built = service(
        "web",
        context=str(copy / "app"),
        dockerfile=str(copy / "deploy" / "Dockerfile"),
        args={"A": "1"},
        additional_contexts={
            "lib": str(copy / "lib"),
            "base": "docker-image://debian",
            "deps": "service:deps",
        },
    )
    assert moved.build(built, ["web", "deps"]) == {
        "context": str(tree / "app"),
        "dockerfile": str(tree / "deploy" / "Dockerfile"),
        "additional_contexts": {"lib": str(tree / "lib")},
    }
    assert moved.build(service("web", context=str(copy / "app"), dockerfile="Dockerfile")) == {
        "context": str(tree / "app")
    }


@pytest.mark.parametrize("context", ["/srv/elsewhere", "https://example.org/app.git", ""])
def test_a_context_that_is_no_part_of_the_repository_is_refused(moved: Moved, context: str) -> None:
    with pytest.raises(UsageError, match="does not lie in the repository"):
        moved.build(service("web", context=context))


@pytest.mark.parametrize(
    "part",
    [
        {"dockerfile": "/srv/Dockerfile"},
        {"dockerfile": "../../Dockerfile"},
        {"dockerfile": "leads-away"},
        {"additional_contexts": {"other": "/srv/other"}},
        {"additional_contexts": {"other": "service:cache"}},
    ],
)
def test_no_part_of_a_build_may_lie_outside_of_the_commit(
    moved: Moved, part: dict[str, str]
) -> None:
    (moved.tree / "app" / "leads-away").symlink_to("/srv/Dockerfile")
    with pytest.raises(UsageError, match="does not lie in the repository"):
        moved.build(service("web", context=str(moved.top / "app"), **part), ["web"])


def test_a_context_that_is_a_link_out_of_the_commit_is_refused(moved: Moved) -> None:
    elsewhere = moved.tree.parent / "elsewhere"
    elsewhere.mkdir()
    (moved.top / "lib").mkdir()
    (moved.tree / "lib").symlink_to(elsewhere)
    with pytest.raises(UsageError, match="does not lie in the repository"):
        moved.build(service("web", context=str(moved.top / "lib")))
    more = {"lib": str(moved.top / "lib")}
    with pytest.raises(UsageError, match="does not lie in the repository"):
        moved.build(service("web", context=str(moved.top / "app"), additional_contexts=more))


def test_a_context_that_the_commit_does_not_have_is_refused(moved: Moved) -> None:
    (moved.top / "new").mkdir()
    with pytest.raises(UsageError, match="v1 has no folder new"):
        moved.build(service("web", context=str(moved.top / "new")))


def test_services_that_are_not_built_stay_and_one_at_least_must_be(moved: Moved) -> None:
    built = service("web", "app:latest", context=str(moved.top / "app"))
    project = ComposeProject("shop", {"web": built, "proxy": service("proxy", "nginx:1.22")})
    assert override(project, ("web", "proxy"), moved, {}) == {
        "services": {"web": {"build": {"context": str(moved.tree / "app")}}}
    }
    with pytest.raises(UsageError, match="None of the services proxy is built"):
        override(project, ("proxy",), moved, {})


def test_services_that_share_an_image_share_its_other_name_too() -> None:
    shared = {s: service(s, "app:latest", context="/x") for s in ("web", "worker")}
    project = ComposeProject(
        "shop",
        {**shared, "api": service("api", "app:api", context="/x"), "db": service("db", "pg")},
    )
    assert names(project, ("web", "worker", "api", "db"), "dg-r1") == {
        "web": "app:dg-r1-web",
        "worker": "app:dg-r1-web",
        "api": "app:dg-r1-api",
    }


class Names:
    """An engine that only knows names."""

    def __init__(self, **names: str) -> None:
        self.names = names

    def image_id(self, name: str) -> str | None:
        return self.names.get(name)

    def tag(self, image: str, name: str) -> None:
        if image == "gone":
            raise EnvironmentUnreachable("There is no such image.")
        self.names[name] = image

    def untag(self, name: str) -> None:
        self.names.pop(name, None)


def leading(engine: Names, folder: Path) -> Builder:
    return Builder(None, engine, (), None, folder, print)  # type: ignore[arg-type]


def test_names_are_led_back_and_one_that_cannot_be_keeps_no_other_from_it(tmp_path: Path) -> None:
    engine = Names(web="new", first="new", lost="new", other="theirs")
    builder = leading(engine, tmp_path)
    with pytest.raises(EnvironmentUnreachable, match="no such image"):
        builder.lead({"lost": "gone", "web": "old", "first": "", "other": "old"})
    assert engine.names == {"web": "old", "lost": "new", "other": "old"}


def test_only_names_that_still_lead_to_what_was_built_are_led_back(tmp_path: Path) -> None:
    engine = Names(web="new", other="theirs")
    leading(engine, tmp_path).lead({"web": "old", "other": "old", "none": "old"}, {"new"})
    assert engine.names == {"web": "old", "other": "theirs"}


FILE = """
services:
  web:
    image: "@PROJECT:${TAG:-none}"
    build: {context: app}
    command: [sleep, "600"]
    init: true
    stop_grace_period: 1s
    volumes: ["./uploads:/uploads"]
  worker: {image: "@PROJECT:${TAG:-none}", build: {context: app}, command: [sleep, "600"], init: true}
  proxy: {image: "@BASE"}
  migration: {image: "@PROJECT:migrate", build: {context: app}, profiles: [migration]}
"""


def said(image: str) -> str:
    return run("docker", "run", "--rm", image, "cat", "/said").strip()


@pytest.mark.docker
def test_a_checkout_is_built_under_the_projects_names_or_under_others(
    compose_project: Project, engine: Engine
) -> None:
    project, folder = compose_project, compose_project.folder
    project.write(FILE)
    (folder / ".env").write_text("TAG=stable\n")  # of the working copy, and of nobody else
    tree = folder / "state" / "tree"
    for root, word in ((folder, "copy"), (tree, "commit")):
        (root / "app").mkdir(parents=True)
        text = f"FROM python:3.11-slim\nLABEL project={project.name}\nRUN echo {word} > /said\n"
        (root / "app" / "Dockerfile").write_text(text)
    (tree / ".env").write_text("TAG=forged\n")
    lines: list[str] = []
    compose = project.compose("web", "worker", "proxy")
    builder = Builder(
        compose,
        engine,
        ("web", "worker"),
        ("migration", "migration"),
        folder / "state" / "checkouts",
        lines.append,
    )
    assert builder.mounted() == (("web", str(folder / "uploads")),)
    moved = Moved(folder, tree, "v1")
    by_others = builder.build("r1", moved, tag="deployguard-r1")
    name = f"{project.name}:deployguard-r1-web"
    assert {n for _, n in by_others.values()} == {name}
    assert set(by_others) == {"web", "worker"}
    assert said(name) == "commit"
    assert engine.image_id(f"{project.name}:stable") is None
    assert engine.image_id(f"{project.name}:migrate") is None

    built = builder.build("d1", moved)
    assert set(built) == {"web", "worker", "migration"}
    assert built["web"][1] == f"{project.name}:stable"
    assert said(f"{project.name}:migrate") == "commit"
    assert list((folder / "state" / "checkouts").iterdir()) == []

    project.call("up", "-d", "--no-build", "web", "worker")
    kept = builder.keep("deployguard-emergency-r1")
    assert kept["web"] == f"{project.name}:deployguard-emergency-r1-web"
    assert engine.image_id(kept["web"]) == built["web"][0]
    assert builder.keep("deployguard-emergency-r1") == kept

    (tree / "app" / "Dockerfile").write_text("FROM scratch\nCOPY gone /\n")
    with pytest.raises(EnvironmentUnreachable, match="could not be built"):
        builder.build("d2", moved)
    assert engine.image_id(f"{project.name}:stable") == built["web"][0]
