"""A snapshot is brought back beside the live instance, checked, and switched by rename; a kill anywhere is finished."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, store
from deployguard.backups.base import WrittenMeanwhile
from deployguard.backups.rds import RdsBackups
from deployguard.config import BackupConfig, RdsConfig, parse_url
from deployguard.database.postgresql import PostgresDatabase
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord, Restored
from tests.support.aws import Aws
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) FROM generate_series(1, 200) i;
"""
COUNTS = {"alembic_version": 1, "bookings": 200}
KEPT = "bookings-failed-d-1"


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
        # Names under amazonaws.com lead nowhere from here: all of them are this server.
        address=lambda host, port: ("127.0.0.1", postgres_server.port),
        sleep=lambda _: None,
    )


@pytest.fixture
def backups(site: Site) -> Iterator[RdsBackups]:
    found = store(site)
    assert isinstance(found, RdsBackups)
    yield found
    found.close()


@pytest.fixture
def made(backups: RdsBackups, aws: Aws) -> BackupRecord:
    record = backups.take(BackupRequest("pre-deploy", "d-1"))
    aws.calls.clear()
    return record


def restore(backups: RdsBackups, record: BackupRecord, **more: Any) -> Restored:
    return backups.restore(record, kept_as=KEPT, on_progress=backups.site.say, **more)


def instances(rds: Any) -> dict[str, Any]:
    """Name → when it was made, which no rename changes: AWS has a resource id for that, which moto copies."""
    found = rds.describe_db_instances()["DBInstances"]
    return {one["DBInstanceIdentifier"]: one["InstanceCreateTime"] for one in found}


def test_the_restored_one_takes_the_name_and_the_former_one_is_kept(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    was = instances(instance)["bookings"]
    assert not backups.restored(made, kept_as=KEPT)
    done = restore(backups, made)
    assert (done.database, done.kept_as, done.counts) == ("bookings", KEPT, COUNTS)
    now = instances(instance)
    assert set(now) == {"bookings", KEPT}
    assert now[KEPT] == was != now["bookings"]
    assert backups.restored(made, kept_as=KEPT)
    assert not backups.restored(made, kept_as="another")
    calls = len(aws.calls)
    assert restore(backups, made).counts == COUNTS
    assert {name for name, _ in aws.calls[calls:]} == {"DescribeDBInstances"}
    assert not aws.asked("DeleteDBInstance")


def test_the_name_that_a_deploy_keeps_it_under_is_one_of_rds(backups: RdsBackups) -> None:
    assert backups.kept_name("d-20260218_10.ab") == "bookings-failed-d-20260218-10-ab"
    for wrong in ("Has-Capitals", "two--hyphens", "ends-", "1st", "x" * 64, ""):
        with pytest.raises(UsageError, match="cannot be an identifier of RDS"):
            backups.restored(replaceable(), kept_as=wrong)


def replaceable() -> BackupRecord:
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    return BackupRecord("b", "rds", "production", "x", now, "b", {}, (), {}, 0.0, "manual")


def test_groups_class_protection_tags_and_windows_are_carried_over(
    site: Site, aws: Aws, instance: Any
) -> None:
    ec2 = aws.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(
            VpcId=vpc, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-central-1{z}"
        )["Subnet"]["SubnetId"]
        for n, z in enumerate("ab")
    ]
    ec2.close()
    instance.create_db_subnet_group(
        DBSubnetGroupName="private", DBSubnetGroupDescription="x", SubnetIds=subnets
    )
    instance.create_db_parameter_group(
        DBParameterGroupName="tuned", DBParameterGroupFamily="postgres16", Description="x"
    )
    instance.create_db_instance(
        DBInstanceIdentifier="orders",
        Engine="postgres",
        EngineVersion="16.3",
        DBInstanceClass="db.m6g.large",
        AllocatedStorage=50,
        StorageType="gp3",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
        StorageEncrypted=True,
        DBSubnetGroupName="private",
        DBParameterGroupName="tuned",
        VpcSecurityGroupIds=["sg-1", "sg-2"],
        MultiAZ=True,
        DeletionProtection=True,
        EnableIAMDatabaseAuthentication=True,
        CopyTagsToSnapshot=True,
        BackupRetentionPeriod=14,
        PreferredBackupWindow="03:00-03:30",
        Tags=[{"Key": "owner", "Value": "desk"}],
    )
    backups = RdsBackups(replace(site, rds=replace(site.rds, instance="orders")))
    record = backups.take(BackupRequest())
    # What a restore takes from the snapshot, where the live one has moved on since.
    instance.modify_db_instance(
        DBInstanceIdentifier="orders", BackupRetentionPeriod=21, ApplyImmediately=True
    )
    before = instance.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]
    backups.restore(record, kept_as="orders-kept", on_progress=print)
    after = instance.describe_db_instances(DBInstanceIdentifier="orders")["DBInstances"][0]
    backups.close()
    assert after["InstanceCreateTime"] != before["InstanceCreateTime"]
    for key in (
        "DBInstanceClass",
        "MultiAZ",
        "DeletionProtection",
        "IAMDatabaseAuthenticationEnabled",
        "CopyTagsToSnapshot",
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
        "StorageType",
        "AllocatedStorage",
        "VpcSecurityGroups",
        "StorageEncrypted",
    ):
        assert after[key] == before[key], key
    assert after["DBSubnetGroup"]["DBSubnetGroupName"] == "private"
    assert after["DBParameterGroups"][0]["DBParameterGroupName"] == "tuned"
    assert after["BackupRetentionPeriod"] == 21
    tags = {tag["Key"]: tag["Value"] for tag in after["TagList"]}
    assert tags["owner"] == "desk"
    asked = aws.asked("RestoreDBInstanceFromDBSnapshot")[0]
    assert asked["DBParameterGroupName"] == "tuned"
    assert asked["DeletionProtection"] == "true"


