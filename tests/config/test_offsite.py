"""[offsite] is refused where it cannot be meant, and never shows a password."""

from pathlib import Path

import pytest

from deployguard.config import Place, load, parse_place
from deployguard.errors import UsageError
from tests.config.test_load import MINIMAL, read, refusal


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://Bucket.Name/a/b/", Place("s3", "Bucket.Name", "a/b")),
        ("gs://bucket", Place("gs", "bucket", "")),
        ("sftp://ann@host:2222/srv/b%20c", Place("sftp", "host", "/srv/b c", "ann", 2222)),
        ("sftp://host/~/backups", Place("sftp", "host", "backups")),
        ("file:///mnt/nas/", Place("file", "", "/mnt/nas")),
    ],
)
def test_a_url_is_taken_apart(url: str, place: Place) -> None:
    assert parse_place(url, "x") == place


@pytest.mark.parametrize(
    "url",
    [
        "bucket/prefix",
        "http://host/x",
        "s3:///x",
        "s3://bucket:80/x",
        "s3://me@bucket",
        "file://host/x",
        "file:///",
        "sftp://host",
        "sftp://host/",
        "sftp://host/a/../b",
        "sftp://host:port/x",
        "gs://bucket?x=1",
    ],
)
def test_what_is_no_place_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        parse_place(url, "x")


@pytest.mark.parametrize("url", ["sftp://ann:s3cret@host/x", "s3://key:s3cret@bucket"])
def test_a_password_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    said = refusal(tmp_path, MINIMAL + f'[offsite]\nurl = "{url}"\n')
    assert "password" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("required = true", "no url"),
        ('url = "gs://b"\nlock = "GOVERNANCE"\nlock_days = 3', "lock is only for s3"),
        ('url = "file:///x"\nencryption = "AES256"', "encryption is only for s3"),
        ('url = "file:///x"\nendpoint_url = "https://x"', "only for s3:// and gs://"),
        ('url = "s3://b"\nlock_days = 3', "both lock and lock_days"),
        ('url = "s3://b"\nkms_key = "k"', "kms_key needs"),
        ('url = "s3://b"\nendpoint_url = "https://a:s3cret@x"', "without a user or a password"),
        ('url = "s3://b"\nendpoint_url = "x"', "must be http"),
        ('url = "s3://b"\nlock = "FOREVER"', "lock is 'FOREVER'"),
    ],
)
def test_keys_that_contradict_are_refused(tmp_path: Path, keys: str, said: str) -> None:
    message = refusal(tmp_path, f"{MINIMAL}[offsite]\n{keys}\n")
    assert said in message
    assert "s3cret" not in message


def test_an_environment_may_have_a_place_of_its_own(tmp_path: Path) -> None:
    text = MINIMAL + '[offsite]\nurl = "s3://b"\n[environments.development.offsite]\nurl = ""\n'
    assert read(tmp_path, text).environment().offsite.url == ""
    assert load(None, tmp_path).environment().offsite.required is False
