"""Backups copied, listed and fetched by the command line: a folder for the NAS, moto's S3 for the cloud."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import boto3
import pytest

from tests.cli.conftest import Bookings, MakeBookings
from tests.support import objects


@pytest.fixture
def nas(tmp_path: Path) -> Path:
    (tmp_path / "nas").mkdir()
    return tmp_path / "nas"


@pytest.fixture
def bookings(make_bookings: MakeBookings, nas: Path) -> Bookings:
    made = make_bookings("b014")
    made.configure(f'[offsite]\nurl = "file://{nas}"\n')
    return made


def create(bookings: Bookings) -> str:
    answer = bookings.deployguard("backup", "create", "--format", "json")
    assert answer.code == 0, answer.err
    return str(json.loads(answer.out)["id"])


def test_a_backup_that_is_taken_is_copied(bookings: Bookings, nas: Path) -> None:
    answer = bookings.deployguard("backup", "create", "--format", "json")
    document = json.loads(answer.out)
    assert answer.code == 0, answer.err
    assert document["copies"][0]["url"] == f"file://{nas}/{document['id']}"
    assert (nas / document["id"] / "manifest.json").exists()


@pytest.mark.parametrize(("required", "code"), [(False, 0), (True, 20)])
def test_a_copy_that_fails_after_a_backup_is_told(
    bookings: Bookings, nas: Path, required: bool, code: int
) -> None:
    shutil.rmtree(nas)
    bookings.configure(f'[offsite]\nurl = "file://{nas}"\nrequired = {str(required).lower()}\n')
    answer = bookings.deployguard("backup", "create")
    assert answer.code == code
    assert "is it mounted?" in answer.err
    listed = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)
    assert [one["where"] for one in listed["backups"]] == [["here"]]


def test_a_deploy_copies_its_backup_before_the_first_change(bookings: Bookings, nas: Path) -> None:
    bookings.configure(f'[offsite]\nurl = "file://{nas}"\nrequired = true\n')
    answer = bookings.deployguard("deploy", "--auto-migrate", "--backup", "--format", "json")
    assert answer.code == 0, answer.err
    steps = [step["name"] for step in json.loads(answer.out)["steps"]]
    assert steps.index("verify-backup") < steps.index("offsite") < steps.index("arm")
    [copy] = nas.iterdir()
    assert bookings.revision == "b014"
    listed = json.loads(bookings.deployguard("backup", "list", "--format", "json").out)
    assert [(one["id"], one["where"]) for one in listed["backups"]] == [
        (copy.name, ["here", "file"])
    ]


def test_a_deploy_without_its_required_place_changes_nothing(bookings: Bookings, nas: Path) -> None:
    shutil.rmtree(nas)
    bookings.configure(f'[offsite]\nurl = "file://{nas}"\nrequired = true\n')
    answer = bookings.deployguard("deploy", "--auto-migrate", "--backup")
    assert answer.code == 3
    assert bookings.revision == "b013"
    assert "no backups yet" in bookings.deployguard("backup", "list").out


def test_a_backup_survives_the_loss_of_the_machine(
    bookings: Bookings, nas: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings.configure("")
    name = create(bookings)
    assert list(nas.iterdir()) == []
    bookings.configure(f'[offsite]\nurl = "file://{nas}"\n')
    copied = bookings.deployguard("backup", "copy", "latest")
    assert copied.code == 0, copied.err
    assert f"file://{nas}/{name}" in copied.out
    assert "sha256 as read back" in copied.out
    assert f"file://{nas}/{name}" in bookings.deployguard("backup", "show", name).out
    shutil.rmtree(bookings.folder / ".deployguard")
    monkeypatch.delenv("DATABASE_URL")  # no database is asked
    listed = bookings.deployguard("backup", "list", "--offsite")
    assert listed.code == 0, listed.err
    assert name in listed.out
    assert bookings.deployguard("backup", "copy", "latest").code == 2
    fetched = bookings.deployguard("backup", "fetch", "latest", "--format", "json")
    assert fetched.code == 0, fetched.err
    assert json.loads(fetched.out)["copies"][0]["url"] == f"file://{nas}/{name}"
    monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{bookings.database}")
    assert bookings.deployguard("backup", "verify", name).code == 0
    bookings.sql("DELETE FROM guests")
    restored = bookings.deployguard("backup", "restore", name, "--confirm", name)
    assert restored.code == 0, restored.err
    assert bookings.sql("SELECT count(*) FROM guests") == [(1,)]


def test_answers_are_one_document(bookings: Bookings, nas: Path) -> None:
    name = create(bookings)
    copy = json.loads(bookings.deployguard("backup", "copy", name, "--format", "json").out)
    assert (copy["schema"], copy["backup"]) == ("deployguard.copy/1", name)
    assert set(copy["files"]) == {p.name for p in (nas / name).iterdir()}
    listed = bookings.deployguard("backup", "list", "--offsite", "-vv", "--format", "json")
    document = json.loads(listed.out)
    assert document["schema"] == "deployguard.copies/1"
    assert [(one["backup"]["id"], one["here"]) for one in document["copies"]] == [(name, True)]
    for command in (("copy", name), ("list", "--offsite")):
        assert name in bookings.deployguard("backup", *command, "--format", "markdown").out
    shown = json.loads(bookings.deployguard("backup", "show", name, "--format", "json").out)
    assert shown["where"] == ["here", "file"]


def test_what_is_incomplete_is_told_and_not_listed(bookings: Bookings, nas: Path) -> None:
    name = create(bookings)
    assert bookings.deployguard("backup", "copy", name).code == 0
    (nas / name / "manifest.json").unlink()
    listed = bookings.deployguard("backup", "list", "--offsite")
    assert "no copies yet" in listed.out
    assert "not complete" in listed.err


def test_errors_have_their_exit_codes(
    bookings: Bookings, make_bookings: MakeBookings, nas: Path
) -> None:
    name = create(bookings)
    assert bookings.deployguard("backup", "fetch", "nothing").code == 2
    assert bookings.deployguard("backup", "copy", name).code == 0
    assert bookings.deployguard("backup", "fetch", name).code == 2
    damaged = nas / name / "evidence.json"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b" ")
    answer = bookings.deployguard("backup", "copy", name)
    assert answer.code == 20
    assert "is here and sealed" in answer.err
    shutil.rmtree(nas)
    assert bookings.deployguard("backup", "list", "--offsite").code == 3
    bookings.configure("")
    answer = bookings.deployguard("backup", "copy", name)
    assert answer.code == 2
    assert "[offsite] has no url" in answer.err


def test_no_secret_is_in_argv_output_or_files(
    make_bookings: MakeBookings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary is in the environment alone, and /proc is read while the copy runs."""
    bookings = make_bookings("b014")
    for key, value in objects.CREDENTIALS.items():
        monkeypatch.setenv(key, value)
    with objects.moto_server() as port, objects.fault_proxy(port) as proxy:
        boto3.Session().client("s3", endpoint_url=proxy.url).create_bucket(Bucket="acme-backups")
        name = create(bookings)
        bookings.configure(
            f'[offsite]\nurl = "s3://acme-backups/b"\nendpoint_url = "{proxy.url}"\ntimeout = 20\ntries = 2\n'
        )
        proxy.clear()
        proxy.fault("hang", "PUT", "evidence.json")  # so that it is at work while we look
        with subprocess.Popen(
            [sys.executable, "-m", "deployguard", "backup", "copy", name, "-vv"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ,
        ) as running:
            while not proxy.count("PUT", "evidence.json"):
                assert running.poll() is None
            argv = Path(f"/proc/{running.pid}/cmdline").read_bytes().decode()
            proxy.released.set()
            out, _ = running.communicate()
        assert running.returncode == 0, out
        proxy.clear()
        proxy.fault("denied", "HEAD", times=99)
        proxy.fault("denied", "GET", times=99)
        refused = bookings.deployguard("backup", "copy", name, "-vv")
        assert refused.code == 20
    beside = [p.read_text(errors="replace") for p in bookings.folder.rglob("*.json")]
    for text in (argv, out, refused.out, refused.err, *beside):
        assert objects.CANARY not in text
        assert objects.TOKEN not in text
