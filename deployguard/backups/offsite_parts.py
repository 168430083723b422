"""A large file in parts: how S3's multipart uploads are cut, taken up again, sent several at once, and given up."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import Any, Final  # boto3 makes its clients at run time

from deployguard.backups.offsite_base import Moved, Source, Window, md5, sha256

AT_ONCE: Final = 4
_MOST: Final = 9_000  # parts; S3 takes 10,000


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``begin`` to ``begin + size`` of the file, and their digests. ``number`` counts from 1."""

    path: Path
    number: int
    begin: int
    size: int
    sha256: bytes
    md5: bytes

    @property
    def checksum(self) -> str:
        return b64encode(self.sha256).decode()


def plan(source: Source, size: int) -> list[Part]:
    """The parts of a file, of ``size`` bytes or as many more as it takes to stay below S3's number of parts."""
    mega = 1 << 20
    least = -(-source.size // _MOST)
    size = max(size, -(-least // mega) * mega)
    parts = []
    for number, begin in enumerate(range(0, source.size, size), 1):
        length = min(size, source.size - begin)
        with Window(source.path, begin, length, lambda: False) as window:
            digests = sha256(window.blocks()), md5(window.blocks())
        parts.append(Part(source.path, number, begin, length, *digests))
    return parts


def resume(
    client: Any, named: Mapping[str, str], parts: Sequence[Part]
) -> tuple[str | None, dict[int, str]]:
    """An upload of this very object that was interrupted, and the ETags of its good parts by number.

    Another upload of the same object that has none is given up.
    """
    pages = client.get_paginator("list_multipart_uploads")
    found = {
        upload["UploadId"]: _good(client, named, upload["UploadId"], parts)
        for page in pages.paginate(Bucket=named["Bucket"], Prefix=named["Key"])
        for upload in page.get("Uploads", ())
        if upload["Key"] == named["Key"]
    }
    best = max(found, key=lambda upload: len(found[upload]), default=None)
    if best is not None and not found[best]:
        best = None
    for upload in found:
        if upload != best:
            client.abort_multipart_upload(**named, UploadId=upload)
    return best, {} if best is None else found[best]


def _good(
    client: Any, named: Mapping[str, str], upload: str, parts: Sequence[Part]
) -> dict[int, str]:
    """The parts that are there as we would send them; what else is there, sending replaces."""
    good = {}
    wanted = {part.number: part for part in parts}
    for page in client.get_paginator("list_parts").paginate(**named, UploadId=upload):
        for there in page.get("Parts", ()):
            part = wanted.get(there["PartNumber"])
            if part is None or part.size != there["Size"]:
                return {}  # it was cut otherwise
            etag = there["ETag"].strip('"')
            if etag == part.md5.hex() or there.get("ChecksumSHA256") == part.checksum:
                good[part.number] = there["ETag"]
    return good


def send(
    client: Any,
    named: Mapping[str, str],
    upload: str,
    parts: Sequence[Part],
    *,
    there: Mapping[int, str],
    moved: Moved,
) -> list[dict[str, object]]:
    """Send the parts that are not there; what completing the upload wants to know of all of them."""
    stop = Event()

    def one(part: Part) -> dict[str, object]:
        etag = there.get(part.number)
        if etag is None:
            with Window(part.path, part.begin, part.size, stop.is_set) as body:
                etag = client.upload_part(
                    **named,
                    UploadId=upload,
                    PartNumber=part.number,
                    Body=body,
                    ContentLength=part.size,
                    ChecksumAlgorithm="SHA256",
                    ChecksumSHA256=part.checksum,
                )["ETag"]
        moved(part.size)
        return {"PartNumber": part.number, "ETag": etag, "ChecksumSHA256": part.checksum}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            begun = [pool.submit(one, part) for part in parts]
            failed = [
                task for task in wait(begun, return_when=FIRST_EXCEPTION).done if task.exception()
            ]
            if failed:
                failed[0].result()
            return [task.result() for task in begun]
        finally:  # a failure, or Ctrl-C: the others end at their next block; what is there can be taken up again
            stop.set()
            pool.shutdown(cancel_futures=True)


def give_up(client: Any, bucket: str, begin: str, before: datetime, keep: str) -> tuple[str, ...]:
    """Abort the uploads below ``begin`` that were begun ``before``, except those below ``keep``; their keys."""
    old = [
        upload
        for page in client.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, Prefix=begin
        )
        for upload in page.get("Uploads", ())
        if upload["Initiated"] < before and not upload["Key"].startswith(keep)
    ]
    for upload in old:
        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
    return tuple(str(upload["Key"]) for upload in old)
