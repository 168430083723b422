"""Off-site copies in a folder, such as a mounted NAS: under a temporary name, flushed, then given their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from deployguard.backups import sealed
from deployguard.backups.file_swap import NO_LINKS
from deployguard.backups.offsite_base import Moved, OffsiteFailed, Source, Taken, blocks
from deployguard.errors import DeployguardError, EnvironmentUnreachable


@dataclass(slots=True)
class FolderStore:
    """A folder that exists: one that is missing is a mount that is missing, and is never made."""

    folder: Path
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"file://{self.folder}"

    def describe(self) -> str:
        return self.url

    def preflight(self) -> None:
        if not self.folder.is_dir():
            raise EnvironmentUnreachable(
                f"The off-site folder {self.folder} is not there: is it mounted?",
                next_commands=("mount",),
            )
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise OffsiteFailed(f"The off-site folder {self.folder} cannot be written to.")

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        self.preflight()
        with self._told("listing"):
            for path in sorted(self.folder.glob("*/*")):
                name = path.relative_to(self.folder).as_posix()
                hidden = any(part.startswith(".") for part in name.split("/"))
                if name.startswith(begin) and not hidden and path.is_file():
                    yield name, path.stat().st_size

    def size(self, name: str) -> int | None:
        with self._told(f"looking for {name}"):
            try:
                return self._path(name).stat().st_size
            except FileNotFoundError:
                return None

    def put(self, name: str, source: Source, moved: Moved) -> None:
        self.preflight()
        final = self._path(name)
        growing = final.with_name(f"{sealed.PARTIAL}{final.name}")
        with self._told(f"copying {name}"):
            final.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                with sealed.open_private(growing) as target:
                    for block in blocks(source.path):
                        target.write(block)
                        moved(len(block))
                    target.flush()
                    os.fsync(target.fileno())
                _give_name(growing, final)
            finally:
                growing.unlink(missing_ok=True)
            sealed.flush(final.parent)
            sealed.flush(self.folder)

    def proof(self, name: str, source: Source) -> str:  # noqa: ARG002 - one shape for all
        """A folder proves nothing by itself."""
        return ""

    def read(self, name: str) -> Iterator[bytes]:
        with self._told(f"reading {name}"):
            # What was just written shall come from where it was written to, not from memory.
            with self._path(name).open("rb") as file, suppress(OSError, AttributeError):
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            yield from blocks(self._path(name))

    def held_until(self, name: str) -> datetime | None:  # noqa: ARG002 - one shape for all
        return None

    def remove(self, name: str) -> None:
        with self._told(f"deleting {name}"):
            self._path(name).unlink(missing_ok=True)

    def forget(self, folder: str) -> None:
        with self._told(f"deleting {folder}"):
            for left in self._path(folder).glob(f"{sealed.PARTIAL}*"):
                left.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                self._path(folder).rmdir()

    def sweep(self, keep: str) -> tuple[str, ...]:  # noqa: ARG002 - one shape for all
        return ()

    def close(self) -> None:
        """Nothing is open."""

    def _path(self, name: str) -> Path:
        return self.folder / name

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DeployguardError:
            raise
        except OSError as error:
            raise OffsiteFailed(f"{self.url}: {doing} failed: {error.strerror}.") from error


def _give_name(growing: Path, final: Path) -> None:
    """The file's own name, unless somebody has it: a rename would overwrite, a link does not."""
    try:
        os.link(growing, final)
    except FileExistsError:
        raise Taken(f"{final} is there already.") from None
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if final.exists():
            raise Taken(f"{final} is there already.") from None
        growing.rename(final)
