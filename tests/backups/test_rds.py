"""Snapshots of RDS and Aurora over HTTP: patient, adopted rather than doubled, and never trusted without a look."""

import json
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, catalogue, sealed, store
from deployguard.backups.rds import RdsBackups
from deployguard.backups.rds_sweep import OWNER
from deployguard.config import BackupConfig, RdsConfig, parse_url
from deployguard.errors import BackupFailed, DeployguardError, EnvironmentUnreachable, UsageError
from tests.support import aws as support
from tests.support.aws import Aws

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) FROM generate_series(1, 200) i;
"""
COUNTS = {"alembic_version": 1, "bookings": 200}


@pytest.fixture
def site(tmp_path: Path, postgres_database: str, instance: Any) -> Site:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    return Site(
        url=parse_url(postgres_database, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(store="rds", tries=2, pause=300),
        rds=RdsConfig(instance="bookings", tags=("team=booking desk",)),
        sleep=lambda _: None,
    )


@pytest.fixture
def backups(site: Site) -> Iterator[RdsBackups]:
    yield from open_store(site)


def open_store(site: Site) -> Iterator[RdsBackups]:
    found = store(site)
    assert isinstance(found, RdsBackups)
    yield found
    found.close()


def snapshots(rds: Any) -> dict[str, dict[str, str]]:
    """Name → tags of every manual snapshot."""
    found = rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
    return {
        one["DBSnapshotIdentifier"]: {tag["Key"]: tag["Value"] for tag in one["TagList"]}
        for one in found
    }


def folder(site: Site) -> set[str]:
    return {path.name for path in site.folder.iterdir()} - {".busy", ".gitignore", OWNER}


def test_a_snapshot_is_taken_tagged_sealed_and_verified(
    backups: RdsBackups, site: Site, instance: Any
) -> None:
    made = backups.take(BackupRequest("pre-deploy", "d-1", "c0ffee"))
    assert (made.store, made.counts, made.revision) == ("rds", COUNTS, ("b014",))
    assert (made.reason, made.deploy, made.tools["engine"]) == (
        "pre-deploy",
        "d-1",
        "postgres 16.3",
    )
    [(name, tags)] = snapshots(instance).items()
    assert name == f"before-migration-{made.created:%Y%m%d-%H%M%S}" == made.tools["snapshot"]
    assert tags.pop("deployguard:sealed")
    assert tags.pop("deployguard:folder")
    assert tags == {
        "team": "booking desk",
        "deployguard:id": made.id,
        "deployguard:project": "bookings",
        "deployguard:environment": "production",
        "deployguard:class": "pre-deploy",
        "deployguard:deploy": "d-1",
        "deployguard:revision": "b014",
    }
    found = backups.verify(made)
    assert found.ok, found.evidence
    assert any("nobody wrote meanwhile" in line for line in found.evidence)
    assert any("only a restore proves" in line for line in found.evidence)
    assert catalogue.listing(site.folder).records == (made,)
    assert catalogue.find(site.folder, "d-1") == made
    assert catalogue.verification(site.folder, made) == found
    kept = list((site.folder / made.id).iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    facts = json.loads((site.folder / made.id / "snapshot.json").read_bytes())
    assert facts["arn"] == f"arn:aws:rds:eu-central-1:{support.ACCOUNT}:snapshot:{name}"
    assert facts["encrypted"] is True


def test_creation_is_watched_with_its_progress(site: Site, aws: Aws) -> None:
    told: list[str] = []
    [backups] = open_store(replace(site, say=told.append))
    aws.show("DescribeDBSnapshots", ("available", None))  # the sweep's look
    aws.show(
        "DescribeDBSnapshots", ("creating", 0), ("creating", 45), ("creating", 45), ("creating", 90)
    )
    made = backups.take(BackupRequest())
    name = made.tools["snapshot"]
    assert [line for line in told if "creating" in line] == [
        f"snapshot {name}: creating, {percent} %" for percent in (0, 45, 90)
    ]


def test_throttling_errors_and_lost_connections_are_waited_out(
    backups: RdsBackups, aws: Aws, instance: Any
) -> None:
    trouble = ("throttle", "500", "503", "reset", "throttle")
    for action in (
        "DescribeDBInstances",
        "DescribeDBSnapshots",
        "CreateDBSnapshot",
        "AddTagsToResource",
    ):
        aws.fault(action, *trouble)
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    assert list(snapshots(instance)) == [made.tools["snapshot"]]
    assert len(aws.asked("CreateDBSnapshot")) == 6


def test_a_lost_answer_does_not_double_the_snapshot(
    backups: RdsBackups, aws: Aws, instance: Any
) -> None:
    aws.fault("CreateDBSnapshot", "lost", "lost")
    made = backups.take(BackupRequest())
    assert list(snapshots(instance)) == [made.tools["snapshot"]]
    assert backups.verify(made).ok


def test_a_name_that_somebody_else_has_is_left_to_them(site: Site, instance: Any) -> None:
    at = site.now().replace(microsecond=0)
    name = f"before-migration-{at:%Y%m%d-%H%M%S}"
    instance.create_db_snapshot(DBInstanceIdentifier="bookings", DBSnapshotIdentifier=name)
    [backups] = open_store(replace(site, now=lambda: at))
    made = backups.take(BackupRequest())
    assert made.tools["snapshot"] == f"{name}-{made.id[-4:]}"
    assert snapshots(instance)[name] == {}


def test_a_failed_snapshot_fails_at_once_and_is_deleted(
    backups: RdsBackups, site: Site, aws: Aws, instance: Any
) -> None:
    aws.show("DescribeDBSnapshots", ("available", None), ("creating", 3), ("failed", 3))
    with pytest.raises(BackupFailed, match="its status is failed"):
        backups.take(BackupRequest())
    assert snapshots(instance) == {}
    assert len(aws.asked("CreateDBSnapshot")) == 1
    assert folder(site) == set()
    assert catalogue.listing(site.folder).records == ()


def test_a_snapshot_that_does_not_move_is_given_up(site: Site, aws: Aws, instance: Any) -> None:
    aws.edit("DescribeDBSnapshots", "<Status>available", "<Status>creating")
    [backups] = open_store(replace(site, rds=replace(site.rds, timeout=60)))
    with pytest.raises(BackupFailed, match="has not moved for"):
        backups.take(BackupRequest())
    assert folder(site) == set()


def test_an_outage_is_tried_again_and_the_first_snapshot_is_taken_over(
    site: Site, aws: Aws, instance: Any
) -> None:
    told: list[str] = []
    [backups] = open_store(replace(site, say=told.append))
    aws.fault("DescribeDBSnapshots", "pass", *["503"] * 26)
    made = backups.take(BackupRequest())
    assert any("Trying again in 300 seconds" in line for line in told)
    assert list(snapshots(instance)) == [made.tools["snapshot"]]
    assert backups.verify(made).ok


def test_an_outage_that_stays_leaves_nothing_listed(
    site: Site, backups: RdsBackups, aws: Aws, instance: Any
) -> None:
    aws.fault("CreateDBSnapshot", *["500"] * 200)
    with pytest.raises(BackupFailed, match="It was tried 2 times"):
        backups.take(BackupRequest())
    assert (folder(site), snapshots(instance)) == (set(), {})


def test_rows_written_meanwhile_are_told(site: Site, postgres_database: str, aws: Aws) -> None:
    def write(arguments: dict[str, str]) -> None:
        with psycopg.connect(postgres_database) as link:
            link.execute("INSERT INTO bookings (note) VALUES ('meanwhile')")

    aws.before["CreateDBSnapshot"] = write
    [backups] = open_store(site)
    found = backups.verify(backups.take(BackupRequest()))
    assert any("up to 1 rows were written meanwhile" in line for line in found.evidence)


def test_without_the_database_the_snapshot_counts_and_says_that_it_was_not_counted(
    site: Site,
) -> None:
    [backups] = open_store(replace(site, url=site.url.at("127.0.0.1", 1)))
    made = backups.take(BackupRequest())
    assert (made.counts, made.revision) == ({}, ())
    found = backups.verify(made)
    assert found.ok
    assert any("its rows were not counted" in line for line in found.evidence)


def test_a_snapshot_that_is_gone_or_another_is_no_backup(
    backups: RdsBackups, aws: Aws, instance: Any
) -> None:
    made = backups.take(BackupRequest())
    name = made.tools["snapshot"]
    for pattern, text, problem in [
        ("<Status>available", "<Status>deleting", "is deleting, not available"),
        ("<Encrypted>true", "<Encrypted>false", "whether it is encrypted was True and is False"),
        ("<AllocatedStorage>20", "<AllocatedStorage>10", r"its storage \(GB\) was 20"),
        ("<Engine>postgres", "<Engine>mysql", "its engine was postgres"),
        (f"<Value>{made.id}", "<Value>other", "the tag of another backup"),
    ]:
        aws.edit("DescribeDBSnapshots", pattern, text)
        found = backups.verify(made)
        assert not found.ok
        assert problem.replace("\\", "") in found.evidence[0]
        aws.edits.clear()
    instance.delete_db_snapshot(DBSnapshotIdentifier=name)
    instance.create_db_snapshot(
        DBInstanceIdentifier="bookings",
        DBSnapshotIdentifier=name,
        Tags=[{"Key": "deployguard:id", "Value": made.id}],
    )
    assert "when it was taken" in backups.verify(made).evidence[0]
    instance.delete_db_snapshot(DBSnapshotIdentifier=name)
    found = backups.verify(made)
    assert (found.ok, found.evidence[0]) == (False, f"the snapshot {name} does not exist any more")


def test_when_aws_cannot_be_asked_a_backup_is_not_called_bad(backups: RdsBackups, aws: Aws) -> None:
    made = backups.take(BackupRequest())
    aws.fault("DescribeDBSnapshots", *["503"] * 100)
    with pytest.raises(EnvironmentUnreachable, match="503"):
        backups.verify(made)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"cluster": "other"}, UsageError, "needs .rds. instance or .rds. cluster"),
        ({"instance": ""}, UsageError, "needs .rds. instance or .rds. cluster"),
        ({"instance": "no_such"}, UsageError, "not an identifier"),
        (
            {"instance": "elsewhere"},
            BackupFailed,
            "There is no RDS instance elsewhere in eu-central-1",
        ),
        ({"snapshot": "same"}, UsageError, "needs {time}"),
        ({"snapshot": "{time}-{what}"}, UsageError, "does not know {what}"),
        ({"tags": ("deployguard:id=x",)}, UsageError, "not yours to set"),
    ],
)
def test_a_configuration_that_cannot_be_right_is_refused(
    site: Site, change: dict[str, Any], error: type[DeployguardError], said: str
) -> None:
    with pytest.raises(error, match=said):
        store(replace(site, rds=replace(site.rds, **change))).preflight()


@pytest.mark.parametrize("state", ["stopped", "storage-full", "deleting", "a-new-one"])
def test_an_instance_of_which_no_snapshot_can_be_taken_is_refused_before_asking(
    backups: RdsBackups, aws: Aws, state: str
) -> None:
    aws.edit("DescribeDBInstances", "<DBInstanceStatus>available", f"<DBInstanceStatus>{state}")
    with pytest.raises(BackupFailed, match=f"bookings is {state}"):
        backups.take(BackupRequest())
    assert not aws.asked("CreateDBSnapshot")


def test_a_state_that_passes_is_waited_for(backups: RdsBackups, aws: Aws) -> None:
    aws.show("DescribeDBInstances", *[("backing-up", None)] * 3)
    backups.take(BackupRequest())
    names = [name for name, _ in aws.calls]
    assert names[: names.index("CreateDBSnapshot")].count("DescribeDBInstances") == 4


def test_another_engine_and_another_host_are_refused(site: Site, instance: Any) -> None:
    elsewhere = site.url.at("bookings.abc123.eu-central-1.rds.amazonaws.com", 5432)
    with pytest.raises(UsageError, match="must be what is migrated"):
        store(replace(site, url=elsewhere)).preflight()
    mysql = parse_url("mysql://app@127.0.0.1/bookings", "x")
    with pytest.raises(UsageError, match="runs postgres, and the database URL is of mysql"):
        store(replace(site, url=mysql)).preflight()
    [told, address] = [[], instance.describe_db_instances()["DBInstances"][0]["Endpoint"]]
    right = replace(site, url=site.url.at(address["Address"], 5432), say=told.append)
    store(right).preflight()
    assert told == []
    store(replace(site, say=told.append)).preflight()
    assert "nothing shows that 127.0.0.1 leads to the instance bookings" in told[0]


def test_missing_rights_and_expired_credentials_say_what_to_do(
    backups: RdsBackups, aws: Aws
) -> None:
    aws.fault("CreateDBSnapshot", "denied")
    with pytest.raises(BackupFailed, match=r"may not do rds:CreateDBSnapshot; docs/rds.md"):
        backups.take(BackupRequest())
    aws.fault("CreateDBSnapshot", "expired")
    with pytest.raises(BackupFailed, match="wrong or have expired"):
        backups.take(BackupRequest())


def test_no_secret_is_in_errors_logs_and_files(
    site: Site, aws: Aws, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    told: list[str] = []
    [backups] = open_store(replace(site, say=told.append))
    backups.take(BackupRequest())
    for fault in ("signature", "expired"):
        aws.fault("CreateDBSnapshot", fault)
        with pytest.raises(BackupFailed) as caught:
            backups.take(BackupRequest())
        told.append(f"{caught.value!r} {caught.value.message}")
    everything = "\n".join([*told, caplog.text])
    everything += "".join(path.read_text() for path in site.folder.rglob("*") if path.is_file())
    assert "***" in everything
    for secret in (support.SECRET, support.KEY, support.TOKEN, site.url.password):
        assert secret not in everything


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from deployguard.backups import BackupRequest, Site, store
from deployguard.config import BackupConfig, RdsConfig, parse_url
site = Site(url=parse_url(os.environ["URL"], "x"), directory=Path(sys.argv[1]), project="bookings",
            environment="production", config=BackupConfig(store="rds"), rds=RdsConfig(instance="bookings"),
            sleep=lambda _: None)
store(site).take(BackupRequest())
"""


