"""An update, or a way back, of several services at once: what becomes of the one when the other fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.targets import UpdateFailed
from tests.targets.room import NEW, OLD, Shop


def recreating(services: tuple[str, ...]) -> None:
    raise AssertionError(services)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Two old replicas of each service behind the proxy that serve."""
    made = Shop(tmp_path)
    for name in ("web-1", "web-2", "worker-1", "worker-2"):
        made.room.add(name, OLD)
    return made


@pytest.fixture
def handed(shop: Shop) -> Shop:
    """A process told the proxy of the new ones, and was killed while requests to the old ones ended."""
    for name in ("web-3", "web-4"):
        shop.room.add(name, NEW)
    (shop.folder / "web.conf").write_text("web-3\nweb-4\n")
    shop.room.add("worker-3", NEW, "unhealthy")
    return shop


def update(shop: Shop, services: tuple[str, ...] = ("web", "worker")) -> None:
    shop.replacing().replace(dict.fromkeys(services, NEW), shop.former(), "d1", recreating)


def test_new_replicas_take_over_and_the_old_ones_are_gone(shop: Shop) -> None:
    update(shop)
    assert shop.room.names() == ["web-3", "web-4", "worker-3", "worker-4"]
    assert shop.routes() == ["web-3", "web-4"]


def test_what_the_proxy_was_told_of_by_a_killed_process_is_not_taken_away_under_it(
    handed: Shop,
) -> None:
    served: list[tuple[list[str], list[str]]] = []
    handed.then = lambda _: served.append((handed.routes(), handed.room.names(stopped=False)))
    with pytest.raises(UpdateFailed, match="worker-3: not healthy"):
        update(handed)
    assert handed.room.names() == ["web-1", "web-2", "worker-1", "worker-2"]
    assert handed.routes() == ["web-1", "web-2"]
    assert [seconds for seconds in handed.slept if seconds == 7]  # their requests may end
    assert all({*routes} <= {*running} for routes, running in served)


def test_where_the_proxy_cannot_be_told_those_that_it_knows_stay(handed: Shop) -> None:
    handed.switch = (("false",),)
    with pytest.raises(UpdateFailed, match="worker-3: not healthy"):
        update(handed)
    assert {"web-1", "web-2", "web-3", "web-4"} <= {*handed.room.names(stopped=False)}


@pytest.mark.parametrize(
    ("status", "health"), [("running", "unhealthy"), ("exited", ""), ("restarting", "unhealthy")]
)
def test_new_replicas_that_break_while_requests_to_the_old_end_leave_the_old_in_service(
    shop: Shop, status: str, health: str
) -> None:
    def draining(seconds: float) -> None:
        if seconds == 7:
            for name in ("web-3", "web-4"):
                shop.room.change(name, status, health)

    shop.then = draining
    with pytest.raises(UpdateFailed, match="web-3, web-4: not healthy any more"):
        update(shop, ("web",))
    assert {"web-1", "web-2"} <= {*shop.room.names(stopped=False)}
    assert shop.routes() == ["web-1", "web-2"]


@pytest.mark.parametrize("there", [("web-1", "web-2", "web-3", "web-4"), ("web-2",), ()])
def test_as_many_replicas_are_put_back_as_ran_before(shop: Shop, there: tuple[str, ...]) -> None:
    for name in ("web-3", "web-4"):
        shop.room.add(name, OLD)
    former = shop.former()
    for name in ("web-5", "web-6"):
        shop.room.add(name, NEW)
    for name in {"web-1", "web-2", "web-3", "web-4"} - {*there}:
        del shop.room.here[name]
    shop.image = OLD
    shop.replacing().replace({"web": OLD}, former, "d1", recreating, back=True)
    webs = shop.room.service_containers("shop", "web", stopped=True)
    assert [one.image for one in webs] == [OLD] * 4
    assert {*there} <= {one.name for one in webs}
    assert shop.routes() == [one.name for one in webs]


def test_what_was_not_noted_is_put_back_as_the_file_says(shop: Shop) -> None:
    former = replace(shop.former(), containers={})
    shop.room.add("web-3", NEW)
    shop.image = OLD
    shop.replacing().replace({"web": OLD}, former, "d1", recreating, back=True)
    assert shop.routes() == ["web-1", "web-2"]
