"""Off-site copies in Google Cloud Storage, by gcsfs: an object appears when it is whole, and is never overwritten."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar  # gcsfs has no types

from deployguard.backups.offsite_base import (
    Damaged,
    Moved,
    OffsiteFailed,
    Source,
    Taken,
    blocks,
    first_line,
    md5,
)
from deployguard.config import OffsiteConfig, Place
from deployguard.errors import DeployguardError, EnvironmentUnreachable

T = TypeVar("T")
_CHUNK: Final = 8 << 20  # bytes of one request of an upload, which are in memory
_PAUSE: Final = 1.0  # seconds before the second try; doubled for each further one


def connect(config: OffsiteConfig) -> Any:
    """The client, with Google's default credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud, the machine's own)."""
    try:
        from gcsfs.core import GCSFileSystem  # without the gRPC client for zonal buckets
    except ImportError:
        raise OffsiteFailed(
            "gs:// needs gcsfs, which is not installed.",
            next_commands=("pip install 'deployguard[offsite]'",),
        ) from None
    return GCSFileSystem(
        endpoint_url=config.endpoint_url or None,
        # An emulator has no accounts; Google refuses who has none.
        token="anon" if config.endpoint_url else "google_default",
        timeout=config.timeout,
        skip_instance_cache=True,
        use_listings_cache=False,
    )


@dataclass(slots=True)
class GcsStore:
    """A bucket, below a prefix."""

    config: OffsiteConfig
    place: Place
    dial: Callable[[OffsiteConfig], Any] = connect
    sleep: Callable[[float], None] = time.sleep
    chunk: int = _CHUNK
    url: str = field(init=False)
    _files: Any = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = "/".join(filter(None, (f"gs://{self.place.host}", self.place.path)))

    def describe(self) -> str:
        return self.url

    def preflight(self) -> None:
        for _ in self.names(""):
            break

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        with self._told("listing"):
            found = self._tried(self._listed, begin)
        yield from sorted(found)

    def _listed(self, begin: str) -> list[tuple[str, int]]:
        root = self._path("")
        try:
            found = self._fs().find(root, prefix=begin, detail=True)
        except FileNotFoundError:
            return []
        return [
            (path.removeprefix(root), int(info["size"]))
            for path, info in found.items()
            if info["type"] == "file"
        ]

    def size(self, name: str) -> int | None:
        found = self._info(name)
        return None if found is None else int(found["size"])

    def put(self, name: str, source: Source, moved: Moved) -> None:
        with self._told(f"uploading {name}"):
            target = self._fs().open(
                self._path(name),
                "xb",  # "only when there is none"
                block_size=self.chunk,
                consistency="none",  # it would forget to look at large files; `proof` does
                content_type="application/octet-stream",
                metadata={"sha256": source.sha256},
            )
            try:
                for block in blocks(source.path):
                    target.write(block)
                    moved(len(block))
            except BaseException:
                target.discard()
                raise
            target.close()

    def proof(self, name: str, source: Source) -> str:
        found = self._info(name)
        if found is None:
            raise Damaged(f"{self.url}/{name} is not there after it was uploaded.")
        if int(found["size"]) != source.size:
            raise Damaged(f"{self.url}/{name} has {found['size']} bytes instead of {source.size}.")
        theirs = found.get("md5Hash")
        if not theirs:  # composed objects have none
            return ""
        if b64decode(theirs) != md5(blocks(source.path)):
            raise Damaged(f"{self.url}/{name}: the store's MD5 is not that of what was sent.")
        return "MD5 by the store"

    def read(self, name: str) -> Iterator[bytes]:
        with self._told(f"downloading {name}"):
            size, at = self.size(name), 0
            if size is None:
                raise FileNotFoundError(name)
            while at < size:
                until = min(size, at + _CHUNK)
                block = self._tried(self._range, name, at, until)
                at = until
                yield block

    def _range(self, name: str, begin: int, end: int) -> bytes:
        data = bytes(self._fs().cat_file(self._path(name), start=begin, end=end))
        if len(data) != end - begin:
            raise OSError(f"{len(data)} bytes came instead of {end - begin}")
        return data

    def held_until(self, name: str) -> datetime | None:
        found = self._info(name) or {}
        until = found.get("retentionExpirationTime")
        return datetime.fromisoformat(str(until)) if until else None

    def remove(self, name: str) -> None:
        def delete(name: str) -> None:
            if self._fs().exists(self._path(name)):
                self._fs().rm_file(self._path(name))

        with self._told(f"deleting {name}"):
            self._tried(delete, name)

    def forget(self, folder: str) -> None:
        """A bucket has no folders."""

    def sweep(self, keep: str) -> tuple[str, ...]:  # noqa: ARG002 - one shape for all
        """Google gives unfinished uploads up by itself, after a week."""
        return ()

    def close(self) -> None:
        self._files = None

    def _fs(self) -> Any:
        if self._files is None:
            self._files = self.dial(self.config)
        return self._files

    def _path(self, name: str) -> str:
        return "/".join((*filter(None, (self.place.host, self.place.path)), name))

    def _info(self, name: str) -> dict[str, Any] | None:
        def look(name: str) -> dict[str, Any] | None:
            try:
                found = dict(self._fs().info(self._path(name)))
            except FileNotFoundError:
                return None
            return found if found["type"] == "file" else None

        with self._told(f"looking for {name}"):
            return self._tried(look, name)

    def _tried(self, action: Callable[..., T], *given: object) -> T:
        """Do it, and do it again; for what Google calls transient, gcsfs does so by itself."""
        failures = 0
        while True:
            try:
                return action(*given)
            except (DeployguardError, FileNotFoundError, PermissionError):
                raise
            except Exception:
                failures += 1
                if failures >= max(1, self.config.tries):
                    raise
                self.sleep(_PAUSE * 2 ** (failures - 1))

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        """Turn errors into ours: gcsfs raises what its transport and Google's library raise: all kinds."""
        try:
            yield
        except DeployguardError:
            raise
        except FileExistsError:
            raise Taken(f"{self.url}: {doing}: the name is taken already.") from None
        except (FileNotFoundError, PermissionError) as error:
            raise OffsiteFailed(f"{self.url}: {doing} failed: {first_line(error)}.") from None
        except Exception as error:  # noqa: BLE001 - see above
            if getattr(error, "code", None) == 412:  # HTTP's "precondition failed"
                raise Taken(f"{self.url}: {doing}: the name is taken already.") from None
            said = first_line(error)
            raise EnvironmentUnreachable(f"{self.url}: {doing} failed: {said}.") from None