def test_a_restored_one_that_is_not_like_the_live_one_is_not_taken_into_service(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    def other_group(arguments: dict[str, str]) -> None:
        for name in instances(instance):
            if name != "bookings":
                instance.modify_db_instance(
                    DBInstanceIdentifier=name, DBInstanceClass="db.t4g.micro", ApplyImmediately=True
                )

    aws.before["DescribeDBInstances"] = other_group
    with pytest.raises(
        BackupFailed, match=r"its class is db.t4g.micro, not db.t4g.small"
    ) as caught:
        restore(backups, made)
    assert caught.value.state == "The live database was not touched."
    assert not aws.asked("ModifyDBInstance")
    assert "bookings" in instances(instance)


def test_rows_that_differ_from_the_count_keep_it_out_of_service(
    backups: RdsBackups, made: BackupRecord, postgres_database: str, instance: Any, aws: Aws
) -> None:
    with psycopg.connect(postgres_database) as link:
        link.execute("DELETE FROM bookings WHERE id = 1")
    was = instances(instance)["bookings"]
    with pytest.raises(BackupFailed, match="bookings has 199 rows, 200 were counted") as caught:
        restore(backups, made)
    assert caught.value.state == "The live database was not touched."
    assert instances(instance)["bookings"] == was
    with psycopg.connect(postgres_database) as link:
        link.execute("INSERT INTO bookings (note) VALUES ('again')")
    restore(backups, made)  # the one that was made is taken up again
    assert len(aws.asked("RestoreDBInstanceFromDBSnapshot")) == 1


def test_one_that_cannot_be_read_is_not_taken_into_service(
    backups: RdsBackups, made: BackupRecord, instance: Any
) -> None:
    from deployguard.backups import rds_restore

    backups.site = replace(backups.site, address=None)
    was = instances(instance)["bookings"]
    with pytest.raises(BackupFailed, match="it could not be read, as the live one could"):
        rds_restore.restore(backups, made, KEPT, print, None)
    assert instances(instance)["bookings"] == was


def test_a_snapshot_that_is_gone_is_not_restored(
    backups: RdsBackups, made: BackupRecord, instance: Any, aws: Aws
) -> None:
    instance.delete_db_snapshot(DBSnapshotIdentifier=made.tools["snapshot"])
    with pytest.raises(BackupFailed, match="does not exist any more"):
        restore(backups, made)
    assert set(instances(instance)) == {"bookings"}


def test_a_name_that_is_taken_is_refused(
    backups: RdsBackups, made: BackupRecord, instance: Any
) -> None:
    instance.create_db_instance(
        DBInstanceIdentifier=KEPT, Engine="postgres", DBInstanceClass="db.t4g.small"
    )
    with pytest.raises(UsageError, match="the name to keep the live one under is taken"):
        restore(backups, made)
    assert set(instances(instance)) == {"bookings", KEPT}


def test_slow_and_unreliable_aws_is_waited_for(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    aws.fault("RestoreDBInstanceFromDBSnapshot", "throttle", "503", "lost")
    aws.fault("ModifyDBInstance", "500", "lost", "reset", "lost")
    aws.fault("DescribeDBInstances", *["pass", "throttle", "reset"] * 6)
    restore(backups, made)
    assert set(instances(instance)) == {"bookings", KEPT}


def test_a_new_one_that_fails_ends_it_at_once(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    aws.edit("DescribeDBInstances", "XXX", "")
    shown = [("available", None)] * 3
    aws.show("DescribeDBInstances", *shown)
    aws.before["RestoreDBInstanceFromDBSnapshot"] = lambda _: aws.edits.update(
        DescribeDBInstances=lambda body: (
            body.replace(">available</DBInstanceStatus", ">incompatible-network</DBInstanceStatus")
            if "-restoring-" in body
            else body
        )
    )
    with pytest.raises(BackupFailed, match="its status is incompatible-network") as caught:
        restore(backups, made)
    assert caught.value.state == "The live database was not touched."
    assert not aws.asked("ModifyDBInstance")


KILLED = """
import os, sys, datetime
from pathlib import Path
from deployguard.backups import Site, store, find
from deployguard.config import BackupConfig, RdsConfig, parse_url
port = int(sys.argv[2])
site = Site(url=parse_url(os.environ["URL"], "x"), directory=Path(sys.argv[1]), project="bookings",
            environment="production", config=BackupConfig(store="rds"), rds=RdsConfig(instance="bookings"),
            address=lambda host, p: ("127.0.0.1", port), sleep=lambda _: None)
store(site).restore(find(site.folder, "latest"), kept_as=sys.argv[3], on_progress=print)
"""


@pytest.mark.parametrize("done", ["done", "not done"])
@pytest.mark.parametrize(
    "at",
    [
        "RestoreDBInstanceFromDBSnapshot 1",
        "AddTagsToResource 1",
        "ModifyDBInstance 1",
        "ModifyDBInstance 2",
    ],
)
def test_killed_anywhere_it_is_finished_by_calling_again(
    made: BackupRecord, site: Site, aws: Aws, at: str, done: str
) -> None:
    instance, backups = aws.client(), RdsBackups(site)
    action, when = at[:-2], int(at[-1])
    was = instances(instance)["bookings"]
    port = backups.site.url.port
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(backups.site.directory), str(port), KEPT],
        env={**os.environ, "URL": backups.site.url.raw},
        stdout=subprocess.DEVNULL,
    )
    seen: list[str] = []

    def kill(arguments: dict[str, str]) -> None:
        seen.append(action)
        if len(seen) == when:
            process.kill()
            process.wait()

    aws.before[action] = kill
    aws.fault(action, *["pass"] * (when - 1), "pass" if done == "done" else "reset")
    assert process.wait(120) == -signal.SIGKILL
    aws.settle()  # the killed process's request may still be handed on
    aws.before.clear()
    restore(backups, made)
    now = instances(instance)
    assert set(now) == {"bookings", KEPT}
    assert now[KEPT] == was != now["bookings"]
    instance.close()
    backups.close()


def test_the_live_name_is_waited_for_until_it_leads_to_the_restored_one(
    backups: RdsBackups, made: BackupRecord, aws: Aws, postgres_database: str
) -> None:
    told: list[str] = []

    def at(revision: str) -> None:
        with psycopg.connect(postgres_database) as link:
            link.execute("UPDATE alembic_version SET version_num = %s", [revision])

    def renamed(arguments: dict[str, str]) -> None:
        if arguments["NewDBInstanceIdentifier"] == "bookings":
            at("b019")  # what the former one answers with

    def say(line: str) -> None:
        told.append(line)
        if len([one for one in told if "waiting until" in one]) == 3:
            at("b014")

    aws.before["ModifyDBInstance"] = renamed
    backups.restore(made, kept_as=KEPT, on_progress=say)
    assert len([one for one in told if "waiting until 127.0.0.1 leads" in one]) == 3


def test_between_the_renames_the_error_says_that_nothing_answers(
    backups: RdsBackups, made: BackupRecord, aws: Aws, instance: Any
) -> None:
    aws.fault("ModifyDBInstance", "pass", "denied")
    with pytest.raises(BackupFailed, match="ModifyDBInstance") as caught:
        restore(backups, made)
    assert f"is kept as {KEPT}" in caught.value.state
    assert "nothing answers there" in caught.value.state
    restore(backups, made)
    assert set(instances(instance)) == {"bookings", KEPT}


def test_automatic_only_when_nobody_has_written_and_then_nobody_can(
    backups: RdsBackups, made: BackupRecord, instance: Any, postgres_database: str
) -> None:
    with PostgresDatabase(backups.site.url) as database:
        still = database.stillness()
    with psycopg.connect(postgres_database) as link:
        link.execute("UPDATE bookings SET note = 'new' WHERE id = 7")
    was = instances(instance)["bookings"]
    with pytest.raises(WrittenMeanwhile, match=r"Up to 1 row\(s\)"):
        restore(backups, made, still=still)
    assert instances(instance)["bookings"] == was
    psycopg.connect(postgres_database).close()
    with PostgresDatabase(backups.site.url) as database:
        still = database.stillness()
    restore(backups, made, still=still)
    # here the kept and the restored server are one: it is the kept one's database that is shut
    with pytest.raises(psycopg.OperationalError, match="not currently accepting connections"):
        psycopg.connect(postgres_database)


def test_a_rename_that_is_refused_lets_everybody_in_again(
    backups: RdsBackups, made: BackupRecord, aws: Aws, postgres_database: str
) -> None:
    with PostgresDatabase(backups.site.url) as database:
        still = database.stillness()
    aws.fault("ModifyDBInstance", "denied")
    with pytest.raises(BackupFailed) as caught:
        restore(backups, made, still=still)
    assert caught.value.state == "The live database was not touched."
    psycopg.connect(postgres_database).close()


def test_a_backup_whose_database_was_not_read_is_restored_by_a_person(
    site: Site, instance: Any
) -> None:
    backups = RdsBackups(replace(site, url=site.url.at("127.0.0.1", 1), address=None))
    record = backups.take(BackupRequest())
    with pytest.raises(UsageError, match="Restore the snapshot by hand"):
        restore(backups, record)
    backups.close()


def test_a_cluster_is_restored_with_its_instances_and_switched(
    site: Site, aws: Aws, instance: Any
) -> None:
    instance.create_db_cluster(
        DBClusterIdentifier="orders",
        Engine="aurora-postgresql",
        EngineVersion="16.3",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
        DeletionProtection=True,
        BackupRetentionPeriod=9,
        Tags=[{"Key": "owner", "Value": "desk"}],
    )
    for name, size in (("orders-a", "db.r6g.large"), ("orders-b", "db.r6g.xlarge")):
        instance.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier="orders",
            Engine="aurora-postgresql",
            DBInstanceClass=size,
        )
    backups = RdsBackups(replace(site, rds=RdsConfig(cluster="orders", timeout=600)))
    record = backups.take(BackupRequest())
    aws.fault("RestoreDBClusterFromSnapshot", "lost")
    aws.fault("CreateDBInstance", "lost")
    aws.fault("ModifyDBCluster", "throttle", "lost")
    done = backups.restore(record, kept_as="orders-kept", on_progress=print)
    assert done.counts == COUNTS
    assert backups.restored(record, kept_as="orders-kept")
    backups.close()
    found = {
        one["DBClusterIdentifier"]: one for one in instance.describe_db_clusters()["DBClusters"]
    }
    assert set(found) == {"orders", "orders-kept"}
    assert found["orders"]["DeletionProtection"] is True
    assert found["orders"]["BackupRetentionPeriod"] == 9
    tags = {tag["Key"]: tag["Value"] for tag in found["orders"]["TagList"]}
    assert tags["owner"] == "desk"
    assert "deployguard:restore" in tags
    asked = aws.asked("CreateDBInstance")
    assert [one["DBInstanceClass"] for one in asked[1:]] == ["db.r6g.large", "db.r6g.xlarge"]
    classes = {
        one["DBInstanceIdentifier"]: one["DBInstanceClass"]
        for one in instance.describe_db_instances()["DBInstances"]
        if "-restoring-" in one["DBInstanceIdentifier"]
    }
    assert sorted(classes.values()) == ["db.r6g.large", "db.r6g.xlarge"]
