"""What people are told of backups: that one was taken, failed, or, once for each time it was due, is missing."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from deployguard.backups.offsite_base import has_data
from deployguard.config import Config, Environment, Event
from deployguard.deploy.offsite import NotCopied
from deployguard.errors import Busy, DeployguardError, UsageError
from deployguard.formats import Standing
from deployguard.model import BackupRecord, OffsiteCopy
from deployguard.notify import Delivery, Message, Notifier
from deployguard.state import prepare_folder

_TITLES: Final[dict[Event, str]] = {
    "backup-failed": "backup failed",
    "offsite-failed": "off-site copy failed",
    "drill-failed": "restore drill failed",
    "prune-failed": "removing old backups failed",
}
_LOOK: Final = "deployguard backup status --env {env}"


@dataclass(frozen=True, slots=True)
class Teller:
    """Tells of the backups of one environment."""

    notifier: Notifier
    config: Config
    environment: Environment

    @contextmanager
    def telling(self, event: Event, *, unattended: bool = False) -> Iterator[None]:
        """Tell when the block fails. Whoever types a wrong name sees that; ``unattended`` nobody does."""
        try:
            yield
        except Exception as error:
            wrong = isinstance(error, Busy | UsageError)
            if unattended or not wrong:
                self.failed(event, error)
            raise

    def failed(self, event: Event, error: Exception) -> None:
        """Something failed."""
        if isinstance(error, NotCopied):
            event = "offsite-failed"
        look = (_LOOK.format(env=self.environment.name),)
        if isinstance(error, DeployguardError):
            said = f"{error.message} (exit code {error.exit_code})"
            self._tell(event, _TITLES[event], said, error.state, error.next_commands or look)
        else:
            said = f"A bug in deployguard: {type(error).__name__} (exit code 1)."
            state = "The live database was not changed. No backup may be the result."
            self._tell(event, _TITLES[event], said, state, look)

    def taken(self, record: BackupRecord, copy: OffsiteCopy | None) -> None:
        """A backup was taken and read back."""
        part = "" if record.scope.whole else f" of a part ({record.scope})"
        size = f"{record.size} bytes in {record.seconds:.0f} s"
        said = f"The backup {record.id}{part} was taken ({size}) and read back."
        lies = "It lies on this machine only." if has_data(record) else "Its data lie in AWS."
        state = f"It is copied to {copy.url}." if copy else lies
        look = (f"deployguard backup show {record.id} --env {self.environment.name}",)
        self._tell("backup-taken", "backup taken", said, state, look)

    def standing(self, report: Standing, now: datetime) -> tuple[Delivery, ...]:
        """Tell what ``backup status`` finds: once, and again for each further backup that is missing.

        Whom it has reached is kept in the state folder, so that a monitor may ask every minute.
        """
        path = self.config.state_directory / f"told-{self.environment.name}.json"
        if not report.problems:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return ()
        overdue = report.newest is None or (report.due is not None and now > report.due)
        event: Event = "backup-missed" if overdue else "backup-failed"
        if not self.notifier.wants(event):
            return ()
        every = timedelta(hours=self.environment.retention.hours_between)
        try:
            with _memory(path) as memory:
                return self._once(memory, report, event, now, every)
        except BlockingIOError:  # another one is telling it right now
            return ()
        except OSError:  # better twice than never
            return self._once(_Memory(), report, event, now, every)

    def _once(
        self, memory: "_Memory", report: Standing, event: Event, now: datetime, every: timedelta
    ) -> tuple[Delivery, ...]:
        memory.begin(report, event, now, every)
        title = "no recent backup" if event == "backup-missed" else "the backups are not well"
        message = self._message(
            event,
            title,
            " ".join(report.problems),
            "`backup status` ends with exit code 20. The live database was not touched.",
            report.next_commands,
        )
        self.notifier.tell(message, skip=memory.reached)
        found = self.notifier.wait()
        memory.reached += [one.address for one in found if not one.problem]
        return found

    def _tell(
        self, event: Event, word: str, said: str, state: str, commands: tuple[str, ...]
    ) -> None:
        self.notifier.tell(self._message(event, word, said, state, commands))

    def _message(
        self, event: Event, word: str, said: str, state: str, commands: tuple[str, ...]
    ) -> Message:
        title = f"{self.config.project.name} {self.environment.name}: {word}"
        return Message(event, title, said, state, commands)


@dataclass(slots=True)
class _Memory:
    """What was told last: ``key`` names it, ``since`` when it was first seen, ``reached`` who has got it."""

    key: str = ""
    since: str = ""
    reached: list[str] = field(default_factory=list)

    def begin(self, report: Standing, event: Event, now: datetime, every: timedelta) -> None:
        """Turn to what is to be told now; who was told of something else was not told of this."""
        name, others = "", report.problems
        if event == "backup-missed":
            name, others = report.newest.record.id if report.newest else "none", others[1:]
        said = hashlib.sha256("\n".join(others).encode()).hexdigest() if others else ""
        began = self.since if self.key.startswith(f"{name} ") else ""
        self.since = report.due.isoformat() if report.due else began or now.isoformat()
        number = (now - datetime.fromisoformat(self.since)) // every if name else 0
        key = f"{name} {number} {said}"
        if key != self.key:
            self.key, self.reached = key, []


@contextmanager
def _memory(path: Path) -> Iterator[_Memory]:
    """The memory, in a file for its owner only; kept when the block ends. Raises OSError: BlockingIOError is busy."""
    prepare_folder(path.parent)
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        memory = _read(file.read())
        yield memory
        file.seek(0)
        file.truncate()
        json.dump(asdict(memory), file)


def _read(text: str) -> _Memory:
    """What a file says; what cannot be read was never told."""
    try:
        content = json.loads(text)
        datetime.fromisoformat(content["since"])
        reached = [str(name) for name in content["reached"]]
        return _Memory(str(content["key"]), str(content["since"]), reached)
    except (ValueError, KeyError, TypeError):
        return _Memory()
