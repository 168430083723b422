"""prune, pin, unpin, du and status on a real project with real backups."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.cli.conftest import Bookings, MakeBookings

POLICY = """
[environments.production.retention]
scheduled = { last = 1 }
"""


def taken(bookings: Bookings, reason: str = "scheduled") -> str:
    answer = bookings.deployguard("backup", "create", "--class", reason, "--format", "json")
    assert answer.code == 0, answer.err
    document = json.loads(answer.out)
    assert document["reason"] == reason
    return str(document["id"])


def project(make_bookings: MakeBookings) -> Bookings:
    bookings = make_bookings("b014")
    file = Path("deployguard.toml")
    file.write_text(file.read_text() + POLICY)
    return bookings


def test_prune_tells_first_and_removes_only_when_told(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    old, new, kept = taken(bookings), taken(bookings), taken(bookings, "manual")
    told = bookings.deployguard("backup", "prune")
    assert told.code == 0
    assert f"remove  {old}" in told.out
    assert "1 would be removed" in told.out
    assert old in bookings.deployguard("backup", "list").out
    done = json.loads(bookings.deployguard("backup", "prune", "--yes", "--format", "json").out)
    assert [one["id"] for one in done["backups"] if not one["keep"]] == [old]
    assert done["removed"] is True
    left = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)
    assert [one["id"] for one in left["backups"]] == [kept, new]
    by_hand = bookings.deployguard("backup", "prune", kept, "--yes")
    assert by_hand.code == 2
    assert "must stay: the newest verified backup" in " ".join(by_hand.err.split())


def test_a_pin_keeps_until_it_is_taken_away(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    old, _ = taken(bookings), taken(bookings)
    assert bookings.deployguard("backup", "pin", old).code == 2
    assert bookings.deployguard("backup", "pin", old, "--reason", " ").code == 2
    shown = bookings.deployguard("backup", "pin", old, "--reason", "the audit", "--by", "ada")
    assert shown.code == 0
    assert "the audit, by ada" in shown.out
    assert "pinned" in bookings.deployguard("backup", "list").out
    assert "pinned: the audit" in bookings.deployguard("backup", "prune", "--yes").out
    assert bookings.deployguard("backup", "unpin", old).code == 0
    assert bookings.deployguard("backup", "unpin", old).code == 2
    assert "1 removed" in bookings.deployguard("backup", "prune", "--yes").out


def test_a_drill_is_kept_shown_and_counted_by_status(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    name = taken(bookings)
    shown = bookings.deployguard("backup", "verify", "latest", "--drill")
    assert shown.code == 0, shown.err
    assert "restored in" in shown.out
    assert "[drill] rto" in shown.out
    document = json.loads(bookings.deployguard("backup", "show", name, "--format", "json").out)
    assert document["drill"]["ok"] is True
    file = Path("deployguard.toml")
    file.write_text(file.read_text() + '[drill]\nverify_sql = ["SELECT 1 = 2"]\n')
    failed = bookings.deployguard("backup", "verify", "latest", "--drill")
    assert failed.code == 20
    assert f"The restore drill of {name} failed: SELECT 1 = 2" in " ".join(failed.err.split())
    status = bookings.deployguard("backup", "status")
    assert status.code == 20
    assert "The restore drill of" in status.out


def test_du_and_status_need_no_database(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    none = bookings.deployguard("backup", "status")
    assert none.code == 20
    assert "There is no backup of production at all." in none.out
    name = taken(bookings)
    bookings.database.unlink()
    assert bookings.deployguard("backup", "status").code == 0
    assert "scheduled" in bookings.deployguard("backup", "du").out
    document = json.loads(bookings.deployguard("backup", "du", "--format", "json").out)
    assert document["classes"]["scheduled"]["count"] == 1
    folder = Path(document["folder"]) / name
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["created"] = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert bookings.deployguard("backup", "verify", name).code == 0
    late = bookings.deployguard("backup", "status", "--format", "json")
    assert late.code == 20
    assert "3 d old; 26 h are allowed" in json.loads(late.out)["problems"][0]


def test_a_restore_by_time_backs_the_present_up_first(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    name = taken(bookings, "manual")
    bookings.sql("DELETE FROM import_batches")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    refused = bookings.deployguard("backup", "restore", "--at", soon)
    assert refused.code == 11
    assert "import_batches: 0 rows now, 2 in the backup" in refused.err
    assert "transaction(s) wrote since the backup" in refused.err
    done = bookings.deployguard("backup", "restore", "--at", soon, "--confirm", name)
    assert done.code == 0, done.err
    assert bookings.sql("SELECT count(*) FROM import_batches") == [(2,)]
    listed = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)["backups"]
    [kept] = [one for one in listed if one["reason"] == "emergency"]
    assert kept["counts"]["import_batches"] == 0
    back = bookings.deployguard(
        "backup", "restore", kept["deploy"], "--confirm", kept["id"], "--no-emergency-backup"
    )
    assert back.code == 0, back.err
    assert bookings.sql("SELECT count(*) FROM import_batches") == [(0,)]


def test_a_time_that_none_can_mean_is_refused(make_bookings: MakeBookings) -> None:
    bookings = project(make_bookings)
    name = taken(bookings, "manual")
    for arguments, said in (
        ((), "one of both"),
        ((name, "--at", "2026-02-18"), "one of both"),
        (("--at", "yesterday"), "write a time"),
        (("--at", "2020-01-01T10:30+01:00"), "of 2020-01-01 09:30:00 UTC or before"),
    ):
        answer = bookings.deployguard("backup", "restore", *arguments)
        assert (answer.code, said in answer.err.replace("\n", " ")) == (2, True), answer.err


def test_copies_off_site_are_kept_by_the_same_rules(
    make_bookings: MakeBookings, tmp_path: Path
) -> None:
    bookings = project(make_bookings)
    nas = tmp_path / "nas"
    nas.mkdir()
    file = Path("deployguard.toml")
    file.write_text(file.read_text() + f'[offsite]\nurl = "file://{nas}"\n')
    pinned, old, new = taken(bookings), taken(bookings), taken(bookings)
    for name in (pinned, old, new):
        assert bookings.deployguard("backup", "copy", name).code == 0
    assert bookings.deployguard("backup", "pin", pinned, "--reason", "audit").code == 0
    assert bookings.deployguard("backup", "prune", "--yes").code == 0  # here, old goes
    told = bookings.deployguard("backup", "prune", "--offsite")
    assert f"remove  {old}" in told.out
    assert "pinned: audit" in told.out
    assert (nas / old).exists()
    done = bookings.deployguard("backup", "prune", "--offsite", "--yes", "--format", "json")
    assert [(one["id"], one["keep"]) for one in json.loads(done.out)["backups"]] == [
        (new, True),
        (old, False),
        (pinned, True),
    ]
    assert sorted(path.name for path in nas.iterdir() if path.is_dir()) == sorted((pinned, new))
    refused = bookings.deployguard("backup", "prune", "--offsite", new, "--yes")
    assert (refused.code, "must stay" in refused.err) == (2, True)
    assert (nas / new).exists()
