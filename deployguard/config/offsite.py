"""The ``[offsite]`` table: where copies of backups go, what its keys mean, and its URL taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from deployguard.errors import UsageError

SCHEMES: Final = ("s3", "gs", "sftp", "file")
_EXAMPLES: Final = (
    "s3://bucket/prefix, gs://bucket/prefix, sftp://user@host/path or file:///mnt/nas/backups"
)
_ONLY_S3: Final = ("encryption", "kms_key", "lock", "lock_days")


@dataclass(frozen=True, slots=True)
class OffsiteConfig:
    """``[offsite]``: where copies of backups go. ``timeout`` in seconds without an answer; "" and 0 are none."""

    url: str = ""
    required: bool = False
    endpoint_url: str = ""
    encryption: Literal["", "AES256", "aws:kms"] = ""
    kms_key: str = ""
    lock: Literal["", "GOVERNANCE", "COMPLIANCE"] = ""
    lock_days: int = 0
    read_back: bool = True
    jobs: int = 4
    timeout: int = 60
    tries: int = 5


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "url": 's3://bucket/prefix, gs://bucket/prefix, sftp://user@host/path, file:///mnt/nas; "" is none.',
        "required": "A deploy does not migrate before the copy is there; else a failed copy is only told.",
        "endpoint_url": 'Of an S3-compatible store (or a GCS emulator); "" is the cloud itself.',
        "encryption": 's3: "AES256" or "aws:kms" by the store; "" is what the bucket does.',
        "kms_key": 's3: the key for aws:kms, its id or ARN; "" is the account\'s own.',
        "lock": 's3: "GOVERNANCE" or "COMPLIANCE", in a bucket with Object Lock …',
        "lock_days": "… for so many days nobody can delete the copy.",
        "read_back": "Download each copy and compare; false leaves it where the store's own checksum proves it.",
        "jobs": "Files that are sent or fetched at once.",
        "timeout": "Seconds without an answer.",
        "tries": "How often a request is tried when the network or the store fails.",
    }
)


@dataclass(frozen=True, slots=True)
class Place:
    """The parts of an off-site URL. ``host`` is the bucket of s3 and gs, "" for file.

    ``path`` has no slash at its ends for s3 and gs; a relative one of sftp counts from the user's home.
    """

    scheme: str
    host: str = ""
    path: str = ""
    user: str = ""
    port: int | None = None


def parse_place(url: str, where: str) -> Place:
    """Take the URL apart. Raises UsageError, which never shows a password."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise UsageError(f"{where} url is none of: {_EXAMPLES}.") from None
    if parts.password is not None or parts.query or parts.fragment:
        raise UsageError(
            f"{where} url holds a password or a query; credentials come only from the environment and the"
            " standard files (docs/offsite.md)."
        )
    host, path = parts.hostname or "", unquote(parts.path)
    if parts.scheme not in SCHEMES or bool(host) == (parts.scheme == "file"):
        raise UsageError(f"{where} url is {url!r}; use {_EXAMPLES}.")
    if parts.scheme in ("s3", "gs"):
        if parts.username or port:
            raise UsageError(f"{where} url is {url!r}; a bucket has no user and no port.")
        # a bucket's name keeps its case
        return Place(parts.scheme, parts.netloc, path.strip("/"))
    path = path.rstrip("/")
    if parts.scheme == "sftp" and path.startswith("/~/"):
        path = path.removeprefix("/~/")
    if not path or ".." in path.split("/"):
        raise UsageError(f"{where} url needs the path of a folder without '..': {_EXAMPLES}.")
    return Place(parts.scheme, host, path, unquote(parts.username or ""), port)


def check_offsite(config: OffsiteConfig, where: str) -> OffsiteConfig:
    """Refuse what cannot be meant; the same configuration otherwise. Raises UsageError."""
    if not config.url:
        if config.required:
            raise UsageError(f"{where} is required, but has no url.")
        return config
    if not config.jobs:
        raise UsageError(f"{where} jobs must be at least 1.")
    place = parse_place(config.url, where)
    idle = OffsiteConfig()
    for key in _ONLY_S3 if place.scheme != "s3" else ():
        if getattr(config, key) != getattr(idle, key):
            raise UsageError(f"{where} {key} is only for s3://, not for {place.scheme}://.")
    if bool(config.lock) != bool(config.lock_days):
        raise UsageError(f"{where} needs both lock and lock_days, or neither.")
    if config.kms_key and config.encryption != "aws:kms":
        raise UsageError(f'{where} kms_key needs encryption = "aws:kms".')
    if config.endpoint_url:
        _check_endpoint(config.endpoint_url, place.scheme, where)
    return config


def _check_endpoint(url: str, scheme: str, where: str) -> None:
    if scheme not in ("s3", "gs"):
        raise UsageError(f"{where} endpoint_url is only for s3:// and gs://, not for {scheme}://.")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise UsageError(
            f"{where} endpoint_url must be http(s)://host[:port], without a user or a password."
        )
