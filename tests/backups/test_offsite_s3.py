"""S3 against moto's server over HTTP, behind a proxy that drops, refuses, hangs, truncates and damages.

moto takes a wrong checksum without a word, which Amazon would not: what arrives damaged must be found by us.
"""

import os
import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from deployguard.backups import offsite_notes, offsite_parts, sealed
from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_base import Source
from deployguard.backups.offsite_s3 import S3Store
from deployguard.errors import BackupFailed, DeployguardError, EnvironmentUnreachable
from tests.backups.copying import FIRST, make, make_many, place, same
from tests.support import objects

MEGA = 1 << 20
PART = 5 * MEGA  # the least that S3 takes
SIZE = 2 * PART + 3000  # three parts
DATA = f"/{FIRST}/data"


@pytest.fixture(scope="module")
def s3() -> Iterator[objects.FaultProxy]:
    with objects.moto_server() as port, objects.fault_proxy(port) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def credentials(s3: objects.FaultProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in objects.CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    s3.clear()


@pytest.fixture
def aws(s3: objects.FaultProxy) -> Any:
    """A client that goes past the proxy."""
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{s3.target}")


@pytest.fixture
def bucket(aws: Any) -> str:
    name = f"bucket-{os.urandom(4).hex()}"
    aws.create_bucket(Bucket=name)
    return name


@pytest.fixture
def locked(aws: Any) -> str:
    name = f"locked-{os.urandom(4).hex()}"
    aws.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def at(s3: objects.FaultProxy, bucket: str, folder: Path, **keys: object) -> Offsite:
    given = {"endpoint_url": s3.url, "timeout": 20, "tries": 2} | keys
    said = given.pop("said", None)
    found = place(folder, f"s3://{bucket}/deep/prefix", said, **given)  # type: ignore[arg-type]
    store = found.store
    assert isinstance(store, S3Store)
    store.part_bytes = PART
    return found


def keys(aws: Any, bucket: str) -> list[str]:
    return sorted(one["Key"] for one in aws.list_objects_v2(Bucket=bucket).get("Contents", ()))


def test_a_copy_in_parts_is_listed_fetched_and_deleted(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path / "here", SIZE)
    there = at(s3, bucket, tmp_path / "here")
    there.preflight()
    copy = there.put(made)
    assert copy.url == f"s3://{bucket}/deep/prefix/{FIRST}"
    assert copy.files["data"] == "MD5 by the store and SHA-256, sha256 as read back"
    assert s3.count("PUT", r"data\?uploadId=.*partNumber=") == 3
    uploads = [path for method, path, _ in s3.seen if method in ("PUT", "POST")]
    assert "manifest.json" in uploads[-1]
    assert keys(aws, bucket) == [
        f"deep/prefix/{FIRST}/{name}" for name in ("data", "evidence.json", "manifest.json")
    ]
    assert there.listing().records == (made,)
    assert at(s3, bucket, tmp_path / "fresh").get("latest") == made
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    there.delete(FIRST)
    assert keys(aws, bucket) == []
    assert offsite_notes.copies(tmp_path / "here", made) == ()


def test_every_upload_carries_our_checksum_and_overwrites_nothing(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    at(s3, bucket, tmp_path).put(make(tmp_path, SIZE))
    sent = list(zip(s3.seen, s3.headers, strict=True))
    for (method, path, _), headers in sent:
        low = {key.lower(): value for key, value in headers.items()}
        if method == "PUT":
            assert re.fullmatch(r"[A-Za-z0-9+/]{43}=", low["x-amz-checksum-sha256"])
        if (method == "PUT" and "uploadId" not in path) or (
            method == "POST" and "uploadId=" in path
        ):
            assert low["if-none-match"] == "*"
        if method == "POST" and path.endswith("?uploads"):
            assert low["x-amz-checksum-algorithm"] == "SHA256"


@pytest.mark.parametrize("read_back", [True, False])
@pytest.mark.parametrize("path", [f"{DATA}.*partNumber=2", "manifest.json"])
def test_what_arrives_damaged_is_found_and_sent_again(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path, path: str, read_back: bool
) -> None:
    made = make(tmp_path / "here", SIZE)
    s3.fault("damage-up", "PUT", path)
    said: list[str] = []
    there = at(s3, bucket, tmp_path / "here", said=said, read_back=read_back)
    there.put(made)
    assert [line for line in said if "arrived damaged" in line]
    assert there.listing().records == (made,)
    at(s3, bucket, tmp_path / "fresh").get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")


def test_what_always_arrives_damaged_is_no_copy(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, SIZE)
    s3.fault("damage-up", "PUT", "evidence.json", times=99)
    with pytest.raises(BackupFailed) as caught:
        at(s3, bucket, tmp_path).put(made)
    assert "is here and sealed" in caught.value.state
    assert keys(aws, bucket) == [f"deep/prefix/{FIRST}/data"]
    assert offsite_notes.copies(tmp_path, made) == ()


def test_a_copy_is_not_called_damaged_because_reading_it_back_was(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 2000)
    at(s3, bucket, tmp_path).put(made)
    s3.clear()
    s3.fault("damage-down", "GET", DATA)
    with pytest.raises(BackupFailed, match="sha256 differs"):
        at(s3, bucket, tmp_path).put(made)
    assert len(keys(aws, bucket)) == 3  # a complete copy is never removed on a suspicion
    at(s3, bucket, tmp_path).put(made)


@pytest.mark.parametrize(
    ("kind", "method", "path"),
    [
        ("503", "POST", rf"{DATA}\?uploads"),
        ("drop-after", "POST", rf"{DATA}\?uploads"),
        ("503", "PUT", f"{DATA}.*partNumber=3"),
        ("half", "PUT", f"{DATA}.*partNumber=3"),
        ("hang", "PUT", f"{DATA}.*partNumber=3"),
        ("drop", "POST", rf"{DATA}\?uploadId"),
        ("drop-after", "POST", rf"{DATA}\?uploadId"),  # it was completed, and nobody was told
        ("drop-after", "PUT", "manifest.json"),
        ("drop", "HEAD", "evidence.json"),
    ],
)
def test_a_request_that_fails_once_is_tried_again(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path, *, kind: str, method: str, path: str
) -> None:
    made = make(tmp_path / "here", SIZE)
    s3.fault(kind, method, path)
    there = at(s3, bucket, tmp_path / "here", timeout=2, tries=3)
    there.put(made)
    assert s3.faults[0].times == 0
    assert there.listing().records == (made,)


@pytest.mark.parametrize("kind", ["truncate", "drop", "503", "hang"])
def test_a_download_that_breaks_is_taken_up_where_it_broke(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path, kind: str
) -> None:
    made = make(tmp_path / "here", SIZE)
    at(s3, bucket, tmp_path / "here").put(made)
    s3.clear()
    s3.fault(kind, "GET", DATA, times=2)
    at(s3, bucket, tmp_path / "fresh", timeout=2, tries=4).get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    ranges = [h["Range"] for h in s3.headers if "Range" in h]
    assert (len(ranges) == 2) is (kind == "truncate")


def test_a_damaged_download_lists_nothing(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path / "here", 2000)
    at(s3, bucket, tmp_path / "here").put(made)
    s3.fault("damage-down", "GET", DATA)
    with pytest.raises(BackupFailed, match="is damaged"):
        at(s3, bucket, tmp_path / "fresh").get(FIRST)
    assert not list((tmp_path / "fresh").glob("*/"))


def test_an_interrupted_upload_is_gone_on_with(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 4 * PART)
    s3.fault("503", "PUT", "partNumber=4", times=99)
    with pytest.raises(DeployguardError):
        at(s3, bucket, tmp_path, tries=1).put(made)
    # the evidence, which goes beside the data, may have arrived
    assert {key.rpartition("/")[2] for key in keys(aws, bucket)} <= {"evidence.json"}
    [left] = aws.list_multipart_uploads(Bucket=bucket)["Uploads"]
    parts = aws.list_parts(Bucket=bucket, Key=left["Key"], UploadId=left["UploadId"])["Parts"]
    s3.clear()
    at(s3, bucket, tmp_path).put(made)
    assert s3.count("PUT", "partNumber=") == 4 - len(parts) < 4
    assert s3.count("POST", r"data\?uploads$") == 0
    assert "Uploads" not in aws.list_multipart_uploads(Bucket=bucket)


def test_a_damaged_part_of_an_interrupted_upload_is_not_gone_on_with(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 3 * PART)
    s3.fault("damage-up", "PUT", "partNumber=1")
    s3.fault("503", "POST", r"\?uploadId", times=99)
    with pytest.raises(DeployguardError):
        at(s3, bucket, tmp_path, tries=1).put(made)
    s3.clear()
    said: list[str] = []
    at(s3, bucket, tmp_path, said=said).put(made)
    assert s3.count("PUT", "partNumber=") == 1
    assert not [line for line in said if "arrived damaged" in line]


def test_an_upload_that_was_cut_otherwise_is_given_up(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    key = f"deep/prefix/{FIRST}/data"
    made = make(tmp_path, 3 * PART)
    other = aws.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    aws.upload_part(Bucket=bucket, Key=key, UploadId=other, PartNumber=1, Body=b"x" * 10)
    aws.create_multipart_upload(Bucket=bucket, Key=f"{key}.other")
    at(s3, bucket, tmp_path).put(made)
    [left] = aws.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert left["Key"] == f"{key}.other"  # another object's


def test_uploads_of_yesterday_are_given_up(s3: objects.FaultProxy, aws: Any, bucket: str) -> None:
    mine, theirs = f"deep/prefix/{FIRST}/data", "elsewhere/data"
    for key in (mine, theirs, "deep/prefix/kept/data"):
        aws.create_multipart_upload(Bucket=bucket, Key=key)
    began = min(u["Initiated"] for u in aws.list_multipart_uploads(Bucket=bucket)["Uploads"])
    assert offsite_parts.give_up(aws, bucket, "deep/prefix/", began, "-") == ()
    later = began + timedelta(days=2)
    given_up = offsite_parts.give_up(aws, bucket, "deep/prefix/", later, "deep/prefix/kept/")
    assert given_up == (mine,)
    left = aws.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert sorted(one["Key"] for one in left) == ["deep/prefix/kept/data", theirs]


def test_two_that_copy_at_once_leave_one_whole_copy(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, SIZE)
    ended: list[str] = []

    def copy() -> None:
        try:
            ended.append(at(s3, bucket, tmp_path).put(made).url)
        except DeployguardError as error:
            ended.append(error.message)

    threads = [threading.Thread(target=copy) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = at(s3, bucket, tmp_path)
    if there.listing().records != (
        made,
    ):  # each gave up the other's upload: the next one goes through
        there.put(made)
    assert there.listing().records == (made,)


def test_encryption_is_asked_for_and_looked_at(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, SIZE)
    at(s3, bucket, tmp_path, encryption="aws:kms", kms_key="alias/backups").put(made)
    for key in keys(aws, bucket):
        head = aws.head_object(Bucket=bucket, Key=key)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "alias/backups")
    plain = make(tmp_path / "plain", SIZE)
    at(s3, bucket, tmp_path / "plain").delete(FIRST)
    at(s3, bucket, tmp_path / "plain").put(plain)
    with pytest.raises(BackupFailed, match="not encrypted with AES256"):
        at(s3, bucket, tmp_path / "plain", encryption="AES256").put(plain)


def test_a_locked_copy_cannot_be_deleted_before_its_day(
    s3: objects.FaultProxy, aws: Any, locked: str, tmp_path: Path
) -> None:
    made = make(tmp_path, SIZE)
    there = at(s3, locked, tmp_path, lock="GOVERNANCE", lock_days=30)
    there.preflight()
    copy = there.put(made)
    assert copy.held_until is not None
    assert copy.held_until > datetime.now(UTC) + timedelta(days=29)
    with pytest.raises(BackupFailed, match="is locked until") as caught:
        there.delete(FIRST)
    assert caught.value.state == "Nothing was deleted."
    assert there.listing().records == (made,)
    assert offsite_notes.copies(tmp_path, made) == (copy,)
    for key in keys(aws, locked):
        head = aws.head_object(Bucket=locked, Key=key)
        assert head["ObjectLockMode"] == "GOVERNANCE"


def test_a_lock_that_the_bucket_cannot_hold_is_found_before_anything_is_sent(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    there = at(s3, bucket, tmp_path, lock="COMPLIANCE", lock_days=1)
    with pytest.raises(BackupFailed, match=r"Object ?Lock"):
        there.preflight()


def test_every_version_of_a_deleted_copy_is_gone(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    aws.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made = make(tmp_path, 2000)
    there = at(s3, bucket, tmp_path)
    there.put(made)
    aws.delete_object(Bucket=bucket, Key=f"deep/prefix/{FIRST}/data")
    aws.put_object(Bucket=bucket, Key=f"deep/prefix/{FIRST}/data", Body=b"other")
    there.delete(FIRST)
    answer = aws.list_object_versions(Bucket=bucket)
    assert not answer.get("Versions")
    assert not answer.get("DeleteMarkers")


def test_errors_say_what_to_do_and_hold_no_secret(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 2000)
    s3.fault("denied", "PUT", times=99)
    with pytest.raises(BackupFailed, match="AccessDenied") as caught:
        at(s3, bucket, tmp_path).put(made)
    assert "uploading" in caught.value.message
    told = f"{caught.value.message} {caught.value.state} {caught.value!r}"
    assert objects.CANARY not in told
    assert objects.TOKEN not in told
    with pytest.raises(DeployguardError, match=r"404|NoSuchBucket"):
        at(s3, "no-such-bucket", tmp_path).preflight()
    unreachable = place(tmp_path, "s3://x", endpoint_url="http://127.0.0.1:1", tries=1)
    with pytest.raises(EnvironmentUnreachable, match=re.escape("127.0.0.1:1")):
        unreachable.preflight()
    noted = "".join(p.read_text() for p in (tmp_path / FIRST).glob("*.json"))
    assert objects.CANARY not in noted


def test_missing_credentials_are_said_so(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    with pytest.raises(EnvironmentUnreachable, match="credentials"):
        at(s3, bucket, tmp_path).preflight()


def test_very_large_files_stay_below_s3s_number_of_parts(tmp_path: Path) -> None:
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(3 * offsite_parts._MOST * 1000)
    plan = offsite_parts.plan(Source(path, path.stat().st_size, ""), 1000)
    assert len(plan) <= offsite_parts._MOST
    assert sum(part.size for part in plan) == path.stat().st_size
    assert [part.begin for part in plan] == [i * plan[0].size for i in range(len(plan))]


def test_a_backup_without_its_manifest_is_no_copy(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 2000)
    there = at(s3, bucket, tmp_path)
    there.put(made)
    aws.delete_object(Bucket=bucket, Key=f"deep/prefix/{FIRST}/{sealed.MANIFEST}")
    found = there.listing()
    assert found.records == ()
    assert "not complete" in found.problems[0]
    assert there.find(made) is None


def test_ctrl_c_in_the_middle_ends_at_once_and_leaves_what_can_be_gone_on_with(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 8 * PART)

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    there = at(s3, bucket, tmp_path)
    there.say = interrupt  # a part is there, others are on their way
    with pytest.raises(KeyboardInterrupt):
        there.put(made)
    assert s3.count("PUT", "partNumber=") < 8
    assert there.listing().records == ()
    sent = s3.count("PUT", "partNumber=")
    s3.clear()
    at(s3, bucket, tmp_path).put(made)
    assert 0 < s3.count("PUT", "partNumber=") <= 8 - min(sent, 1)


def test_a_store_that_forbids_looking_for_unfinished_uploads_is_copied_to_all_the_same(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 2000)
    s3.fault("denied", "GET", r"\?uploads")
    said: list[str] = []
    there = at(s3, bucket, tmp_path, said=said)
    there.put(made)
    assert any("could not look for unfinished uploads" in line for line in said)
    assert not any(objects.CANARY in line for line in said)
    assert there.listing().records == (made,)


def test_a_file_takes_as_few_requests_as_it_can(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    """A dump in directory format has a file for each table: look, send, look, read back."""
    at(s3, bucket, tmp_path).put(make(tmp_path, 2000))
    asked = [method for method, path, _ in s3.seen if "evidence.json" in path]
    assert asked == ["HEAD", "PUT", "HEAD", "GET"]


def test_a_leftover_that_was_cut_is_sent_again(
    s3: objects.FaultProxy, aws: Any, bucket: str, tmp_path: Path
) -> None:
    made = make(tmp_path, 2000)
    aws.put_object(Bucket=bucket, Key=f"deep/prefix/{FIRST}/data", Body=b"half")
    at(s3, bucket, tmp_path, read_back=False).put(made)
    assert at(s3, bucket, tmp_path).listing().records == (made,)


def test_many_files_go_and_come_several_at_once(
    s3: objects.FaultProxy, bucket: str, tmp_path: Path
) -> None:
    made = make_many(tmp_path / "here")
    there = at(s3, bucket, tmp_path / "here", jobs=4)
    copy = there.put(made)
    assert set(copy.files) == {*made.files, "manifest.json"}
    assert there.listing().records == (made,)
    at(s3, bucket, tmp_path / "fresh", jobs=4).get(FIRST)
    assert same(tmp_path / "here", made, tmp_path / "fresh")
    # and what is damaged here is put right from there
    damaged = tmp_path / "here" / FIRST / "table-7"
    damaged.write_bytes(b"x" + damaged.read_bytes()[1:])
    assert there.get(FIRST) == made
    assert same(tmp_path / "here", made, tmp_path / "fresh")
