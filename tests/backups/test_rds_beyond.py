"""Going back in time, copies in other regions and accounts, and exports to S3."""

import json
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site
from deployguard.backups.rds import RdsBackups
from deployguard.backups.rds_copy import copies, copy, destination
from deployguard.backups.rds_export import export
from deployguard.backups.rds_recover import recover, refuse_time, window
from deployguard.backups.rds_source import CLUSTER, INSTANCE
from deployguard.config import BackupConfig, RdsConfig, parse_url
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord
from tests.support.aws import Aws
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) FROM generate_series(1, 200) i;
"""
NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
THERE = "eu-west-1"
OTHER = "210987654321"
ROLE = f"arn:aws:iam::{OTHER}:role/backup-copies"


@pytest.fixture
def site(tmp_path: Path, postgres_database: str, postgres_server: Server, instance: Any) -> Site:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    return Site(
        url=parse_url(postgres_database, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(store="rds", tries=2, pause=300),
        rds=RdsConfig(instance="bookings", timeout=600),
        address=lambda host, port: ("127.0.0.1", postgres_server.port),
        sleep=lambda _: None,
    )


@pytest.fixture
def backups(site: Site) -> Iterator[RdsBackups]:
    found = RdsBackups(site)
    yield found
    found.close()


@pytest.fixture
def made(backups: RdsBackups, aws: Aws) -> BackupRecord:
    record = backups.take(BackupRequest())
    aws.calls.clear()
    return record


def configured(backups: RdsBackups, **keys: str) -> RdsBackups:
    backups.site = replace(backups.site, rds=replace(backups.site.rds, **keys))
    return backups


# --- a time ----------------------------------------------------------------------------------------


def test_the_window_is_what_aws_tells_and_else_what_cannot_be_earlier() -> None:
    day, latest = timedelta(days=1), NOW - timedelta(minutes=5)
    told = {"LatestRestorableTime": latest, "BackupRetentionPeriod": 7}
    backup = {"RestoreWindow": {"EarliestTime": NOW - 3 * day}}
    assert window(INSTANCE, told, backup) == (NOW - 3 * day, latest)
    assert window(INSTANCE, {**told, "InstanceCreateTime": NOW - day}, None) == (NOW - day, latest)
    assert window(INSTANCE, {**told, "InstanceCreateTime": NOW - 99 * day}, {}) == (
        latest - 7 * day,
        latest,
    )
    cluster = {**told, "EarliestRestorableTime": NOW - 2 * day}
    assert window(CLUSTER, cluster, None) == (NOW - 2 * day, latest)
    for nothing in ({**told, "BackupRetentionPeriod": 0}, {"BackupRetentionPeriod": 7}):
        with pytest.raises(UsageError, match="no automatic backups"):
            window(INSTANCE, nothing, None)


@pytest.mark.parametrize("hours", [-1, 3])
def test_a_time_out_of_reach_is_refused(hours: int) -> None:
    with pytest.raises(UsageError, match="from 2026-02-18 10:30:00 UTC to 2026-02-18 12:30:00 UTC"):
        refuse_time(NOW + timedelta(hours=hours), NOW, NOW + timedelta(hours=2))


def test_the_one_of_a_time_is_made_beside_and_read(
    backups: RdsBackups, site: Site, aws: Aws, instance: Any
) -> None:
    instance.modify_db_instance(
        DBInstanceIdentifier="bookings", BackupRetentionPeriod=7, ApplyImmediately=True
    )
    [live] = instance.describe_db_instances()["DBInstances"]
    at = live["LatestRestorableTime"]
    with pytest.raises(UsageError, match="is out of reach"):
        recover(backups, datetime(1999, 1, 1, tzinfo=UTC))
    assert not aws.asked("RestoreDBInstanceToPointInTime")
    aws.fault("RestoreDBInstanceToPointInTime", "throttle", "lost")
    found = recover(backups, at)
    assert found.name == f"bookings-at-{at.astimezone(UTC):%Y%m%d-%H%M%S}"
    assert found.beside.counts == {"alembic_version": 1, "bookings": 200}
    assert found.beside.revision == ("b014",)
    names = {one["DBInstanceIdentifier"] for one in instance.describe_db_instances()["DBInstances"]}
    assert names == {"bookings", found.name}
    [asked, *_] = aws.asked("RestoreDBInstanceToPointInTime")
    assert asked["DBInstanceClass"] == "db.t4g.small"
    calls = len(aws.asked("RestoreDBInstanceToPointInTime"))
    assert recover(backups, at).name == found.name  # it is there: nothing is made anew
    assert len(aws.asked("RestoreDBInstanceToPointInTime")) == calls
    assert not aws.asked("DeleteDBInstance")


# --- copies ----------------------------------------------------------------------------------------


def test_where_a_copy_goes() -> None:
    here = "eu-central-1"
    assert destination(THERE, "", "key", here=here, encrypted=True) == (THERE, "")
    assert destination("", ROLE, "key", here=here, encrypted=True) == (here, OTHER)
    assert destination(THERE, ROLE, "", here=here, encrypted=False) == (THERE, OTHER)
    for wrong, said in [
        ((here, "", "key"), "must name another region"),
        (("", "", "key"), "must name another region"),
        ((THERE, "role", "key"), "is not the ARN of a role"),
        ((THERE, "", ""), "copy_kms_key must name a key"),
    ]:
        with pytest.raises(UsageError, match=said):
            destination(*wrong, here=here, encrypted=True)


def key(aws: Aws, region: str, account: str = "") -> str:
    kms = aws.client("kms", region, account) if account else aws.client("kms", region)
    found = str(kms.create_key()["KeyMetadata"]["Arn"])
    kms.close()
    return found


def test_a_copy_in_another_region_is_waited_for_compared_and_written_down(
    backups: RdsBackups, made: BackupRecord, aws: Aws, site: Site
) -> None:
    configured(backups, copy_region=THERE, copy_kms_key=key(aws, THERE))
    aws.fault("CopyDBSnapshot", "503", "lost")
    done = copy(backups, made)
    assert (done.region, done.account, done.name) == (THERE, "", made.tools["snapshot"])
    rds = aws.client("rds", THERE)
    [found] = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    tags = {tag["Key"]: tag["Value"] for tag in found["TagList"]}
    assert tags["deployguard:id"] == made.id
    assert tags["deployguard:copy-of"].endswith(made.tools["snapshot"])
    assert copy(backups, made) == done
    assert len(rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]) == 1
    rds.close()
    assert copies(backups, made) == (done,)
    path = site.folder / made.id / "copies.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["copies"][0]["region"] == THERE


def test_a_copy_that_fails_is_said_and_not_written_down(
    backups: RdsBackups, made: BackupRecord, aws: Aws
) -> None:
    configured(backups, copy_region=THERE, copy_kms_key=key(aws, THERE))
    aws.show(
        "DescribeDBSnapshots",
        ("available", None),
        ("available", None),
        ("copying", 5),
        ("failed", 5),
    )
    with pytest.raises(BackupFailed, match="its status is failed"):
        copy(backups, made)
    assert copies(backups, made) == ()


def test_another_account_may_read_the_snapshot_only_while_it_copies(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    configured(backups, copy_role=ROLE, copy_kms_key="arn:aws:kms:eu-central-1:1:key/2")
    name = made.tools["snapshot"]
    shared: list[list[str]] = []

    def look(arguments: dict[str, str]) -> None:
        found = instance.describe_db_snapshot_attributes(DBSnapshotIdentifier=name)
        attributes = found["DBSnapshotAttributesResult"]["DBSnapshotAttributes"]
        shared.append([v for one in attributes for v in one["AttributeValues"]])

    aws.before["CopyDBSnapshot"] = look
    aws.fault("CopyDBSnapshot", "denied")
    with pytest.raises(BackupFailed, match="may not do rds:CopyDBSnapshot"):
        copy(backups, made)
    look({})
    assert shared == [[OTHER], []]
    [asked] = aws.asked("AssumeRole")
    assert asked["RoleArn"] == ROLE


def test_a_backup_that_does_not_count_is_not_copied(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    configured(backups, copy_region=THERE, copy_kms_key=key(aws, THERE))
    instance.delete_db_snapshot(DBSnapshotIdentifier=made.tools["snapshot"])
    with pytest.raises(BackupFailed, match="does not count"):
        copy(backups, made)
    assert not aws.asked("CopyDBSnapshot")


# --- exports ---------------------------------------------------------------------------------------


def test_an_export_is_waited_for(backups: RdsBackups, made: BackupRecord, aws: Aws) -> None:
    told: list[str] = []
    with pytest.raises(UsageError, match=r"needs .rds. export_bucket, export_role, export_kms_key"):
        export(backups, made)
    configured(
        backups,
        export_bucket="exports",
        export_prefix="/bookings/",
        export_role="arn:aws:iam::123456789012:role/export",
        export_kms_key=key(aws, "eu-central-1"),
    )
    backups.site = replace(backups.site, say=told.append)
    aws.edit("DescribeExportTasks", "<Status>complete", "<Status>IN_PROGRESS")
    looks: list[int] = []

    def look(arguments: dict[str, str]) -> None:
        looks.append(1)
        if len(looks) == 3:
            aws.edits.clear()

    aws.before["DescribeExportTasks"] = look
    aws.fault("StartExportTask", "500", "lost")
    done = export(backups, made)
    assert done.place == f"s3://exports/bookings/{made.tools['snapshot']}-export"
    assert f"export {done.name}: in-progress" in told[-1]
    assert export(backups, made) == done  # taken over, not made again
    aws.edit("DescribeExportTasks", "<Status>complete", "<Status>FAILED")
    with pytest.raises(BackupFailed, match="its status is failed"):
        export(backups, made)
