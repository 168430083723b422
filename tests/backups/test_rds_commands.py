"""The commands on an environment whose backups are snapshots of RDS."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.cli.main import run
from tests.support.aws import Aws
from tests.support.postgres import Server

CONFIG = """
[project]
name = "bookings"
[environments.production]
database_url_env = "DATABASE_URL"
backup.store = "rds"
backup.tries = 1
rds.instance = "bookings"
rds.poll = 0.01
rds.copy_region = "eu-west-1"
"""
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) FROM generate_series(1, 200) i;
"""


class Shell:
    """A project folder in which commands are given."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> str:
        self.capsys.readouterr()
        found = run(arguments)
        captured = self.capsys.readouterr()
        assert found == code, captured.err
        return captured.out + captured.err if code else captured.out


@pytest.fixture
def deployguard(
    project: Path, aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.chdir(project)
    return Shell(capsys)


@pytest.fixture
def project(
    tmp_path: Path, aws: Aws, instance: Any, postgres_database: str, postgres_server: Server
) -> Iterator[Path]:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    (tmp_path / "deployguard.toml").write_text(CONFIG)
    # All instances are this server: moto's have addresses that lead nowhere.
    aws.edit("DescribeDBInstances", "<Address>[^<]*</Address>", "<Address>127.0.0.1</Address>")
    aws.edit("DescribeDBInstances", "<Port>[0-9]+</Port>", f"<Port>{postgres_server.port}</Port>")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", postgres_database)
        yield tmp_path


def test_a_backup_is_created_listed_shown_verified_and_copied(
    deployguard: Shell, aws: Aws, instance: Any
) -> None:
    made = json.loads(deployguard("backup", "create", "--format", "json"))
    assert made["store"] == "rds"
    assert made["id"] in deployguard("backup", "list")
    assert "AWS has the snapshot" in deployguard("backup", "show", "latest")
    deployguard("backup", "verify", "latest")
    said = deployguard("backup", "rds", "copy", "latest", code=2)
    assert "copy_kms_key" in said
    kms = aws.client("kms", "eu-west-1")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    kms.close()
    path = Path("deployguard.toml")
    path.write_text(f'{path.read_text()}rds.copy_kms_key = "{key}"\n')
    copied = json.loads(deployguard("backup", "rds", "copy", "latest", "--format", "json"))
    assert (copied["schema"], copied["region"]) == ("deployguard.rds-copy/1", "eu-west-1")
    assert "eu-west-1" in deployguard("backup", "rds", "copy", "latest")
    assert "| region | eu-west-1 |" in deployguard(
        "backup", "rds", "copy", "latest", "--format", "markdown"
    )
    [one] = instance.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    instance.delete_db_snapshot(DBSnapshotIdentifier=one["DBSnapshotIdentifier"])
    assert "does not exist any more" in deployguard("backup", "verify", "latest", code=20)


def test_a_backup_is_restored_by_the_command(deployguard: Shell, instance: Any) -> None:
    made = json.loads(deployguard("backup", "create", "--format", "json"))
    deployguard("backup", "restore", "latest", code=11)
    deployguard("backup", "restore", "latest", "--confirm", made["id"])
    found = {one["DBInstanceIdentifier"] for one in instance.describe_db_instances()["DBInstances"]}
    assert len(found) == 2
    assert "bookings" in found
    assert any(name.startswith("bookings-failed-") for name in found)


def test_going_back_in_time_refuses_what_is_no_time_and_out_of_reach(
    deployguard: Shell, instance: Any
) -> None:
    assert "is no time" in deployguard("backup", "rds", "recover", "--at", "noon", code=2)
    said = deployguard("backup", "rds", "recover", "--at", "1999-01-01", code=2)
    assert "out of reach" in said
    [live] = instance.describe_db_instances()["DBInstances"]
    at = live["LatestRestorableTime"].isoformat()
    found = json.loads(deployguard("backup", "rds", "recover", "--at", at, "--format", "json"))
    assert found["rows"] == "201 in 2 tables"
    assert found["instance"].startswith("bookings-at-")


def test_without_rds_the_commands_say_so(deployguard: Shell) -> None:
    path = Path("deployguard.toml")
    path.write_text(path.read_text().replace('backup.store = "rds"', 'backup.store = "auto"'))
    said = deployguard("backup", "rds", "recover", "--at", "2026-01-01", code=2)
    assert "are not on RDS" in said


def test_retention_deletes_snapshots_that_are_ours_and_only_with_their_backup(
    deployguard: Shell, aws: Aws, instance: Any
) -> None:
    path = Path("deployguard.toml")
    path.write_text(path.read_text() + "retention.scheduled = { last = 1 }\n")
    create = ("backup", "create", "--class", "scheduled", "--format", "json")
    old, older = (json.loads(deployguard(*create))["id"] for _ in range(2))
    newest = json.loads(deployguard(*create))["id"]
    dry = json.loads(deployguard("backup", "prune", "--format", "json"))
    assert dry
    assert len(snapshots(instance)) == 3
    assert not aws.asked("DeleteDBSnapshot")
    aws.fault("DeleteDBSnapshot", "pass", "denied")
    deployguard("backup", "prune", "--yes")
    assert newest in deployguard("backup", "list")
    assert len(listed(deployguard)) == 1
    left = snapshots(instance)
    assert set(left) == {newest, old} or set(left) == {newest, older}
    newer = json.loads(deployguard(*create))["id"]  # its sweep deletes what was left
    assert set(snapshots(instance)) == {newest, newer}


def test_a_prune_that_aws_does_not_answer_removes_nothing(
    deployguard: Shell, aws: Aws, instance: Any
) -> None:
    path = Path("deployguard.toml")
    path.write_text(path.read_text() + "retention.scheduled = { last = 1 }\n")
    create = ("backup", "create", "--class", "scheduled", "--format", "json")
    made = {json.loads(deployguard(*create))["id"] for _ in range(2)}
    aws.fault("RemoveTagsFromResource", "denied")
    deployguard("backup", "prune", "--yes", code=3)
    assert set(listed(deployguard)) == made == set(snapshots(instance))
    aws.fault("DescribeDBSnapshots", "expired")
    deployguard("backup", "prune", "--yes", code=3)
    assert set(listed(deployguard)) == made == set(snapshots(instance))


def listed(deployguard: Shell) -> list[str]:
    return [
        one["id"]
        for one in json.loads(deployguard("backup", "list", "--format", "json"))["backups"]
    ]


def snapshots(rds: Any) -> set[str]:
    """The backups' ids on the manual snapshots."""
    found = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    tags = [{tag["Key"]: tag["Value"] for tag in one["TagList"]} for one in found]
    return {one["deployguard:id"] for one in tags}
