"""What the engine says of a container, and image names taken apart."""

import pytest

from deployguard.containers import Reference
from deployguard.containers.container import parse_container


@pytest.mark.parametrize(
    ("name", "parts", "movable"),
    [
        ("bookings", ("bookings", "", ""), True),
        ("bookings:v1", ("bookings", "v1", ""), True),
        ("localhost:5000/a/b", ("localhost:5000/a/b", "", ""), True),
        ("localhost:5000/a/b:v1", ("localhost:5000/a/b", "v1", ""), True),
        ("a/b@sha256:12", ("a/b", "", "sha256:12"), False),
        ("a/b:v1@sha256:12", ("a/b", "v1", "sha256:12"), False),
        ("sha256:abc", ("sha256", "abc", ""), False),
    ],
)
def test_an_image_name_is_taken_apart(
    name: str, parts: tuple[str, str, str], movable: bool
) -> None:
    reference = Reference.parse(name)
    assert (reference.repository, reference.tag, reference.digest) == parts
    assert reference.movable is movable


def test_another_tag_of_the_same_repository() -> None:
    assert Reference.parse("localhost:5000/a:v1").tagged("old") == "localhost:5000/a:old"


def test_an_almost_empty_answer_is_survived() -> None:
    container = parse_container({"Id": "1", "State": {"Status": "created", "ExitCode": 0}})
    assert (container.id, container.code, container.running, container.service) == (
        *("1", None, False),
        "",
    )


def test_published_ports_prefer_an_address_of_this_machine() -> None:
    ports = {
        "5432/tcp": [
            {"HostIp": "::", "HostPort": "7000"},
            {"HostIp": "0.0.0.0", "HostPort": "7001"},
        ],
        "80/tcp": [{"HostIp": "10.0.0.5", "HostPort": "8080"}],
        "81/tcp": None,
    }
    container = parse_container({"Id": "1", "NetworkSettings": {"Ports": ports}})  # type: ignore[dict-item]
    assert container.published == {"5432/tcp": ("127.0.0.1", 7001), "80/tcp": ("10.0.0.5", 8080)}
