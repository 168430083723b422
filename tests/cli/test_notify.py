"""Commands tell people of deploys and backups: Slack by its real address, others by Apprise's JSON service."""

import json
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deployguard.errors import BackupFailed
from deployguard.scheduled import back_up
from tests.cli.conftest import Bookings, MakeBookings
from tests.support.receivers import WEBHOOK, Receiver, Slack

NOTIFY = """
[notify]
urls_env = "PLACE"
on = ["backup-taken", "backup-failed", "backup-missed", "drill-failed", "prune-failed", "offsite-failed"]
"""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver() as made:
        monkeypatch.setenv("PLACE", made.url)
        yield made


@pytest.fixture
def bookings(make_bookings: MakeBookings) -> Bookings:
    made = make_bookings("b014")
    made.configure(NOTIFY)
    return made


def taken(bookings: Bookings) -> str:
    answer = bookings.deployguard("backup", "create", "--class", "scheduled", "--format", "json")
    assert answer.code == 0, answer.err
    return str(json.loads(answer.out)["id"])


def aged(bookings: Bookings, name: str, days: int) -> None:
    """Make a backup so many days old, and count it again."""
    manifest = bookings.folder / ".deployguard/backups" / name / "manifest.json"
    content = json.loads(manifest.read_text())
    content["created"] = (datetime.now(UTC) - timedelta(days=days, minutes=1)).isoformat()
    manifest.write_text(json.dumps(content))
    assert bookings.deployguard("backup", "verify", name).code == 0


def damage(bookings: Bookings, name: str) -> None:
    for file in (bookings.folder / ".deployguard/backups" / name).iterdir():
        if file.name.endswith((".db", ".sqlite", "database")) or file.stat().st_size > 8000:
            file.chmod(0o600)
            file.write_bytes(b"\0" + file.read_bytes()[1:])


