"""The names that compose starts lead to a commit's images only while its deploy counts."""

from pathlib import Path

import pytest

from deployguard.deploy import names, saga
from deployguard.deploy.run import DeployOptions, RollbackOptions, Run
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, NeedsHuman, Refused, RolledBack
from deployguard.gate import Mode
from deployguard.state import EventKind, Kind, Status
from tests.deploy.fakes import AFTER, BEFORE, V1, V2, Production, Recorder, critical, make_world
from tests.deploy.plans import CREATE, verdict

OLD = {"app:latest": V1}


@pytest.mark.parametrize("before", [OLD, {}])
def test_a_refused_deploy_leaves_every_name_where_it_led(
    tmp_path: Path, production: Production, before: dict[str, str]
) -> None:
    production.change(names=before)
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(DeployguardError):
        saga.deploy(world, DeployOptions(Mode.AUTO, ref="v2"))
    assert [effect for effect in production.effects() if effect.startswith("build")]
    assert production["names"] == before


def test_what_was_noted_before_the_first_build_counts_when_it_is_resumed(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path, pending=critical())
    production.script(when={"current": {"script": {"build": "fails"}}})
    asked = {"mode": "auto", "ref": "v2", "commit": "c" * 40}
    row = world.journal.begin("production", Kind.DEPLOY, "ann", asked)  # type: ignore[arg-type]
    world.journal.record(row.id, names.PREFLIGHT, EventKind.INTENT)
    world.journal.record(row.id, names.PREFLIGHT, EventKind.NOTE, {"named": {"app:latest": V1}})
    production.change(names={"app:latest": V2})  # and there the process died
    with pytest.raises(DeployguardError):
        saga.resume(world)
    assert production["names"] == OLD


def test_a_name_that_cannot_be_led_back_is_told(tmp_path: Path, production: Production) -> None:
    production.script(engine="down")
    world = make_world(tmp_path, pending=critical())
    with pytest.raises(DeployguardError) as caught:
        saga.deploy(world, DeployOptions(Mode.AUTO, ref="v2"))
    assert "Could not tidy up after 'preflight'" in caught.value.state


def test_a_deploy_that_is_taken_back_before_it_updated_anything_takes_its_names_along(
    tmp_path: Path, production: Production
) -> None:
    production.script(upgrade="fails")
    world = make_world(tmp_path, pending=verdict(AFTER, BEFORE, operations=(CREATE,)))
    asked = DeployOptions(Mode.AUTO, backup=True, approve=world.assess().digest, ref="v2")
    with pytest.raises(RolledBack):
        saga.deploy(world, asked)
    assert (production["release"], production["names"]) == (V1, OLD)


def test_a_name_that_somebody_else_moved_since_stays_where_it_leads(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    production.script(upgrade="fails", when={"current": {"names": {"app:latest": "sha256:theirs"}}})
    asked = DeployOptions(Mode.AUTO, approve=world.assess().digest, ref="v2")
    with pytest.raises(RolledBack):
        saga.deploy(world, asked)
    assert production["names"] == {"app:latest": "sha256:theirs"}


def test_images_that_somebody_built_meanwhile_are_not_started_as_the_commits(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    production.script(when={"current": {"names": {"app:latest": "sha256:theirs"}}})
    asked = DeployOptions(Mode.AUTO, backup=True, approve=world.assess().digest, ref="v2")
    with pytest.raises(RolledBack, match="app:latest was built or tagged anew"):
        saga.deploy(world, asked)
    assert (production["release"], production["up"]) == (V1, True)
    assert not any(effect.startswith("start") for effect in production.effects())
    assert production["names"] == {"app:latest": "sha256:theirs"}


def in_image(folder: Path, production: Production) -> World:
    """A deploy in service that migrated in an image, and can be downgraded."""
    production.script(image="sha256:migrated")
    world = make_world(folder, pending=verdict(AFTER, BEFORE, expand=False, operations=(CREATE,)))
    asked = DeployOptions(Mode.AUTO, backup=True, approve=world.assess().digest)
    saga.deploy(world, asked)
    return world


def test_no_downgrade_stops_the_application_for_an_image_that_may_not_know_the_revisions(
    tmp_path: Path, production: Production
) -> None:
    world = in_image(tmp_path, production)
    production.script(image="sha256:older")
    with pytest.raises(Refused, match="in the image sha256:older, not in") as caught:
        saga.rollback(world, RollbackOptions())
    assert "docker tag sha256:migrated NAME" in caught.value.next_commands
    assert "stop" not in production.effects()
    assert (production["revision"], production["up"]) == ([AFTER], True)
    assert world.journal.unfinished("production") is None
    saga.rollback(world, RollbackOptions(to=BEFORE))  # by the word of a person
    assert production["revision"] == [BEFORE]


def test_an_image_that_a_later_deploy_was_planned_in_knows_the_revisions(
    tmp_path: Path, production: Production
) -> None:
    world = in_image(tmp_path, production)
    deploy = world.journal.history("production")[0].id
    production.script(image="sha256:newer", update="fails")
    with pytest.raises(RolledBack):
        saga.deploy(world, DeployOptions(Mode.AUTO))
    saga.rollback(world, RollbackOptions(deploy))
    assert production["revision"] == [BEFORE]


def test_an_image_that_is_exchanged_after_the_decision_is_not_downgraded_in(
    tmp_path: Path, production: Production
) -> None:
    world = in_image(tmp_path, production)
    production.script(when={"stopped": {"script": {"image": "sha256:older"}}})
    with pytest.raises(NeedsHuman, match="may not know the revisions"):
        saga.rollback(world, RollbackOptions())
    assert not any(effect.startswith("downgrade") for effect in production.effects())
    production.script(image="sha256:migrated", when={})
    saga.resume(world)
    assert (production["revision"], production["up"]) == ([BEFORE], True)


def test_a_rollback_takes_the_names_of_the_deploy_along(
    tmp_path: Path, production: Production
) -> None:
    world = make_world(tmp_path)
    asked = DeployOptions(Mode.AUTO, backup=True, approve=world.assess().digest, ref="v2")
    saga.deploy(world, asked)
    assert production["names"] == {"app:latest": V2}
    saga.rollback(world, RollbackOptions())
    assert production["names"] == OLD
    assert isinstance(world.reporter, Recorder)
    run = Run(world, world.journal.history("production")[0])
    assert run.deploy.status is Status.DONE
