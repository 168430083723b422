"""The application is updated under load, killed in the middle, and taken back: no request through nginx fails."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from tests.e2e.commands import Result
from tests.e2e.production import BOOKINGS, Production
from tests.support.load import Load

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]  # a busy machine gets its time

UPSTREAM: Final = f"{BOOKINGS}/deploy/upstream/web.conf"
COMPOSE: Final = '"docker", "compose", "-f", "docker-compose.prod.yml"'
RELOAD: Final = f'[{COMPOSE}, "exec", "-T", "nginx", "nginx", "-s", "reload"]'
ROLLING: Final = (
    f'rolling = [{{service = "web", upstream_file = "{UPSTREAM}", '
    f'upstream_line = "~{{share}} {{name}}:8000;", switch = [{RELOAD}], drain = 5}}, '
    '{service = "worker"}]'
)
LONG: Final = 900  # seconds: a busy machine gets its time
BEGIN: Final = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def rolling(production: Production) -> Production:
    (production.folder / UPSTREAM).unlink(missing_ok=True)
    production.edit("# rolling = .*", ROLLING)
    return production


def deploy(production: Production) -> Result:
    arguments = ("--env", "production", "--auto-migrate", "--health-check")
    return production.run("deploy", *arguments, timeout=LONG)


def load(production: Production) -> Load:
    """Two who look at bookings and one who books, without a pause."""
    url = production.stack.url

    def look(_: int) -> urllib.request.Request:
        return urllib.request.Request(f"{url}/bookings?limit=3")

    def book(number: int) -> urllib.request.Request:
        day = BEGIN + timedelta(days=number)
        wish = {
            "room": "room 2",
            "email": f"load{number}@example.org",
            "full_name": "A. Load",
            "starts_at": day.isoformat(),
            "ends_at": (day + timedelta(hours=5)).isoformat(),
        }
        kind = {"Content-Type": "application/json"}
        return urllib.request.Request(f"{url}/bookings", json.dumps(wish).encode(), kind)

    return Load((look, look, book))


def web(production: Production) -> list[str]:
    """The names of the web replicas."""
    return sorted(one["name"] for one in production.stack.containers("web"))


def booked(production: Production) -> int:
    """How many of the load's bookings the database has."""
    made = "SELECT count(*) FROM bookings WHERE starts_at >= '2030-01-01'"
    return int(production.stack.sql(made))


def settled(production: Production, release: str) -> None:
    """Two web replicas and a worker of the release, no other container, all named to the proxy."""
    stack = production.stack
    assert production.versions() == [release, release, release]
    assert all(one["health"] == "healthy" for one in stack.containers("web"))
    lines = (production.folder / UPSTREAM).read_text().splitlines()
    assert sorted(line.split()[1] for line in lines) == [
        f"{name}:8000;" for name in web(production)
    ]


def agreed(production: Production, release: str) -> None:
    """Compose finds nothing to do for what was updated.

    What the stack began with was started without --no-deps, which Compose counts as another definition.
    """
    stack = production.stack
    ids = {one["id"] for name in ("web", "worker") for one in stack.containers(name)}
    production.checkout(release)
    stack.compose("up", "-d", "--no-build", "--no-deps", "web", "worker")
    assert {one["id"] for name in ("web", "worker") for one in stack.containers(name)} == ids


def test_a_low_risk_deploy_fails_no_request_and_compose_up_is_measured_beside_it(
    rolling: Production, record_property: Callable[[str, object], None]
) -> None:
    rolling.checkout("v2")
    rolling.stack.migrate()
    with load(rolling) as plain:
        plain.at_least(20)
        rolling.stack.compose("up", "-d", "--no-build")
        plain.at_least(100)
    rolling.begin_again()
    rolling.edit("# rolling = .*", ROLLING)
    rolling.checkout("v2")
    with load(rolling) as ours:
        ours.at_least(20)
        deployed = deploy(rolling)
        ours.at_least(20)
    for who, seen in (("docker compose up -d", plain), ("deployguard deploy", ours)):
        said = f"{who}: {len(seen.bad)} of {seen.total} requests failed"
        print(said, sorted(set(seen.bad))[:5])
        record_property(who, said)
    assert deployed.code == 0, deployed.both
    assert not ours.bad
    assert ours.answers["POST"] == booked(rolling) > 20
    assert "web: beside the old, no gap" in deployed.words
    assert "worker: beside the old, no gap" in deployed.words
    settled(rolling, "v2")
    agreed(rolling, "v2")
    [step] = [one for one in rolling.last()["steps"] if one["name"] == "update-app"]
    assert step["detail"] == "web beside the old, worker beside the old"
    planned = rolling.run("rollback", "--plan")
    assert "web: beside the old, no gap" in planned.words


def test_killed_with_both_versions_running_resume_ends_with_the_new_one(
    rolling: Production,
) -> None:
    rolling.checkout("v2")
    with load(rolling) as clients:
        command = rolling.start("deploy", "--auto-migrate", "--health-check")
        rolling.until(command, lambda: len(rolling.stack.containers("web")) > 2, "both run")
        command.kill()
        clients.at_least(20)
        resumed = rolling.run("resume", timeout=LONG)
        clients.at_least(20)
    assert resumed.code == 0, resumed.both
    assert not clients.bad
    assert clients.answers["POST"] == booked(rolling)
    settled(rolling, "v2")
    agreed(rolling, "v2")


def test_killed_behind_the_switch_rollback_ends_with_the_old_one(rolling: Production) -> None:
    old, names = rolling.digests(), web(rolling)
    rolling.checkout("v2")
    file = rolling.folder / UPSTREAM
    with load(rolling) as clients:
        command = rolling.start("deploy", "--auto-migrate", "--health-check")
        switched = lambda: file.exists() and names[0] not in file.read_text()  # noqa: E731
        rolling.until(command, switched, "the proxy is switched", pause=0.02)
        command.kill()
        clients.at_least(20)
        back = rolling.run("rollback", timeout=LONG)
        clients.at_least(20)
    assert back.code == 0, back.both
    assert not clients.bad
    assert clients.answers["POST"] == booked(rolling)
    assert rolling.digests() == old
    settled(rolling, "v1")


def test_a_broken_release_is_taken_away_and_no_request_has_failed(rolling: Production) -> None:
    old, names = rolling.digests(), web(rolling)
    rolling.checkout("broken")
    with load(rolling) as clients:
        failed = deploy(rolling)
        clients.at_least(20)
    assert failed.code == 21, failed.both
    assert not clients.bad
    assert rolling.digests() == old
    assert web(rolling) == names  # they never stopped
    settled(rolling, "v1")