def test_a_whole_deploy_is_told_to_slack(
    bookings: Bookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.configure('[notify]\nurls_env = ["SLACK_WEBHOOK_URL"]\n')
    monkeypatch.setenv("SLACK_WEBHOOK_URL", WEBHOOK)
    with Slack(tmp_path / "slack") as slack:
        for name, value in slack.environ.items():
            monkeypatch.setenv(name, value)
        answer = bookings.deployguard("deploy", "--auto-migrate", "--by", "ann")
    assert answer.code == 0, answer.err
    assert "[notify]" not in answer.err
    [post] = slack.posts  # that it began and migrated is not told by default
    [said] = post.document["attachments"]  # type: ignore[misc]
    assert said["title"].startswith("bookings production: deploy ")
    assert "1 revision migrated" in said["text"]


def test_a_test_message_says_for_each_address_whether_it_arrived(
    bookings: Bookings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bookings.deployguard("notify", "test").out == "PLACE (JSON): told\n"
    assert receiver.titles == ["bookings production: a test"]
    with Receiver("500") as failing:
        monkeypatch.setenv("OTHER", failing.url)
        bookings.configure('[notify]\nurls_env = ["PLACE", "OTHER", "GONE"]\non = []\n')
        answer = bookings.deployguard("notify", "test")
    assert answer.code == 3
    first, second, third = sorted(answer.out.splitlines())
    assert first == "GONE: not told: the environment variable GONE is not set"
    assert second.startswith("OTHER (JSON): not told: ")
    assert third == "PLACE (JSON): told"


def test_a_test_without_any_address_is_a_mistake(bookings: Bookings) -> None:
    bookings.configure("")
    assert bookings.deployguard("notify", "test").code == 2


def test_a_backup_that_is_taken_is_told_where_asked_for(
    bookings: Bookings, receiver: Receiver
) -> None:
    name = taken(bookings)
    assert receiver.titles == ["bookings production: backup taken"]
    assert f"The backup {name} was taken (" in receiver.texts[0]
    assert "It lies on this machine only." in receiver.texts[0]


@pytest.mark.parametrize("kind", ["scheduled", "manual"])
def test_a_backup_that_fails_is_told_with_its_exit_code(
    bookings: Bookings, receiver: Receiver, kind: str
) -> None:
    bookings.database.unlink()
    answer = bookings.deployguard("backup", "create", "--class", kind)
    assert answer.code == 20
    assert receiver.titles == ["bookings production: backup failed"]
    assert "There is no database file" in receiver.texts[0]
    assert "(exit code 20)" in receiver.texts[0]


@pytest.mark.parametrize(("kind", "count"), [("scheduled", 1), ("manual", 0)])
def test_a_mistake_is_told_only_where_nobody_sees_it(
    bookings: Bookings,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    count: int,
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    assert bookings.deployguard("backup", "create", "--class", kind).code == 2
    assert len(receiver.posts) == count


@pytest.mark.parametrize("required", [False, True])
def test_a_copy_that_fails_is_told_as_what_it_is(
    bookings: Bookings, receiver: Receiver, tmp_path: Path, required: bool
) -> None:
    place = f'[offsite]\nurl = "file://{tmp_path}/gone"\nrequired = {str(required).lower()}\n'
    bookings.configure(NOTIFY + place)
    answer = bookings.deployguard("backup", "create")
    assert answer.code == (20 if required else 0)
    assert "bookings production: off-site copy failed" in receiver.titles
    assert "bookings production: backup failed" not in receiver.titles
    receiver.posts.clear()
    assert bookings.deployguard("backup", "copy", "latest").code == 3
    assert receiver.titles == ["bookings production: off-site copy failed"]


def test_a_backup_that_is_found_damaged_is_told(bookings: Bookings, receiver: Receiver) -> None:
    name = taken(bookings)
    damage(bookings, name)
    receiver.posts.clear()
    assert bookings.deployguard("backup", "verify", name).code == 20
    assert receiver.titles == ["bookings production: backup failed"]
    assert "is damaged" in receiver.texts[0]


def test_a_drill_that_fails_is_told(bookings: Bookings, receiver: Receiver) -> None:
    taken(bookings)
    bookings.configure(NOTIFY + '[drill]\nverify_sql = ["SELECT 1 = 2"]\n')
    receiver.posts.clear()
    assert bookings.deployguard("backup", "verify", "latest", "--drill").code == 20
    assert receiver.titles == ["bookings production: restore drill failed"]
    assert "SELECT 1 = 2" in receiver.texts[0]


def test_a_prune_that_fails_is_told(
    bookings: Bookings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.configure(NOTIFY + "[retention]\nscheduled = { last = 1 }\n")
    taken(bookings)
    taken(bookings)
    receiver.posts.clear()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deployguard.backups.sealed.flush", full)
    assert bookings.deployguard("backup", "prune", "--yes").code == 20
    assert receiver.titles == ["bookings production: removing old backups failed"]


def test_a_missing_backup_is_told_once_for_each_time_it_was_due(
    bookings: Bookings, receiver: Receiver
) -> None:
    name = taken(bookings)
    receiver.posts.clear()

    def look(days: int) -> int:
        """How many messages three looks of a monitor make when the newest backup is so old."""
        aged(bookings, name, days)
        receiver.posts.clear()
        for _ in range(3):
            assert bookings.deployguard("backup", "status").code == 20
        return len(receiver.posts)

    assert look(2) == 1
    assert receiver.titles == ["bookings production: no recent backup"]
    assert "2 d old; 26 h are allowed" in receiver.texts[0]
    assert "exit code 20" in receiver.texts[0]
    assert "deployguard backup create --class scheduled --env production" in receiver.texts[0]
    assert look(3) == 1  # the next one is missing as well
    memory = bookings.folder / ".deployguard" / "told-production.json"
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600
    taken(bookings)
    assert bookings.deployguard("backup", "status").code == 0
    assert not memory.exists()


def test_that_there_is_no_backup_at_all_is_told_once(
    bookings: Bookings, receiver: Receiver
) -> None:
    for _ in range(3):
        assert bookings.deployguard("backup", "status").code == 20
    assert receiver.titles == ["bookings production: no recent backup"]
    state = bookings.folder / ".deployguard"  # made by this
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (state / ".gitignore").exists()


def test_a_damaged_newest_backup_is_told_once_and_not_as_a_missing_one(
    bookings: Bookings, receiver: Receiver
) -> None:
    taken(bookings)
    damage(bookings, name := taken(bookings))
    assert bookings.deployguard("backup", "verify", name).code == 20
    receiver.posts.clear()
    for _ in range(2):
        assert bookings.deployguard("backup", "status").code == 20
    assert receiver.titles == ["bookings production: the backups are not well"]


def test_who_was_not_reached_is_told_again_and_nobody_else(
    bookings: Bookings, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.configure('[notify]\nurls_env = ["PLACE", "OTHER"]\n')
    with Receiver("500") as other:
        monkeypatch.setenv("OTHER", other.url)
        first = bookings.deployguard("backup", "status")
        assert first.code == 20
        assert "OTHER was not told of backup-missed" in first.err
        other.how = "ok"
        again = bookings.deployguard("backup", "status")
        assert "was not told" not in again.err
        assert bookings.deployguard("backup", "status").code == 20
    assert len(receiver.posts) == 1
    assert len(other.posts) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"key": 3}', "\0"])
def test_a_memory_that_cannot_be_read_was_never_told(
    bookings: Bookings, receiver: Receiver, content: str
) -> None:
    state = bookings.folder / ".deployguard"
    state.mkdir(exist_ok=True)
    (state / "told-production.json").write_text(content)
    assert bookings.deployguard("backup", "status").code == 20
    assert len(receiver.posts) == 1


def test_a_memory_that_cannot_be_written_tells_rather_than_not(
    bookings: Bookings, receiver: Receiver
) -> None:
    (bookings.folder / ".deployguard" / "told-production.json").mkdir(parents=True)
    assert bookings.deployguard("backup", "status").code == 20
    assert len(receiver.posts) == 1


@pytest.mark.parametrize("how", ["500", "drips", "gone"])
def test_a_failing_receiver_changes_no_exit_code(
    bookings: Bookings, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.configure(NOTIFY.replace("on =", "timeout = 1\non ="))
    with Receiver("200" if how == "gone" else how) as failing:
        monkeypatch.setenv("PLACE", "json://127.0.0.1:1/" if how == "gone" else failing.url)
        made = bookings.deployguard("backup", "create")
        assert made.code == 0
        assert "[notify] PLACE was not told of backup-taken" in made.err
        assert bookings.deployguard("backup", "status").code == 0


def test_a_backup_from_python_tells_as_the_command_does(
    bookings: Bookings, receiver: Receiver
) -> None:
    made = back_up("deployguard.toml")
    assert receiver.titles == ["bookings production: backup taken"]
    assert made.record.id in receiver.texts[0]
    receiver.posts.clear()
    damage_on_disk = bookings.folder / ".deployguard/backups"
    shutil.rmtree(damage_on_disk)
    damage_on_disk.write_text("a file is in the way")
    with pytest.raises(BackupFailed):
        back_up("deployguard.toml")
    assert receiver.titles == ["bookings production: backup failed"]
