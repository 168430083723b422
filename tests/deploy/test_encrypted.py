"""A deploy whose backups are encrypted goes only where they can be opened, unless a person means to restore by hand."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config import load
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.wiring import wire
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError, NeedsHuman, UsageError
from deployguard.gate import Mode
from deployguard.state import Status
from tests.deploy.fakes import Recorder
from tests.deploy.real import DESTROY, Small, small
from tests.support import identities

PAIR, OTHER = identities.made(), identities.made()
NAME = "BACKUP_IDENTITY"
# What each child sees is written down: env.py runs in the migration, the application in the update.
SPY = '\nimport os, pathlib\nwith pathlib.Path("seen").open("a") as seen:\n    print(sorted(os.environ.items()), file=seen)\n'


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        for name in ("migrations/env.py", "app.py"):
            with (tmp_path / name).open("a") as file:
                file.write(SPY)
        configure(made)
        made.revision("r2", *DESTROY)
        yield made


def configure(project: Small, more: str = "") -> None:
    path = project.folder / "deployguard.toml"
    text = path.read_text().split("[backup]")[0]
    keys = f'encrypt_to = ["{PAIR.recipient}"]\nidentity_env = "{NAME}"\n{more}'
    path.write_text(f"{text}\n[backup]\n{keys}")


def world_of(project: Small, identity: str = "", **answers: str) -> World:
    config = load(None, project.folder)
    environ = project.environ() | ({NAME: identity} if identity else {})
    reporter = Recorder(**answers)  # type: ignore[arg-type]
    return wire(config, config.environment(), reporter=reporter, by="ann", environ=environ)


def approved(world: World) -> DeployOptions:
    return DeployOptions(Mode.AUTO, health_check=True, approve=world.assess().digest)


def untouched(project: Small) -> bool:
    backups = project.folder / ".deployguard" / "backups"
    return (project.current(), project.running()) == ("r1", "old") and not list(
        backups.glob("*/manifest.json")
    )


def test_without_an_identity_it_is_refused_before_anything_is_taken(project: Small) -> None:
    world = world_of(project)
    with pytest.raises(UsageError, match=rf"needs the identity in \${NAME}, which is not set") as e:
        saga.deploy(world, approved(world))
    assert e.value.exit_code == 2
    assert e.value.next_commands == (f"export {NAME}=…",)
    assert untouched(project)
    world.journal.close()


def test_with_an_identity_of_nobody_it_is_refused_as_well(project: Small) -> None:
    world = world_of(project, OTHER.identity)
    with pytest.raises(UsageError, match="opens nothing that is encrypted to") as caught:
        saga.deploy(world, approved(world))
    assert OTHER.identity not in str(caught.value)
    assert untouched(project)
    world.journal.close()


def test_with_its_identity_it_goes_through_and_can_be_taken_back(project: Small) -> None:
    world = world_of(project, PAIR.identity)
    deploy = saga.deploy(world, approved(world)).deploy
    record = world.find_backup("pre-deploy", deploy)
    assert record is not None
    assert record.recipients == 1
    assert (project.current(), project.running()) == ("r2", "new")
    outcome = saga.rollback(world, RollbackOptions(restore=True, confirm=deploy))
    assert outcome.status is Status.DONE
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    world.journal.close()
    seen = (project.folder / "seen").read_text()
    assert seen.count("DATABASE_URL") >= 2
    for path in project.folder.rglob("*"):
        assert not path.is_file() or PAIR.identity.encode() not in path.read_bytes(), path


def test_restoring_by_hand_it_goes_through_and_a_restore_waits_for_the_identity(
    project: Small,
) -> None:
    path = project.folder / "deployguard.toml"
    stop = 'kind = "commands"\nstop = [["touch", "stopped"]]\nstart = [["true"]]'
    path.write_text(path.read_text().replace('kind = "commands"', stop))
    configure(project, "restore_by_hand = true\n")
    world = world_of(project)
    deploy = saga.deploy(world, approved(world)).deploy
    assert (project.current(), project.running()) == ("r2", "new")
    for act in (
        lambda: saga.rollback(world, RollbackOptions(restore=True, confirm=deploy)),
        lambda: saga.restore(world, backup_of(world, deploy), backup_of(world, deploy)),
    ):
        with pytest.raises(DeployguardError, match="not set"):
            act()
        assert (project.current(), project.running()) == ("r2", "new")
        assert not (project.folder / "stopped").exists()  # found out before anything is stopped
    world.journal.close()


def backup_of(world: World, deploy: str) -> str:
    record = world.find_backup("pre-deploy", deploy)
    assert record is not None
    return record.id


def test_a_failed_deploy_without_an_identity_is_a_persons_and_says_why(project: Small) -> None:
    """A revision that went in cannot be downgraded and the next one fails: only a restore leads back."""
    configure(project, "restore_by_hand = true\n")
    project.revision("r3", 'raise RuntimeError("broken")', "pass")
    world = world_of(project)
    with pytest.raises(NeedsHuman, match=rf"needs the identity in \${NAME}, which is not set"):
        saga.deploy(world, approved(world))
    world.journal.close()


def test_no_identity_is_shown_by_the_command_line(project: Small) -> None:
    said = []
    for argv in (
        ["backup", "create"],
        ["backup", "verify", "latest"],
        ["backup", "show", "latest"],
        ["backup", "list"],
        ["backup", "list", "--format", "json"],
        ["-vv", "deploy", "--bad"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "deployguard", *argv],
            cwd=project.folder,
            env=project.environ() | {NAME: PAIR.identity},
            capture_output=True,
            text=True,
            check=False,
        )
        assert PAIR.identity not in done.stdout + done.stderr
        said.append(done.stdout)
    assert "with age, to 1 recipient" in said[2]
    assert "manual, encrypted" in said[3]
    assert json.loads(said[4])["backups"][0]["encryption"] == {"method": "age", "recipients": 1}
    config = load(None, project.folder)
    world = world_of(project, PAIR.identity)
    assert world.redact(f"a tool said {PAIR.identity}") == "a tool said ***"
    assert PAIR.identity not in repr(world) + repr(config)
    world.journal.close()
