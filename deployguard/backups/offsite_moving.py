"""Moves the files of a backup to a place and back, several at once; the first error ends the others."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event, Lock
from typing import Final, TypeVar

from deployguard.backups import sealed
from deployguard.backups.base import Say
from deployguard.backups.offsite_base import Damaged, ObjectStore, Source, Stopped, Taken, sha256
from deployguard.backups.offsite_progress import Part

T = TypeVar("T")
_TRIES: Final = 2  # how often a file is sent that arrived damaged


def together(jobs: int, tasks: Mapping[str, Callable[[Event], T]]) -> dict[str, T]:
    """Do all of it, ``jobs`` at once, in the order given. Raises the first error, when the others have ended too.

    Each is handed what is set as soon as it shall end: then it raises Stopped.
    """
    stop, guard, first = Event(), Lock(), list[BaseException]()

    def one(task: Callable[[Event], T]) -> T:
        _unless(stop)
        try:
            return task(stop)
        except BaseException as error:
            with guard:  # whoever failed takes no further task, and its error is the one to tell
                if not stop.is_set():
                    first.append(error)
                stop.set()
            raise

    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            begun = {name: pool.submit(one, task) for name, task in tasks.items()}
            wait(begun.values(), return_when=FIRST_EXCEPTION)
            if first:
                raise first[0]
            return {name: task.result() for name, task in begun.items()}
        finally:  # a failure, or Ctrl-C
            stop.set()
            pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Mover:
    """Sends and fetches single files. ``keep``: one that is there and damaged is never removed."""

    store: ObjectStore
    read_back: bool
    say: Say
    keep: bool = False

    def send(self, name: str, source: Source, part: Part, stop: Event) -> str:
        """Send one file unless it is there; what proves that it is the same."""

        def moved(size: int) -> None:
            _unless(stop)
            part.moved(size)

        for number in range(1, _TRIES + 1):
            _unless(stop)
            there = self.store.size(name)
            try:
                if there is None:
                    self.store.put(name, source, moved)
                proof = self._compared(name, source, stop)
                part.finish(source.size)
            except Taken:
                if number == _TRIES:
                    raise
            except Damaged:
                if self.keep:  # a complete copy: a person decides what becomes of it
                    raise
                self.store.remove(name)
                if number == _TRIES:
                    raise
                self.say(f"{name} arrived damaged; sending it again")
            else:
                return proof
        raise AssertionError("unreachable: the last try returns or raises")

    def _compared(self, name: str, source: Source, stop: Event) -> str:
        proof = self.store.proof(name, source)
        if proof and not self.read_back:
            return proof
        if sha256(_stoppable(self.store.read(name), stop)).hex() != source.sha256:
            raise Damaged(f"{self.store.url}/{name} is not what was sent: its sha256 differs.")
        return f"{proof}, sha256 as read back" if proof else "sha256 as read back"

    def fetch(
        self, name: str, draft: sealed.Draft, wanted: tuple[int, str], part: Part, stop: Event
    ) -> None:
        """Fetch one file into a draft. Raises Damaged when it is not the ``wanted`` (bytes, sha256)."""
        own = name.rpartition("/")[2]
        with sealed.open_private(draft.path(own)) as file:
            written = 0
            for block in _stoppable(self.store.read(name), stop):
                written += file.write(block)
                part.moved(len(block))
                if written > wanted[0]:
                    break  # it may have no end
        part.finish(wanted[0])
        draft.finish(own)
        size, sha = draft.files[own]
        if (size, sha) != wanted:
            raise Damaged(
                f"{self.store.url}/{name} is damaged: it has {size} bytes and sha256 {sha[:12]}… instead of"
                f" {wanted[0]} and {wanted[1][:12]}….",
                state="Nothing was fetched.",
            )


def _stoppable(found: Iterator[bytes], stop: Event) -> Iterator[bytes]:
    for block in found:
        _unless(stop)
        yield block


def _unless(stop: Event) -> None:
    if stop.is_set():
        raise Stopped
