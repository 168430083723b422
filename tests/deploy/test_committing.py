"""What a deploy leaves behind when it has succeeded: which images, under which names, and a tag on its commit."""

from pathlib import Path

import pytest

from deployguard.deploy import names, saga
from deployguard.deploy.run import DeployOptions, Run, mapping
from deployguard.deploy.world import World
from deployguard.errors import UsageError
from deployguard.gate import Mode
from deployguard.state import Status
from tests.deploy.fakes import V1, V2, Production, Recorder, make_world
from tests.deploy.production import COMMIT

OF_COMMIT = DeployOptions(Mode.AUTO, health_check=True, ref="v2")


def ended(world: World) -> Run:
    return Run(world, world.journal.history("production")[0])


def test_images_of_now_and_before_are_kept_with_digest_and_names(world: World) -> None:
    saga.deploy(world, DeployOptions(Mode.AUTO))
    said = ended(world).of(names.COMMIT)
    assert said["images"] == {"web": {"image": V2, "digest": f"app@{V2}", "names": ["app:two"]}}
    assert said["previous"] == {"web": {"image": V1, "digest": f"app@{V1}", "names": ["app:one"]}}
    assert "tag" not in said  # the working copy is no commit


def test_the_commit_is_tagged_and_told(world: World, production: Production) -> None:
    outcome = saga.deploy(world, OF_COMMIT)
    said = ended(world).of(names.COMMIT)
    tag = f"deployguard-{outcome.deploy}"
    assert (said["ref"], said["commit"], said["tag"]) == ("v2", COMMIT, tag)
    assert mapping(production.read(), "tags") == {tag: COMMIT}  # type: ignore[arg-type]
    assert ended(world).of(names.CHECKOUT) == {"ref": "v2", "commit": COMMIT}


def test_a_tag_that_cannot_be_made_takes_nothing_back(world: World, production: Production) -> None:
    production.script(git="tagless")
    outcome = saga.deploy(world, OF_COMMIT)
    assert outcome.status is Status.DONE
    assert production["release"] == V2
    assert "could not make the tag" in str(ended(world).of(names.COMMIT)["untagged"])
    assert isinstance(world.reporter, Recorder)
    told = [text for kind, text in world.reporter.told if kind == "note"]
    assert any(f"git tag deployguard-{outcome.deploy} {COMMIT}" in text for text in told)


@pytest.mark.parametrize("wrong", [{"ref": "unknown"}, {"tree": "dirty"}])
def test_a_commit_that_cannot_be_deployed_begins_nothing(
    tmp_path: Path, production: Production, wrong: dict[str, str]
) -> None:
    production.script(**wrong)
    world = make_world(tmp_path)
    with pytest.raises(UsageError):
        saga.deploy(world, OF_COMMIT)
    assert world.journal.history("production") == ()
    assert production.effects() == []


@pytest.mark.parametrize("wrong", [{"git": "down"}, {"build": "fails"}])
def test_a_checkout_or_build_that_fails_changes_nothing_and_leaves_nothing(
    tmp_path: Path, production: Production, wrong: dict[str, str]
) -> None:
    production.script(**wrong)
    world = make_world(tmp_path)
    with pytest.raises(Exception, match="could not"):
        saga.deploy(world, OF_COMMIT)
    assert ended(world).deploy.status is Status.FAILED
    assert production["release"] == V1
    assert production["checkouts"] == []
