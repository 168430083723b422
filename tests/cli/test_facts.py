"""`deployguard facts` writes a file that `deployguard check --facts` takes in the place of the database."""

import json
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import MakeBookings


def test_the_file_is_for_its_owner_and_does_for_the_database(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b019")
    written = bookings.deployguard("facts", "-o", "facts.json")
    assert (written.code, written.out) == (0, "")
    assert "at b013" in written.err
    assert "deployguard check --facts facts.json" in written.err
    file = Path("facts.json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(Path().glob(".facts*")) == []
    live = json.loads(bookings.deployguard("check", "--format", "json").out)
    monkeypatch.delenv("DATABASE_URL")
    bookings.database.unlink()
    answer = bookings.deployguard(
        "check", "--facts", "facts.json", "--dialect", "sqlite", "--format", "json"
    )
    assert answer.code == 10
    found = json.loads(answer.out)
    assert found["revisions"] == live["revisions"]
    assert (found["level"], found["evidence"]) == (live["level"], live["evidence"])
    assert not bookings.database.exists()


def test_without_a_file_the_document_goes_to_stdout(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("facts")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["schema"] == "deployguard.facts/1"
    assert document["current"] == ["b013"]
    assert "ada@example.com" not in answer.out
    assert "Old Mill" not in answer.out


def test_a_former_file_is_replaced_whole(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    Path("facts.json").write_text("something else, longer than nothing")
    assert bookings.deployguard("facts", "-o", "facts.json").code == 0
    assert json.loads(Path("facts.json").read_text())["environment"] == "production"


@pytest.mark.parametrize(
    ("text", "why"),
    [("nonsense", "not JSON"), ('{"schema": "deployguard.facts/9"}', "facts/9"), (None, "No such")],
)
def test_a_bad_file_is_exit_2_with_the_command_that_helps(
    make_bookings: MakeBookings, text: str | None, why: str
) -> None:
    bookings = make_bookings("b014")
    if text is not None:
        Path("facts.json").write_text(text)
    answer = bookings.deployguard("check", "--facts", "facts.json")
    assert answer.code == 2
    assert why in answer.err
    assert "Nothing changed." in answer.err
    assert "deployguard facts -o facts.json" in answer.err


def test_facts_of_another_dialect_are_exit_2(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    bookings.deployguard("facts", "-o", "facts.json")
    answer = bookings.deployguard("check", "--facts", "facts.json", "--dialect", "postgresql")
    assert answer.code == 2
    assert "facts of a sqlite database" in answer.err


def test_an_unreachable_database_is_exit_3_and_leaves_no_file(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hunter2@127.0.0.1:1/nowhere")
    answer = bookings.deployguard("facts", "-o", "facts.json")
    assert answer.code == 3
    assert "hunter2" not in answer.err
    assert not Path("facts.json").exists()


def test_a_file_that_cannot_be_written_is_exit_2(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("facts", "-o", "no/such/folder/facts.json")
    assert answer.code == 2
    assert "Cannot write" in answer.err
