"""Off-site copies in S3 and its like: multipart, checked both ways, encrypted, locked, never overwritten."""

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final  # boto3 makes its clients at run time

from deployguard.backups import offsite_parts
from deployguard.backups.offsite_base import (
    BLOCK,
    Damaged,
    Moved,
    OffsiteFailed,
    Source,
    Stopped,
    Taken,
    Window,
    blocks,
    first_line,
    md5,
    sha256,
)
from deployguard.config import OffsiteConfig
from deployguard.errors import DeployguardError, EnvironmentUnreachable
from deployguard.process import Redactor

PART: Final = 16 << 20  # bytes; a smaller file goes in one request
_OLD: Final = timedelta(days=1)  # an upload that was begun longer ago is nobody's any more
_MISSING: Final = ("404", "NoSuchKey", "NotFound", "NoSuchUpload")
_EXISTS: Final = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict", "NoSuchUpload")
_PART_KEY: Final = "part-bytes"


def connect(config: OffsiteConfig) -> Any:
    """An S3 client with the credentials of the environment or the standard files. Nothing is dialled."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        raise OffsiteFailed(
            "s3:// needs boto3, which is not installed.",
            next_commands=("pip install 'deployguard[aws]'",),
        ) from None
    return boto3.Session().client(
        "s3",
        endpoint_url=config.endpoint_url or None,
        config=Config(
            connect_timeout=config.timeout,
            read_timeout=config.timeout,
            retries={"mode": "standard", "total_max_attempts": max(1, config.tries)},
            # Only the checksums that we send ourselves: stores that are not Amazon's may know no others.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if config.endpoint_url else "auto"},
            max_pool_connections=config.jobs * (offsite_parts.AT_ONCE + 1) + 2,
        ),
    )


@dataclass(slots=True)
class S3Store:
    """A bucket, below a prefix."""

    config: OffsiteConfig
    bucket: str
    prefix: str
    client: Any = field(repr=False)
    part_bytes: int = PART
    url: str = field(init=False)
    _redact: Redactor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = "/".join(filter(None, (f"s3://{self.bucket}", self.prefix)))
        names = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        self._redact = Redactor(tuple(filter(None, map(os.environ.get, names))))

    def describe(self) -> str:
        config = self.config
        more = [config.encryption, config.lock and f"{config.lock} for {config.lock_days} days"]
        said = ", ".join(filter(None, more))
        return f"{self.url} ({said})" if said else self.url

    def preflight(self) -> None:
        with self._told("looking for the bucket"):
            self.client.head_bucket(Bucket=self.bucket)
        if not self.config.lock:
            return
        with self._told("asking for Object Lock"):
            answer = self.client.get_object_lock_configuration(Bucket=self.bucket)
            if answer["ObjectLockConfiguration"].get("ObjectLockEnabled") != "Enabled":
                raise OffsiteFailed(f"{self.url}: the bucket has no Object Lock.")

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        with self._told("listing"):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self._key(begin)):
                for one in page.get("Contents", ()):
                    yield one["Key"].removeprefix(self._key("")), int(one["Size"])

    def size(self, name: str) -> int | None:
        head = self._head(name)
        return None if head is None else int(head["ContentLength"])

    def put(self, name: str, source: Source, moved: Moved) -> None:
        with self._told(f"uploading {name}"):
            if source.size <= self.part_bytes:
                with Window(source.path, 0, source.size, lambda: False) as body:
                    self.client.put_object(
                        **self._named(name),
                        Body=body,
                        ContentLength=source.size,
                        ChecksumAlgorithm="SHA256",
                        ChecksumSHA256=b64encode(bytes.fromhex(source.sha256)).decode(),
                        IfNoneMatch="*",
                        Metadata={"sha256": source.sha256},
                        **self._protection(),
                    )
                moved(source.size)
                return
            parts = offsite_parts.plan(source, self.part_bytes)
            named = self._named(name)
            upload, there = offsite_parts.resume(self.client, named, parts)
            if upload is None:
                upload = self.client.create_multipart_upload(
                    **named,
                    ChecksumAlgorithm="SHA256",
                    Metadata={"sha256": source.sha256, _PART_KEY: str(parts[0].size)},
                    **self._protection(),
                )["UploadId"]
            done = offsite_parts.send(self.client, named, upload, parts, there=there, moved=moved)
            self.client.complete_multipart_upload(
                **named,
                UploadId=upload,
                IfNoneMatch="*",
                MultipartUpload={"Parts": done},
            )
            self._hold(name)

    def proof(self, name: str, source: Source) -> str:
        head = self._head(name)
        if head is None:
            raise Damaged(f"{self.url}/{name} is not there after it was uploaded.")
        if int(head["ContentLength"]) != source.size:
            raise Damaged(
                f"{self.url}/{name} has {head['ContentLength']} bytes instead of {source.size}."
            )
        self._as_configured(name, head)
        size = int(head.get("Metadata", {}).get(_PART_KEY) or 0)
        ours = _expected(source, size)
        theirs = head.get("ChecksumSHA256")
        # of several parts it is "…-N" at Amazon, without the N elsewhere
        if theirs and theirs.partition("-")[0] != ours["sha256"]:
            raise Damaged(f"{self.url}/{name}: the store's SHA-256 is not the one that was sent.")
        secret = head.get("ServerSideEncryption", "").startswith("aws:kms")
        if not secret and head.get("ETag", "").strip('"') == ours["md5"]:
            return "MD5 by the store" + (" and SHA-256" if theirs else "")
        # Amazon has refused what does not match the checksum that it repeats; another store may only repeat it.
        return "SHA-256 by the store" if theirs and not self.config.endpoint_url else ""

    def read(self, name: str) -> Iterator[bytes]:
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        with self._told(f"downloading {name}"):
            at, failures, more = 0, 0, dict[str, str]()
            while True:
                answer = self.client.get_object(**self._named(name), **more)
                whole = at + int(answer["ContentLength"])
                try:
                    for block in answer["Body"].iter_chunks(BLOCK):
                        at += len(block)
                        failures = 0
                        yield block
                    if at == whole:
                        return
                except (HTTPClientError, IncompleteReadError, OSError):
                    failures += 1
                    if failures >= max(1, self.config.tries):
                        raise
                finally:
                    answer["Body"].close()
                if at == whole:
                    return
                more = {"Range": f"bytes={at}-", "IfMatch": answer["ETag"]}

    def held_until(self, name: str) -> datetime | None:
        head = self._head(name)
        until = None if head is None else head.get("ObjectLockRetainUntilDate")
        return until if isinstance(until, datetime) else None

    def remove(self, name: str) -> None:
        with self._told(f"deleting {name}"):
            key = self._key(name)
            pages = self.client.get_paginator("list_object_versions")
            found = [
                one["VersionId"]
                for page in pages.paginate(Bucket=self.bucket, Prefix=key)
                for kind in ("Versions", "DeleteMarkers")
                for one in page.get(kind, ())
                if one["Key"] == key
            ]
            for version in found:
                self.client.delete_object(**self._named(name), VersionId=version)

    def forget(self, folder: str) -> None:
        """A bucket has no folders."""

    def sweep(self, keep: str) -> tuple[str, ...]:
        with self._told("looking for unfinished uploads"):
            before = datetime.now(UTC) - _OLD
            begin = self._key("")
            kept = self._key(f"{keep}/")
            return offsite_parts.give_up(self.client, self.bucket, begin, before, kept)

    def close(self) -> None:
        self.client.close()

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def _named(self, name: str) -> dict[str, str]:
        return {"Bucket": self.bucket, "Key": self._key(name)}

    def _head(self, name: str) -> Mapping[str, Any] | None:
        from botocore.exceptions import ClientError

        with self._told(f"looking for {name}"):
            try:
                found = self.client.head_object(**self._named(name), ChecksumMode="ENABLED")
            except ClientError as error:
                if error.response["Error"]["Code"] in _MISSING:
                    return None
                raise
            return dict(found)

    def _protection(self) -> dict[str, object]:
        config, asked = self.config, dict[str, object]()
        if config.encryption:
            asked["ServerSideEncryption"] = config.encryption
        if config.kms_key:
            asked["SSEKMSKeyId"] = config.kms_key
        if config.lock:
            asked["ObjectLockMode"] = config.lock
            until = datetime.now(UTC) + timedelta(days=config.lock_days)
            asked["ObjectLockRetainUntilDate"] = until
        return asked

    def _hold(self, name: str) -> None:
        """Lock what was sent in parts, where the store does not do it with the upload."""
        head = self._head(name) or {}
        if self.config.lock and head.get("ObjectLockMode") != self.config.lock:
            asked = self._protection()
            retention = {
                "Mode": self.config.lock,
                "RetainUntilDate": asked["ObjectLockRetainUntilDate"],
            }
            self.client.put_object_retention(**self._named(name), Retention=retention)

    def _as_configured(self, name: str, head: Mapping[str, Any]) -> None:
        """A store that takes the words and does nothing is found here."""
        config = self.config
        if config.encryption and head.get("ServerSideEncryption") != config.encryption:
            raise Damaged(f"{self.url}/{name} was not encrypted with {config.encryption}.")
        if config.lock and head.get("ObjectLockMode") != config.lock:
            raise Damaged(f"{self.url}/{name} was not locked ({config.lock}).")

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn what boto3 raises into our errors, without a secret."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (DeployguardError, Stopped):
            raise
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in _EXISTS:
                raise Taken(f"{self.url}: {doing}: the name is taken already.") from None
            said = self._redact(" ".join(str(error).split())[:300].rstrip("."))
            raise OffsiteFailed(f"{self.url}: {doing} failed: {said}.") from None
        except (BotoCoreError, OSError) as error:
            said = self._redact(first_line(error))
            raise EnvironmentUnreachable(f"{self.url}: {doing} failed: {said}.") from None


def _expected(source: Source, part: int) -> dict[str, str]:
    """The checksums that S3 gives a file that was sent in parts of ``part`` bytes; 0 is in one request."""
    if not part:
        plain = b64encode(bytes.fromhex(source.sha256)).decode()
        return {"sha256": plain, "md5": md5(blocks(source.path)).hex()}
    parts = offsite_parts.plan(source, part)
    shas = sha256(iter([one.sha256 for one in parts]))
    md5s = md5(iter([one.md5 for one in parts]))
    return {
        "sha256": b64encode(shas).decode(),
        "md5": f"{md5s.hex()}-{len(parts)}",
    }