def killed_at(site: Site, aws: Aws, action: str, when: int = 1) -> None:
    """Take a backup in a process that is killed while it asks for ``action``."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(site.directory)],
        env={**os.environ, "URL": site.url.raw},
    )
    seen: list[str] = []

    def kill(arguments: dict[str, str]) -> None:
        seen.append(action)
        if len(seen) == when:
            process.kill()
            process.wait()

    aws.before[action] = kill
    assert process.wait(120) == -signal.SIGKILL
    aws.settle()  # the killed process's request may still be handed on
    aws.before.clear()


@pytest.mark.parametrize(
    ("action", "when"),
    [("DescribeDBInstances", 1), ("CreateDBSnapshot", 1), ("DescribeDBSnapshots", 2)],
)
def test_what_a_killed_attempt_asked_for_is_deleted_by_the_next(
    site: Site, aws: Aws, instance: Any, action: str, when: int
) -> None:
    killed_at(site, aws, action, when)
    assert catalogue.listing(site.folder).records == ()
    [backups] = open_store(site)
    made = backups.take(BackupRequest())
    assert list(snapshots(instance)) == [made.tools["snapshot"]]
    assert backups.verify(made).ok
    assert folder(site) == {made.id}


def test_killed_after_sealing_it_counts_and_stays(site: Site, aws: Aws, instance: Any) -> None:
    killed_at(site, aws, "AddTagsToResource")
    [first] = catalogue.listing(site.folder).records
    [backups] = open_store(site)
    assert backups.sweep() == ()
    assert backups.verify(first).ok
    assert snapshots(instance)[first.tools["snapshot"]]["deployguard:sealed"]


def test_a_sweep_leaves_what_is_being_written_what_is_another_machines_and_what_is_not_ours(
    site: Site, tmp_path: Path, aws: Aws, instance: Any
) -> None:
    swept: list[tuple[str, ...]] = []
    told: list[str] = []

    def meanwhile(arguments: dict[str, str]) -> None:
        if len(aws.asked("DescribeDBSnapshots")) == 2:  # the first look after it was asked for
            [second] = open_store(site)
            swept.append(second.sweep())
            elsewhere = tmp_path / "elsewhere"
            elsewhere.mkdir()
            [third] = open_store(replace(site, directory=elsewhere, say=told.append))
            (elsewhere / ".deployguard" / "backups").mkdir(parents=True)
            swept.append(third.sweep())

    instance.create_db_snapshot(DBInstanceIdentifier="bookings", DBSnapshotIdentifier="by-hand")
    aws.before["DescribeDBSnapshots"] = meanwhile
    [backups] = open_store(site)
    made = backups.take(BackupRequest())
    assert swept == [(), ()]
    assert set(snapshots(instance)) == {"by-hand", made.tools["snapshot"]}


def test_another_machines_old_unfinished_snapshot_is_named(site: Site, instance: Any) -> None:
    instance.create_db_snapshot(
        DBInstanceIdentifier="bookings",
        DBSnapshotIdentifier="left",
        Tags=[{"Key": "deployguard:id", "Value": "x"}, {"Key": "deployguard:folder", "Value": "y"}],
    )
    told: list[str] = []
    [backups] = open_store(replace(site, say=told.append))
    site.folder.mkdir(parents=True)
    assert backups.sweep() == ()
    assert told == []
    later = site.now() + timedelta(days=3)
    [backups] = open_store(replace(site, say=told.append, now=lambda: later))
    assert backups.sweep() == ()
    assert "aws rds delete-db-snapshot --db-snapshot-identifier left" in told[0]
    assert list(snapshots(instance)) == ["left"]


def test_a_cluster_is_backed_up_as_one(site: Site, aws: Aws, instance: Any) -> None:
    instance.create_db_cluster(
        DBClusterIdentifier="bookings-cluster",
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="not-a-secret-1",
    )
    instance.create_db_instance(
        DBInstanceIdentifier="member",
        DBClusterIdentifier="bookings-cluster",
        Engine="aurora-postgresql",
        DBInstanceClass="db.r6g.large",
    )
    with pytest.raises(UsageError, match=r'set .rds. cluster = "bookings-cluster"'):
        store(replace(site, rds=RdsConfig(instance="member"))).preflight()
    [backups] = open_store(replace(site, rds=RdsConfig(cluster="bookings-cluster")))
    aws.fault("CreateDBClusterSnapshot", "lost")
    made = backups.take(BackupRequest())
    found = backups.verify(made)
    assert found.ok, found.evidence
    [one] = instance.describe_db_cluster_snapshots(SnapshotType="manual")["DBClusterSnapshots"]
    assert one["DBClusterSnapshotIdentifier"] == made.tools["snapshot"]
    instance.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier=made.tools["snapshot"])
    assert not backups.verify(made).ok


def test_the_missing_extra_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(EnvironmentUnreachable, match="needs boto3") as caught:
        store(site).preflight()
    assert caught.value.next_commands == ("pip install 'deployguard[aws]'",)


def test_a_full_disk_leaves_no_snapshot(site: Site, instance: Any) -> None:
    [backups] = open_store(site)
    told: Callable[..., Any] = sealed.seal

    def full(*arguments: Any) -> Any:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealed, "seal", full)
        with pytest.raises(BackupFailed, match="is full"):
            backups.take(BackupRequest())
    assert sealed.seal is told
    assert backups.sweep() == () or snapshots(instance) == {}
    assert snapshots(instance) == {}


def test_a_snapshot_that_was_released_is_sealed_again_unless_its_backup_is_gone(
    backups: RdsBackups, site: Site, instance: Any
) -> None:
    made = backups.take(BackupRequest())
    delete = backups.release(made)
    [tags] = snapshots(instance).values()
    assert "deployguard:sealed" not in tags
    assert backups.sweep() == ()  # killed before it was unlisted: it stays
    [tags] = snapshots(instance).values()
    assert tags["deployguard:sealed"]
    backups.release(made)
    (site.folder / made.id).rename(site.folder / ".elsewhere")
    assert backups.sweep() == (made.tools["snapshot"],)  # killed after it: the next sweep deletes
    delete()  # gone already
    assert snapshots(instance) == {}


def test_a_snapshot_in_another_region_is_not_called_gone(backups: RdsBackups, site: Site) -> None:
    made = backups.take(BackupRequest())
    moved = replace(site, rds=replace(site.rds, region="eu-west-1"))
    for elsewhere in open_store(moved):
        with pytest.raises(UsageError, match="a snapshot in eu-central-1"):
            elsewhere.verify(made)
        with pytest.raises(BackupFailed, match="lies in eu-central-1"):
            elsewhere.release(made)
    assert catalogue.verification(site.folder, made) is None
    assert backups.verify(made).ok
