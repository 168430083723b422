"""The commands that look: status, history, show, backup; on a real project with a real database."""

import json
import socket
from pathlib import Path

import pytest

from deployguard.cli.main import run
from tests.cli.conftest import MakeBookings


def test_status_says_where_the_environment_stands(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard("status")
    assert answer.code == 0, answer.err
    for fact in (
        "production",
        "database at  b013",
        "code at      b014",
        "pending      b014",
        "free",
    ):
        assert fact in answer.out


def test_status_as_json_is_one_document(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("status", "-vv", "--format", "json")
    document = json.loads(answer.out)
    assert document["schema"] == "deployguard.status/1"
    assert (document["current"], document["pending"]) == (["b013"], ["b014"])
    assert document["next"] == ["deployguard check --env production"]


def test_status_tells_what_does_not_answer(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://app:c4nary@127.0.0.1:1/bookings")
    answer = bookings.deployguard("status")
    assert answer.code == 0
    assert "unknown" in answer.out
    assert "127.0.0.1" in answer.out
    assert "c4nary" not in answer.out + answer.err


def test_nothing_has_run_yet(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert "No deploy has run yet." in bookings.deployguard("history").out
    assert bookings.deployguard("show").code == 2
    assert "No deploy 'ab12'" in bookings.deployguard("show", "ab12").err
    assert "no backups yet" in bookings.deployguard("backup", "list").out


def test_a_backup_is_taken_read_back_listed_and_shown(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    taken = bookings.deployguard("backup", "create", "--format", "json")
    assert taken.code == 0, taken.err
    document = json.loads(taken.out)
    assert document["counts"]["import_batches"] == 2
    assert document["revision"] == ["b013"]
    assert document["verification"]["ok"] is True
    name = document["id"]
    assert name in bookings.deployguard("backup", "list").out
    shown = bookings.deployguard("backup", "show", "latest")
    assert shown.code == 0
    assert "import_batches" in shown.out
    listed = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)
    assert [entry["id"] for entry in listed["backups"]] == [name]
    assert f"| `{name}` |" in bookings.deployguard("backup", "list", "--format", "markdown").out


def test_a_damaged_backup_is_found_with_exit_code_20(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    document = json.loads(bookings.deployguard("backup", "create", "--format", "json").out)
    name = max(document["files"], key=lambda file: document["files"][file]["size"])
    folder = bookings.folder / ".deployguard" / "backups" / document["folder"]
    file = folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.chmod(0o600)
    file.write_bytes(content)
    answer = bookings.deployguard("backup", "verify", document["id"])
    assert answer.code == 20
    assert "is damaged" in answer.err
    assert answer.out == ""
    assert "DAMAGED" in bookings.deployguard("backup", "list").out


def test_no_such_backup(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("backup", "show", "nope")
    assert (answer.code, "nope" in answer.err) == (2, True)


def test_init_writes_a_file_that_the_other_commands_take(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    Path("deployguard.toml").unlink()
    first = bookings.deployguard("init")
    assert first.code == 0
    assert first.out == ""
    assert "deployguard check" in first.err
    assert bookings.deployguard("status", "--env", "production").code == 0
    assert bookings.deployguard("init").code == 2
    assert bookings.deployguard("init", "--force").code == 0
    printed = bookings.deployguard("init", "--print")
    assert printed.out == Path("deployguard.toml").read_text()


def test_init_names_a_first_look_that_needs_no_database(
    make_bookings: MakeBookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.delenv("DATABASE_URL")
    server = tmp_path / "server"
    server.mkdir()
    (server / "alembic.ini").write_text("[alembic]\nsqlalchemy.url = postgresql://h/a\n")
    said = bookings.deployguard("init", str(server)).err
    assert "deployguard check --from base" in said
    assert "DATABASE_URL=postgresql://" in said
    monkeypatch.setenv("DATABASE_URL", "postgresql://h/a")
    assert "--from base" not in bookings.deployguard("init", str(server), "--force").err


def test_init_says_that_env_py_must_read_the_variable_where_nothing_does(
    make_bookings: MakeBookings, tmp_path: Path
) -> None:
    bookings = make_bookings("b014")
    fixed = tmp_path / "fixed"
    fixed.mkdir()
    (fixed / "alembic.ini").write_text(
        "[alembic]\nscript_location = m\nsqlalchemy.url = sqlite:///a.db\n"
    )
    assert "Let env.py read it" in bookings.deployguard("init", str(fixed)).err
    assert "Let env.py read it" not in bookings.deployguard("init", "--force").err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[migrat]\n", "did you mean 'migrate'?"),
        ("[migrate]\nretries = 'x'\n", "must be of type int"),
    ],
)
def test_a_wrong_configuration_is_one_clear_error(
    make_bookings: MakeBookings, line: str, expected: str
) -> None:
    bookings = make_bookings("b014")
    bookings.configure(line)
    answer = bookings.deployguard("status")
    assert answer.code == 2
    assert expected in answer.err
    assert answer.out == ""


def test_a_configuration_elsewhere_is_taken_before_and_after_the_command(
    make_bookings: MakeBookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.chdir(tmp_path)
    path = str(bookings.folder / "deployguard.toml")
    assert bookings.deployguard("--config", path, "history").code == 0
    assert bookings.deployguard("history", "--config", path).code == 0
    assert bookings.deployguard("history").code == 2


def test_a_missing_variable_is_named(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    monkeypatch.delenv("DATABASE_URL")
    answer = bookings.deployguard("status")
    assert answer.code == 2
    assert "DATABASE_URL" in answer.err


def test_a_restore_by_id_wants_the_id_typed(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b013")
    name = json.loads(bookings.deployguard("backup", "create", "--format", "json").out)["id"]
    bookings.sql("DELETE FROM import_batches")
    refused = bookings.deployguard("backup", "restore", "latest")
    assert refused.code == 11
    assert "import_batches: 0 rows now, 2 in the backup" in refused.err
    done = bookings.deployguard(
        "backup", "restore", "latest", "--confirm", name, "--format", "json"
    )
    assert done.code == 0, done.err
    assert json.loads(done.out)["kind"] == "restore"
    assert bookings.sql("SELECT count(*) FROM import_batches") == [(2,)]
    assert "restore" in bookings.deployguard("history").out


@pytest.mark.parametrize(("asked", "meant"), [("drop-colum", "drop-column"), ("dg1022", "DG102")])
def test_a_rule_that_is_not_there_names_the_nearest(
    capsys: pytest.CaptureFixture[str], asked: str, meant: str
) -> None:
    assert run(["explain", asked]) == 2
    said = capsys.readouterr().err
    assert f"There is no rule '{asked}'. Did you mean {meant}" in said
    assert "Nothing changed" not in said


def test_a_deploy_is_shown_with_host_approval_log_and_durations(
    make_bookings: MakeBookings,
) -> None:
    bookings = make_bookings("b014")
    digest = json.loads(bookings.deployguard("check", "--format", "json").out)["digest"]
    asked = ("--auto-migrate", "--by", "ada", "--approve", digest, "--reason", "read it twice")
    done = bookings.deployguard("deploy", *asked)
    assert done.code == 0, done.err
    [deploy] = json.loads(bookings.deployguard("history", "--format", "json").out)["deploys"]
    assert (deploy["host"], deploy["by"]) == (socket.gethostname(), "ada")
    assert (deploy["approved_by"], deploy["approved_because"]) == ("ada", "read it twice")
    assert deploy["id"] in Path(deploy["log"]).name
    steps = {step["name"]: step for step in deploy["steps"]}
    assert steps["migrate"]["seconds"] > 0
    whole = json.loads(bookings.deployguard("show", "--format", "json").out)
    assert whole["plan"]["heads"] == ["b014"]
    evidence = {step["name"]: step["evidence"] for step in whole["steps"]}
    assert evidence["approve"]["reason"] == "read it twice"
    assert evidence["migrate"]["to"] == ["b014"]
    shown = bookings.deployguard("show", deploy["id"])
    assert shown.code == 0, shown.err
    words = " ".join(shown.out.split())
    for fact in (f"by ada on {socket.gethostname()}", "approved by ada: read it twice", "took"):
        assert fact in words
    log = bookings.deployguard("show", "--log")
    assert log.out == Path(deploy["log"]).read_text()
    assert "b014" in log.out


def test_the_history_is_filtered(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    assert bookings.deployguard("deploy", "--skip-migrate").code == 0
    assert bookings.deployguard("deploy", "--auto-migrate", "--approve", "0000").code == 11

    def found(*options: str) -> list[str]:
        answer = bookings.deployguard("history", "--format", "json", *options)
        return [deploy["state"] for deploy in json.loads(answer.out)["deploys"]]

    assert found() == ["failed", "done"]
    assert found("--outcome", "done") == ["done"]
    assert found("--since", "2020-01-31") == ["failed", "done"]
    assert found("--since", "2999-01-31T10:00") == []
    assert bookings.deployguard("history", "--since", "yesterday").code == 2
    without = bookings.deployguard("show", "--log")
    assert without.code == 2
    assert socket.gethostname() in without.err
