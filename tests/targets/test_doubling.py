"""What keeps two versions of a service from running side by side, and how long a gap its definition makes likely."""

from __future__ import annotations

import pytest

from deployguard.config import RollingConfig
from deployguard.containers import Service
from deployguard.model import Foreseen, Json
from deployguard.targets.doubling import foresee, obstacle, replicas, seconds

PLAIN = RollingConfig("web")
SHARES = RollingConfig("web", shares_volumes=True)
KEEPS = "keeps data in a volume of its image at /data"
PROXIED = RollingConfig("web", upstream_file="u", upstream_line="{name}", switch=(("reload",),))


def service(name: str = "web", /, **said: Json) -> Service:
    return Service(name, "", {}, builds=False, definition=said)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, ""),
        ({"ports": [{"target": 80}]}, ""),  # any free one
        ({"ports": [{"target": 80, "published": "80"}]}, "publishes host port 80"),
        ({"ports": ["127.0.0.1:8080:80"]}, "publishes host port 8080"),
        ({"container_name": "web"}, "has a container name"),
        ({"mac_address": "02:42:ac:11:65:43"}, "has a mac address"),
        ({"network_mode": "host"}, "has the network mode host"),
        ({"network_mode": "none"}, ""),
        (
            {"networks": {"back": {"ipv4_address": "10.0.0.9"}}},
            "has a fixed address in the network back",
        ),
        ({"networks": {"back": None}}, ""),
        (
            {"volumes": [{"type": "volume", "source": "media", "target": "/media"}]},
            "writes the volume media",
        ),
        (
            {"volumes": [{"type": "bind", "source": "/srv", "target": "/srv"}]},
            "writes the volume /srv",
        ),
        ({"volumes": [{"type": "bind", "source": "/s", "target": "/s", "read_only": True}]}, ""),
        ({"volumes": [{"type": "tmpfs", "target": "/tmp"}]}, ""),
        ({"volumes_from": ["other"]}, "writes the volumes of other"),
        ({"deploy": {"mode": "global"}}, "runs once a machine"),
        ({"deploy": {"replicas": 0}}, "has no replicas"),
    ],
)
def test_each_obstacle_is_named(said: dict[str, Json], why: str) -> None:
    assert obstacle(service(**said), PLAIN, {}) == why


def test_what_is_not_named_is_recreated_as_ever() -> None:
    assert obstacle(service(), None, {}) == "[target] rolling does not name it"


def test_shared_volumes_are_no_obstacle_when_somebody_says_so() -> None:
    named: Json = {"type": "volume", "source": "media", "target": "/media"}
    bound: Json = {"type": "bind", "source": "/srv", "target": "/srv"}
    said = service(volumes=[named, bound], volumes_from=["other"])
    assert obstacle(said, SHARES, {}, keeps=("/media", "/srv")) == ""


def test_a_volume_that_each_container_has_of_its_own_cannot_be_shared() -> None:
    nameless = service(volumes=[{"type": "volume", "target": "/data"}])
    why = "keeps data in a volume without a name at /data"
    for rolling in (PLAIN, SHARES):
        assert obstacle(nameless, rolling, {}) == why
        assert obstacle(service(), rolling, {}, keeps=("/data",)) == KEEPS
    read = service(volumes=[{"type": "volume", "target": "/data", "read_only": True}])
    assert obstacle(read, SHARES, {}, keeps=("/data",)) == ""


def test_a_volume_of_the_image_counts_unless_the_file_says_what_is_there() -> None:
    assert obstacle(service(), PLAIN, {}, keeps=("/data",)) == KEEPS
    covered = service(volumes=[{"type": "tmpfs", "target": "/data"}])
    assert obstacle(covered, PLAIN, {}, keeps=("/data",)) == ""


def test_another_service_that_lives_in_its_network_keeps_it_single() -> None:
    other = service("vpn", network_mode="service:web")
    assert obstacle(service(), PLAIN, {"vpn": other}) == "lends its network to the service vpn"


def test_behind_a_proxy_a_health_check_must_say_when_it_is_ready() -> None:
    assert obstacle(service(), PROXIED, {}) == "has no health check"
    assert obstacle(service(), PROXIED, {}, checked=True) == ""
    assert obstacle(service(healthcheck={"test": ["CMD", "true"]}), PROXIED, {}) == ""
    off = service(healthcheck={"disable": True})
    assert obstacle(off, PROXIED, {}, checked=True) == "has no health check"


def test_the_gap_is_the_grace_period_and_the_first_health_check() -> None:
    said = service(
        stop_grace_period="1m30s", healthcheck={"start_period": "5s", "interval": "1.5s"}
    )
    basis = "stop_grace_period 90 s, healthcheck start_period 5 s and interval 1.5 s"
    assert foresee(said, "has a container name") == Foreseen(
        "web", beside=False, why="has a container name", gap=96.5, basis=basis
    )
    assert foresee(service(), "x").gap == 10
    assert foresee(said, "") == Foreseen("web", beside=True)


def test_replicas_and_durations_as_compose_writes_them() -> None:
    assert [
        replicas(service(**said)) for said in ({}, {"scale": 3}, {"deploy": {"replicas": 2}})
    ] == [
        1,
        3,
        2,
    ]
    assert [seconds(said, 7) for said in ("1h0m1s", "500ms", None)] == [3601, 0.5, 7]
