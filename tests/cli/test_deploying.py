"""The road through the command line: deploy, refuse, approve, come back; on SQLite, judged by rows and exit codes."""

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.cli.conftest import CONFIG, Bookings, MakeBookings


def digest(bookings: Bookings) -> str:
    return str(json.loads(bookings.deployguard("check", "--format", "json").out)["digest"])


def last(bookings: Bookings) -> dict[str, object]:
    """The journal's word on the last run."""
    return dict(json.loads(bookings.deployguard("show", "--format", "json").out))


def test_low_risk_goes_through_by_itself(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard("deploy", "--auto-migrate")
    assert answer.code == 0, answer.err
    assert bookings.revision == "b014"
    assert "1 revision migrated" in answer.out
    assert "✓ Migrating" in answer.err
    assert last(bookings)["state"] == "done"


def test_a_project_in_a_folder_below_is_read_and_migrated_by_plain_alembic(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    top = bookings.folder.parent
    below = CONFIG.replace("[backup]", 'alembic_ini = "project/alembic.ini"\n[backup]')
    (top / "deployguard.toml").write_text(below)
    monkeypatch.chdir(top)
    checked = json.loads(bookings.deployguard("check", "--format", "json").out)
    assert (checked["evidence"], checked["notes"]) == ("recorded", [])
    answer = bookings.deployguard("deploy", "--auto-migrate")
    assert answer.code == 0, answer.err
    assert bookings.revision == "b014"


def test_the_default_asks_and_without_a_terminal_refuses_with_the_command(
    make_bookings: MakeBookings,
) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard("deploy")
    assert answer.code == 11
    assert f"--manual-migrate --env production --approve {digest(bookings)}" in answer.err
    assert bookings.revision == "b013"


def test_a_refused_deploy_is_not_called_failed_to_people(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert bookings.deployguard("deploy").code == 11
    for look in ("history", "show"):
        assert "refused" in bookings.deployguard(look).out
    assert "failed" not in bookings.deployguard("history").out
    assert last(bookings)["state"] == "failed"  # what programs read stays as it was


def test_critical_is_refused_then_approved_backed_up_and_migrated(
    make_bookings: MakeBookings,
) -> None:
    bookings = make_bookings("b018")
    refused = bookings.deployguard("deploy", "--auto-migrate")
    assert refused.code == 11
    assert "DG102 critical" in refused.err
    assert refused.out == ""
    assert bookings.revision == "b013"
    approved = bookings.deployguard(
        *("deploy", "--auto-migrate", "--approve", digest(bookings)),
        *("--by", "ada", "--reason", "exported", "--format", "json"),
    )
    assert approved.code == 0, approved.err
    document = json.loads(approved.out)
    assert (document["state"], document["approved_by"], document["to"]) == ("done", "ada", ["b018"])
    assert bookings.revision == "b018"
    backups = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)["backups"]
    assert [b["id"] for b in backups] == [document["backup"]]
    assert backups[0]["verification"]["ok"] is True


def test_an_approval_of_another_plan_is_refused(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    other = digest(bookings)
    revision = next((bookings.folder / "migrations/versions").glob("b018_*.py"))
    revision.write_text(revision.read_text() + "\n# changed after the approval\n")
    answer = bookings.deployguard("deploy", "--auto-migrate", "--approve", other)
    assert answer.code == 11
    assert digest(bookings) in answer.err
    assert bookings.revision == "b013"


class Health(BaseHTTPRequestHandler):
    """Healthy unless the new version runs: `updated` is in the current folder, and `back` is not."""

    def do_GET(self) -> None:
        broken = Path("updated").exists() and not Path("back").exists()
        self.send_response(503 if broken else 200)
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Quiet."""


@pytest.fixture
def health_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/health"
    server.shutdown()
    server.server_close()
    thread.join()


def commands(bookings: Bookings, health_url: str) -> None:
    """Configure a target whose commands are lines of Python."""
    python = json.dumps(sys.executable)
    bookings.configure(
        "[target]\nkind = 'commands'\n"
        f"update = [[{python}, '-c', \"open('updated', 'w')\"]]\n"
        f"rollback = [[{python}, '-c', \"open('back', 'w')\"]]\n"
        f"stop = [[{python}, '-c', \"open('stopped', 'w')\"]]\n"
        f"start = [[{python}, '-c', \"open('started', 'w')\"]]\n"
        f"[health]\nurls = ['{health_url}']\ndeadline = 1\ninterval = 0.1\nsuccesses = 1\n"
    )


def test_an_unhealthy_release_comes_back_with_every_row(
    make_bookings: MakeBookings, health_url: str
) -> None:
    bookings = make_bookings("b016")
    commands(bookings, health_url)
    before = bookings.sql("SELECT * FROM guests")
    answer = bookings.deployguard("deploy", "--auto-migrate", "--health-check", "--format", "json")
    assert answer.code == 21, answer.err
    assert json.loads(answer.out)["state"] == "rolled-back"
    assert bookings.revision == "b013"
    assert bookings.sql("SELECT count(*), sum(row_count) FROM import_batches") == [(2, 15)]
    assert bookings.sql("SELECT * FROM guests") == before
    assert Path("stopped").exists()
    assert Path("back").exists()
    assert "Traceback" not in answer.err


def test_what_is_still_held_still_is_told_by_every_command_that_one_looks_at(
    make_bookings: MakeBookings, health_url: str
) -> None:
    bookings = make_bookings("b014")
    commands(bookings, health_url)
    file = bookings.folder / "deployguard.toml"
    file.write_text(
        file.read_text()
        + '[quiesce]\non = [["touch", "shut"]]\noff = [["rm", "shut/no"]]\ndrain = 0\n'
    )
    Path("back").touch()  # so that it is healthy
    stuck = bookings.deployguard("deploy", "--auto-migrate", "--quiesce", "--health-check")
    assert stuck.code == 22, stuck.err
    assert Path("shut").exists()
    shown = bookings.deployguard("show")
    status = bookings.deployguard("status")
    for said in (stuck.err, shown.out, status.out):
        assert "THE APPLICATION IS HELD STILL" in " ".join(said.split())
        assert "rm shut/no" in " ".join(said.split())
    file.write_text(file.read_text().replace("shut/no", "shut"))
    assert bookings.deployguard("resume").code == 0
    assert not Path("shut").exists()
    assert "HELD STILL" not in bookings.deployguard("status").out


def test_skip_migrate_only_updates_the_application(
    make_bookings: MakeBookings, health_url: str
) -> None:
    bookings = make_bookings("b019")
    commands(bookings, health_url)
    answer = bookings.deployguard("deploy", "--skip-migrate")
    assert answer.code == 0, answer.err
    assert Path("updated").exists()
    assert bookings.revision == "b013"


def test_rollback_takes_the_last_deploy_back(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert bookings.deployguard("deploy", "--auto-migrate").code == 0
    answer = bookings.deployguard("rollback", "--format", "json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["kind"] == "rollback"
    assert bookings.revision == "b013"


def test_a_rollback_is_foreseen_without_being_done(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert bookings.deployguard("deploy", "--auto-migrate").code == 0
    answer = bookings.deployguard("rollback", "--plan", "--format", "json")
    assert answer.code == 0, answer.err
    foreseen = json.loads(answer.out)
    assert foreseen["schema"] == "deployguard.way-back/1"
    assert (foreseen["way"], foreseen["safe"]) == ("downgrade the schema", True)
    assert "Downgrading the schema" in foreseen["steps"]
    answers = {item["question"]: item["answer"] for item in foreseen["answers"]}
    assert answers["Did the schema move?"] == "yes"
    assert answers["Does the downgrade lose nothing now?"] == "yes"
    assert bookings.revision == "b014"
    bookings.sql("UPDATE guests SET language = 'nl'")
    text = bookings.deployguard("rollback", "--plan")
    assert text.code == 10  # as the rollback would end
    assert "a person must decide" in text.out
    assert "Nothing was done." in text.out
    assert "rollback --plan" in bookings.deployguard("rollback", "--help").out
    markdown = bookings.deployguard("rollback", "--plan", "--format", "markdown")
    assert "| Does the downgrade lose nothing now? | no |" in markdown.out
    assert bookings.revision == "b014"
    assert len(json.loads(bookings.deployguard("history", "--format", "json").out)["deploys"]) == 1


def test_a_restore_is_never_silent(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b018")
    done = bookings.deployguard(
        "deploy", "--auto-migrate", "--approve", digest(bookings), "--format", "json"
    )
    name = json.loads(done.out)["id"]
    bookings.sql("INSERT INTO rooms (name, capacity, price_cents) VALUES ('new', 1, 1)")
    refused = bookings.deployguard("rollback", name, "--restore")
    assert refused.code == 11
    assert "rooms: 2 rows now, 1 in the backup" in refused.err
    assert bookings.revision == "b018"
    wrong = bookings.deployguard("rollback", name, "--restore", "--confirm", "yes")
    assert wrong.code == 11
    answer = bookings.deployguard("rollback", name, "--restore", "--confirm", name)
    assert answer.code == 0, answer.err
    assert bookings.revision == "b013"
    assert bookings.sql("SELECT fax FROM guests") == [("+32",)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("deploy", "--auto-migrate", "--skip-migrate"), "--auto-migrate and --skip-migrate"),
        (("rollback", "--to", "b012", "--restore"), "--to and --restore"),
        (("deploy", "--health-check"), "nothing to check"),
        (("resume",), "Nothing is unfinished"),
        (("close", "--reason", "x"), "Nothing is unfinished"),
        (("rollback",), "can be taken back"),
    ],
)
def test_wrong_usage(
    make_bookings: MakeBookings, arguments: tuple[str, ...], expected: str
) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard(*arguments)
    assert answer.code == 2, answer.err
    assert expected in answer.err
    assert answer.out == ""
    assert bookings.revision == "b013"
