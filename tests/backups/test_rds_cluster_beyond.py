"""An Aurora cluster goes back in time and has its snapshots copied, as an instance does; the calls are its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site
from deployguard.backups.rds import RdsBackups
from deployguard.backups.rds_copy import copies, copy
from deployguard.backups.rds_recover import recover
from deployguard.config import BackupConfig, RdsConfig, parse_url
from deployguard.errors import BackupFailed
from tests.backups.test_rds_beyond import OTHER, ROLE, SCHEMA, THERE, key
from tests.support.aws import Aws
from tests.support.postgres import Server


@pytest.fixture
def cluster(aws: Aws) -> Iterator[Any]:
    """The cluster `bookings` with one writer; a client that asks moto itself."""
    rds = aws.client()
    rds.create_db_cluster(
        DBClusterIdentifier="bookings",
        Engine="aurora-postgresql",
        EngineVersion="16.3",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
        StorageEncrypted=True,
        BackupRetentionPeriod=7,
    )
    rds.create_db_instance(
        DBInstanceIdentifier="bookings-1",
        DBClusterIdentifier="bookings",
        Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )
    yield rds
    rds.close()


@pytest.fixture
def backups(
    tmp_path: Path, postgres_database: str, postgres_server: Server, cluster: Any
) -> Iterator[RdsBackups]:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    found = RdsBackups(
        Site(
            url=parse_url(postgres_database, "x"),
            directory=tmp_path,
            project="bookings",
            environment="production",
            config=BackupConfig(store="rds", tries=2, pause=300),
            rds=RdsConfig(cluster="bookings", timeout=600),
            address=lambda host, port: ("127.0.0.1", postgres_server.port),
            sleep=lambda _: None,
        )
    )
    yield found
    found.close()


def test_the_cluster_of_a_time_is_made_beside_with_an_instance_and_read(
    backups: RdsBackups, aws: Aws, cluster: Any
) -> None:
    [live] = cluster.describe_db_clusters()["DBClusters"]
    at = live["LatestRestorableTime"]
    aws.fault("RestoreDBClusterToPointInTime", "throttle", "lost")
    found = recover(backups, at)
    assert found.name.startswith("bookings-at-")
    assert found.beside.counts == {"alembic_version": 1, "bookings": 200}
    assert found.beside.revision == ("b014",)
    names = {one["DBClusterIdentifier"] for one in cluster.describe_db_clusters()["DBClusters"]}
    assert names == {"bookings", found.name}
    made = cluster.describe_db_instances()["DBInstances"]
    assert [one for one in made if one.get("DBClusterIdentifier") == found.name]
    calls = len(aws.asked("RestoreDBClusterToPointInTime"))
    assert recover(backups, at).name == found.name  # it is there: nothing is made anew
    assert len(aws.asked("RestoreDBClusterToPointInTime")) == calls
    assert not aws.asked("RestoreDBInstanceToPointInTime")
    assert not aws.asked("DeleteDBCluster")


def test_a_snapshot_of_a_cluster_is_copied_to_another_region(backups: RdsBackups, aws: Aws) -> None:
    made = backups.take(BackupRequest())
    rds = replace(backups.site.rds, copy_region=THERE, copy_kms_key=key(aws, THERE))
    backups.site = replace(backups.site, rds=rds)
    aws.fault("CopyDBClusterSnapshot", "503", "lost")
    done = copy(backups, made)
    assert (done.region, done.name) == (THERE, made.tools["snapshot"])
    there = aws.client("rds", THERE)
    [found] = there.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    tags = {tag["Key"]: tag["Value"] for tag in found["TagList"]}
    assert tags["deployguard:id"] == made.id
    assert copy(backups, made) == done
    assert len(there.describe_db_cluster_snapshots()["DBClusterSnapshots"]) == 1
    there.close()
    assert copies(backups, made) == (done,)


def test_another_account_may_read_a_cluster_snapshot_only_while_it_copies(
    backups: RdsBackups, aws: Aws, cluster: Any
) -> None:
    made = backups.take(BackupRequest())
    rds = replace(backups.site.rds, copy_role=ROLE, copy_kms_key="arn:aws:kms:eu-central-1:1:key/2")
    backups.site = replace(backups.site, rds=rds)
    aws.fault("CopyDBClusterSnapshot", "denied")
    with pytest.raises(BackupFailed, match="may not do rds:CopyDBClusterSnapshot"):
        copy(backups, made)
    changes = aws.asked("ModifyDBClusterSnapshotAttribute")
    added, removed = (
        [value for name, value in one.items() if name.startswith(kind)]
        for one, kind in zip(changes, ("ValuesToAdd", "ValuesToRemove"), strict=True)
    )
    assert (added, removed) == ([OTHER], [OTHER])
