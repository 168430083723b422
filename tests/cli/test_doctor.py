"""What ``doctor`` prints, and how it ends."""

import json

import pytest

from tests.cli.conftest import Bookings, MakeBookings


@pytest.fixture
def bookings(make_bookings: MakeBookings) -> Bookings:
    return make_bookings("b014")


def test_a_project_that_can_be_deployed_ends_with_0(bookings: Bookings) -> None:
    answer = bookings.deployguard("doctor")
    assert answer.code == 0, answer.out
    lines = answer.out.splitlines()
    assert any(line.startswith("✓ database") and "at b013" in line for line in lines)
    assert any(line.startswith("! off-site") for line in lines)
    assert lines[-1].startswith("Nothing is wrong, ")
    assert bookings.revision == "b013"


def test_what_is_wrong_ends_with_3_and_says_what_to_type(bookings: Bookings) -> None:
    bookings.configure('[notify]\nurls_env = ["NOT_SET_ANYWHERE"]\n')
    answer = bookings.deployguard("doctor")
    assert answer.code == 3
    assert "✗ notifications" in answer.out
    assert "NOT_SET_ANYWHERE is not set" in answer.out
    assert "export NOT_SET_ANYWHERE=" in answer.out
    assert answer.out.splitlines()[-1].startswith("1 wrong, ")


def test_for_machines(bookings: Bookings) -> None:
    answer = bookings.deployguard("doctor", "--format", "json")
    document = json.loads(answer.out)
    assert document["schema"] == "deployguard.doctor/1"
    assert document["ok"] is True
    found = {one["name"]: one["found"] for one in document["findings"]}
    assert found["migrations"] == "well"
    assert found["off-site"] == "look"
