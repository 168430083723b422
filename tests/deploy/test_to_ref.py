"""`rollback --to-ref`: schema first, then an emergency tag, then the build, then what was built in the place of all."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.deploy import names, outlook, saga
from deployguard.deploy.rollback import WayBack
from deployguard.deploy.run import DeployOptions, RollbackOptions, Run, mapping
from deployguard.deploy.world import World
from deployguard.errors import ApprovalMissing, DeployguardError, Refused, UsageError
from deployguard.gate import Mode
from deployguard.model import Verdict
from deployguard.state import Status
from tests.deploy.fakes import (
    AFTER,
    BEFORE,
    PENDING,
    V1,
    V2,
    Production,
    Recorder,
    critical,
    environment,
    make_world,
)
from tests.deploy.plans import CREATE, verdict
from tests.deploy.production import COMMIT

CONTRACTING = verdict(AFTER, BEFORE, expand=False, operations=(CREATE,))
TO_V1 = RollbackOptions(to_ref="v1")


def deployed(folder: Path, pending: Verdict = PENDING, **options: object) -> tuple[World, str]:
    """(the world, the id of a deploy that is in service)."""
    world = make_world(folder, pending=pending)
    asked = {"backup": True, "approve": world.assess().digest, "ref": "v2"} | options
    outcome = saga.deploy(world, DeployOptions(Mode.AUTO, **asked))  # type: ignore[arg-type]
    return world, outcome.deploy


def newest(world: World) -> Run:
    return Run(world, world.journal.history("production")[0])


def test_a_schema_that_only_grew_stays_and_what_runs_is_kept_first(
    tmp_path: Path, production: Production
) -> None:
    world, deploy = deployed(tmp_path)
    outcome = saga.rollback(world, TO_V1)
    assert (production["revision"], production["release"]) == ([AFTER], V1)
    order = [e.split()[0] for e in production.effects()]
    assert order[order.index("keep") :] == ["keep", "tag", "build", "start"]
    kept = newest(world).of(names.EMERGENCY)
    tag = f"deployguard-emergency-{outcome.deploy}"
    assert (kept["tag"], kept["commit"]) == (tag, COMMIT)
    assert mapping(production.read(), "tags")[tag] == COMMIT  # type: ignore[arg-type]
    assert kept["kept"] == {"web": f"app:{tag}-web"}
    assert production["checkouts"] == []
    taken_back = world.journal.get(deploy)
    assert taken_back is not None
    assert taken_back.status is Status.ROLLED_BACK
    assert "v1 runs" in outcome.summary


def test_what_the_commit_does_not_know_is_downgraded_first_from_what_runs(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path, CONTRACTING)
    saga.rollback(world, TO_V1)
    assert (production["revision"], production["release"]) == ([BEFORE], V1)
    order = production.effects()
    assert order.index("stop") < order.index("downgrade ok") < order.index(f"start {V1}")
    assert "backup emergency" in order
    assert production["checkouts"] == []


def test_a_commit_that_knows_every_revision_needs_no_change_of_the_schema(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path, critical())
    production.script(knows=[BEFORE, AFTER])
    saga.rollback(world, TO_V1)
    assert (production["revision"], production["release"]) == ([AFTER], V1)
    assert isinstance(world.reporter, Recorder)
    told = [text for kind, text in world.reporter.told if kind == "note"]
    assert any("v1 knows every revision that the database has" in text for text in told)


def test_a_loss_is_refused_with_the_commands_for_a_person_and_nothing_is_changed(
    tmp_path: Path, production: Production
) -> None:
    world, deploy = deployed(tmp_path, critical())
    before = production.read() | {"effects": [], "checkouts": []}
    with pytest.raises(Refused) as caught:
        saga.rollback(world, TO_V1)
    assert any(
        command.startswith(f"deployguard rollback {deploy} --to-ref v1 --to {BEFORE}")
        for command in caught.value.next_commands
    )
    assert production.read() | {"effects": []} == before
    assert not any("keep" in effect or "emergency" in effect for effect in production.effects())


def test_a_person_may_order_the_downgrade_to_where_the_commit_is(
    tmp_path: Path, production: Production
) -> None:
    world, deploy = deployed(tmp_path, critical())
    wrong = RollbackOptions(to_ref="v1", to="base", confirm=deploy)
    with pytest.raises(UsageError, match=f"end at {BEFORE}, not at base"):
        saga.rollback(world, wrong)
    saga.rollback(world, RollbackOptions(to_ref="v1", to=BEFORE, confirm=deploy))
    assert (production["revision"], production["release"]) == ([BEFORE], V1)


def test_what_is_printed_to_confirm_leads_to_the_commit_as_well(
    tmp_path: Path, production: Production
) -> None:
    world, deploy = deployed(tmp_path, critical())
    ref = "v1;(1)"
    with pytest.raises(ApprovalMissing) as caught:
        saga.rollback(world, RollbackOptions(to_ref=ref, to=BEFORE))
    assert caught.value.next_commands == (
        f"deployguard rollback {deploy} --to-ref 'v1;(1)' --to {BEFORE} --confirm {deploy}",
    )
    foreseen = outlook.look(world, RollbackOptions(to_ref=ref, to=BEFORE))
    assert foreseen.next_commands == (
        f"deployguard rollback {deploy} --to {BEFORE} --to-ref 'v1;(1)'",
    )
    with pytest.raises(Refused) as refused:
        saga.rollback(world, RollbackOptions(to_ref=ref))
    assert any(" --to-ref 'v1;(1)' --plan" in line for line in refused.value.next_commands)


@pytest.mark.parametrize(
    ("knows", "said"),
    [
        ([BEFORE, AFTER, "later"], "does not have \\(later\\)"),
        (["another history"], "does not have \\(another history\\)"),
    ],
)
def test_a_commit_that_the_database_is_not_ready_for_is_no_way_back(
    tmp_path: Path, production: Production, knows: list[str], said: str
) -> None:
    world, _ = deployed(tmp_path)
    production.script(knows=knows)
    with pytest.raises(UsageError, match=said) as caught:
        saga.rollback(world, TO_V1)
    assert caught.value.next_commands == ("deployguard deploy --ref v1",)
    assert (production["release"], production["checkouts"]) == (V2, [])


def test_a_commit_whose_revisions_are_not_all_known_is_refused(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path)
    production.script(partial=True)
    with pytest.raises(Refused, match="Which revisions v1 has is not known"):
        saga.rollback(world, TO_V1)
    assert (production["release"], production["checkouts"]) == (V2, [])


@pytest.mark.parametrize("options", [TO_V1, RollbackOptions(to=BEFORE)])
def test_looking_removes_no_checkout_of_a_deploy_that_began_meanwhile(
    tmp_path: Path, production: Production, options: RollbackOptions
) -> None:
    world, _ = deployed(tmp_path, CONTRACTING)
    production.change(checkouts=["of another process"])
    outlook.look(world, options)
    assert production["checkouts"] == ["of another process"]


def test_a_database_that_nobody_knows_is_refused(tmp_path: Path, production: Production) -> None:
    world, _ = deployed(tmp_path)
    production.change(revision=["somebody else's"])
    with pytest.raises(Refused, match="neither v1 knows"):
        saga.rollback(world, TO_V1)
    assert production["release"] == V2


@pytest.mark.parametrize("wrong", [{"build": "fails"}, {"git": "down"}])
def test_what_cannot_be_built_is_not_put_in_the_place_of_anything(
    tmp_path: Path, production: Production, wrong: dict[str, str]
) -> None:
    world, deploy = deployed(tmp_path, CONTRACTING)
    production.script(**wrong)
    with pytest.raises(DeployguardError, match="could not"):
        saga.rollback(world, TO_V1)
    assert (production["revision"], production["release"]) == ([AFTER], V2)
    assert production["checkouts"] == []
    subject = world.journal.get(deploy)
    assert subject is not None
    assert subject.status is Status.DONE


def test_a_tag_that_cannot_be_made_keeps_nobody_from_going_back(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path)
    production.script(git="tagless")
    saga.rollback(world, TO_V1)
    assert production["release"] == V1
    assert "untagged" in newest(world).of(names.EMERGENCY)


def test_only_a_finished_deploy_is_replaced(tmp_path: Path, production: Production) -> None:
    world, deploy = deployed(tmp_path)
    saga.rollback(world, RollbackOptions())
    with pytest.raises(UsageError, match="finished deploy"):
        saga.rollback(world, RollbackOptions(deploy=deploy, to_ref="v1", to=BEFORE))


def test_the_plan_of_it_is_looked_at_without_doing_or_leaving_anything(
    tmp_path: Path, production: Production
) -> None:
    world, deploy = deployed(tmp_path, CONTRACTING)
    done = len(production.effects())
    seen = outlook.look(world, TO_V1)
    assert seen.choice.way is WayBack.DOWNGRADE
    assert "Keeping what runs under an emergency tag" in seen.steps
    assert seen.next_commands == (f"deployguard rollback {deploy} --to-ref v1",)
    assert set(production.effects()[done:]) == {"checkout"}  # and swept, see below
    assert production["checkouts"] == []
    assert len(world.journal.history("production")) == 1


def test_a_working_copy_with_changes_is_no_reason_to_wait(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path)
    production.script(tree="dirty")
    saga.rollback(world, TO_V1)
    assert production["release"] == V1


@pytest.mark.parametrize(
    ("prepare", "tree", "commit"),
    [("build", "", COMMIT), ("build", "dirty", None), ("none", "", None)],
)
def test_a_deploy_of_the_working_copy_is_tagged_where_its_images_are_of_a_commit(
    tmp_path: Path, production: Production, prepare: str, tree: str, commit: str | None
) -> None:
    production.script(tree=tree)
    settings = environment()
    target = replace(settings.target, prepare=prepare)  # type: ignore[arg-type]
    world = make_world(tmp_path, settings=replace(settings, target=target))
    saga.deploy(world, DeployOptions(Mode.AUTO))
    saga.rollback(world, TO_V1)
    assert newest(world).of(names.EMERGENCY).get("commit") == commit
    assert production["release"] == V1


def test_the_tag_is_on_the_commit_that_runs_and_not_on_that_of_the_deploy(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path)
    saga.deploy(world, DeployOptions(Mode.AUTO, ref="v3"))
    production.script(commit="d" * 40, knows=[BEFORE, AFTER])
    saga.rollback(world, TO_V1)
    saga.rollback(world, TO_V1)  # of the first deploy, while what the rollback built runs
    assert newest(world).of(names.EMERGENCY)["commit"] == "d" * 40


def test_images_that_no_run_put_in_service_are_of_no_known_commit(
    tmp_path: Path, production: Production
) -> None:
    world, _ = deployed(tmp_path)
    production.change(release="sha256:by hand")
    saga.rollback(world, TO_V1)
    assert "commit" not in newest(world).of(names.EMERGENCY)
