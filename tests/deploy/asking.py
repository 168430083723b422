"""What the tests of the saga ask for, and what they look at afterwards."""

from deployguard.deploy.run import DeployOptions
from deployguard.deploy.world import World
from deployguard.gate import Mode
from deployguard.state import Status
from tests.deploy.fakes import BEFORE, V1, Production

AUTO = DeployOptions(Mode.AUTO, health_check=True)


def digest_of(world: World) -> str:
    return world.assess().digest


def untouched(production: Production) -> None:
    assert production["revision"] == [BEFORE]
    assert production["schema"] == "old"
    assert production["release"] == V1
    assert production["up"] is True


def approved(world: World) -> DeployOptions:
    return DeployOptions(Mode.AUTO, health_check=True, approve=digest_of(world))


def last(world: World) -> Status:
    return world.journal.history("production")[0].status


def last_id(world: World) -> str:
    return world.journal.history("production")[0].id
