"""Lets a new cluster replay archived log up to a point, on a socket of its own, and says where it has come to.

Source: the PostgreSQL manual, "Recovering Using a Continuous Archive Backup" and "Recovery Target".
"""

import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

from deployguard.config import DatabaseUrl
from deployguard.database import scratch
from deployguard.database.session import Session
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Completed

AUTO: Final = "postgresql.auto.conf"
SIGNAL: Final = "recovery.signal"
STOPPING: Final = 3600.0  # seconds that the last checkpoint may take
LOOKS: Final = 0.3  # seconds between two looks
_NOT_RUNNING: Final = 3  # what pg_ctl status ends with
_STANDING: Final = """
SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
  pg_last_wal_replay_lsn()::text, pg_last_xact_replay_timestamp()"""
# What the log must have been written with; less, and the server would pause for another reason than ours.
_AT_LEAST: Final = {
    "max_connections": "max_connections",
    "max_worker_processes": "max_worker_processes",
    "max_wal_senders": "max_wal_senders",
    "max_prepared_xacts": "max_prepared_transactions",
    "max_locks_per_xact": "max_locks_per_transaction",
}
_SETTING: Final = re.compile(r"^(\w+) setting: +(\d+)$", re.MULTILINE)
_TOO_SMALL: Final = "insufficient parameter settings"
_TOLD: Final = re.compile(r"(?:FATAL|PANIC): +(.*)")
_FETCHED: Final = "restored log file"
_OF_OURS: Final = ("starting up", "not yet accepting")  # we ask before it can answer
_STOPPED: Final = re.compile(r"LOG: +(recovery stopping .*)")


@dataclass(frozen=True, slots=True)
class Target:
    """Where to stop: at a ``time``, a ``name`` (restore point), the ``end`` of the log, or once ``consistent``."""

    kind: Literal["time", "name", "end", "consistent"]
    value: str = ""
    timeline: str = "latest"

    def settings(self) -> dict[str, str]:
        """What the server is told."""
        found = {"recovery_target_timeline": self.timeline}
        if self.kind == "time":
            found["recovery_target_time"] = self.value
        elif self.kind == "name":
            found["recovery_target_name"] = self.value
        elif self.kind == "consistent":
            found["recovery_target"] = "immediate"
        return found | {"recovery_target_action": "pause"}


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the replay ended: position, the last commit's time (None: there was none), and what the server said."""

    lsn: str
    time: datetime | None
    said: str


class NotReached(Exception):
    """The server gave up; the text is what it said."""


def settings_text(settings: Mapping[str, str]) -> str:
    """Lines of a configuration file; pure."""
    return "".join(
        f"{name} = '{value.replace(chr(39), chr(39) * 2)}'\n" for name, value in settings.items()
    )


@dataclass(slots=True)
class Recovery:
    """One cluster in ``folder``/data, a folder of ``scratch.place``. ``patience``: seconds without any progress."""

    programs: Path
    folder: Path
    environ: Mapping[str, str]
    user: str
    patience: float
    say: Callable[[str], None]
    _started: float = field(default=0.0, init=False)
    _ran: bool = field(default=False, init=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str) -> DatabaseUrl:
        """A superuser's URL of a database in it."""
        return scratch.reached_by(self.folder, self.user, database)

    @contextmanager
    def recovered(self, target: Target, restore_command: str) -> Iterator[Reached]:
        """The cluster, running as a server of its own, where ``target`` is. At the end it is stopped, and well.

        Nothing of what the old server was configured with counts meanwhile: it could archive, listen or load.
        Raises NotReached or EnvironmentUnreachable.
        """
        auto = self.data / AUTO
        former = auto.read_text(encoding="utf-8") if auto.exists() else ""
        wanted = self._settings() | target.settings() | {"restore_command": restore_command}
        auto.write_text(f"{former}\n{settings_text(wanted)}", encoding="utf-8")
        (self.data / SIGNAL).touch(0o600)
        for path in (auto, self.data / SIGNAL):
            scratch.hand_over(path)
        self._start()
        yield self._reach(target)
        self._must(self._ctl("--mode=fast", f"--timeout={STOPPING:.0f}", "--wait", "stop"), "stop")
        # Its log is on a timeline of its own now; whether that belongs into an archive is for a person to say.
        auto.write_text(
            former
            + "# Switched off by deployguard: ALTER SYSTEM RESET archive_mode\narchive_mode = 'off'\n",
            encoding="utf-8",
        )

    def _settings(self) -> dict[str, str]:
        access = self.folder / "access"
        access.write_text("local all all trust\n")  # by a socket that only its owner reaches
        scratch.hand_over(access)
        shown = self._run(["pg_controldata", str(self.data)])
        self._must(shown, "pg_controldata")
        needed = {
            _AT_LEAST[name]: value
            for name, value in _SETTING.findall(shown.stdout)
            if name in _AT_LEAST
        }
        return {
            "listen_addresses": "",
            "unix_socket_directories": str(self.url("").query["host"]),
            "unix_socket_permissions": "0700",
            "hba_file": str(access),
            "archive_mode": "off",
            "hot_standby": "on",
            "ssl": "off",
            "logging_collector": "off",
            "log_destination": "stderr",
            "log_min_messages": "log",
            "log_line_prefix": "",
            "lc_messages": "C",
            "shared_preload_libraries": "",
            "session_preload_libraries": "",
            "local_preload_libraries": "",
            "shared_buffers": "128MB",
            "huge_pages": "try",
            "max_wal_size": "4GB",
            "primary_conninfo": "",
            "primary_slot_name": "",
            "synchronous_standby_names": "",
            "recovery_end_command": "",
            "archive_cleanup_command": "",
            "autovacuum": "off",
            **needed,
        }

    def _start(self) -> None:
        conf = self.folder / "conf"
        conf.touch(0o600)
        scratch.hand_over(conf)
        self._started = time.monotonic()
        option = f"-c config_file={shlex.quote(str(conf))}"
        self._must(
            self._ctl(f"--log={self.folder / 'log'}", f"--options={option}", "--no-wait", "start"),
            "start",
        )

    def _reach(self, target: Target) -> Reached:
        """Wait until the target is reached, and let the cluster begin a timeline of its own."""
        since, seen, promoting = time.monotonic(), "", False
        reached: tuple[str, datetime | None] = ("", None)
        while True:
            row = self._standing()
            if row is not None:
                recovering, paused, lsn, at = row
                reached = (lsn or reached[0], at or reached[1])
                if not recovering:
                    return Reached(*reached, self._said(target))
                if paused and not promoting:
                    self._said(target)
                    self._promote()
                    promoting = True
            now = f"{reached} {self._log().count(_FETCHED)}"
            if now != seen:
                since, seen = time.monotonic(), now
                self.say(f"replaying the log: {reached[0] or 'not consistent yet'}")
            elif time.monotonic() - since > self.patience:
                raise NotReached(f"nothing was replayed for {self.patience:.0f} seconds")
            time.sleep(LOOKS)

    def _standing(self) -> tuple[bool, bool, str | None, datetime | None] | None:
        """What the server says; None while it says nothing. Raises NotReached when it has ended."""
        session = Session(self.url("template1"))
        try:
            recovering, paused, lsn, at = session.rows(_STANDING)[0]
        except EnvironmentUnreachable:
            if self._ended():
                raise NotReached(self._why()) from None
            return None
        finally:
            session.close()
        return recovering, paused, lsn, at

    def _ended(self) -> bool:
        """Whether the server is gone; one that was only just started may not have begun to run."""
        if self._ctl("status").code != _NOT_RUNNING:
            self._ran = True
            return False
        waited = time.monotonic() - self._started
        return self._ran or bool(_TOLD.search(self._log())) or waited > scratch.STARTING

    def _promote(self) -> None:
        session = Session(self.url("template1"))
        try:
            with session.cursor() as cursor:
                cursor.execute(b"SELECT pg_promote(false)")
        finally:
            session.close()

    def _said(self, target: Target) -> str:
        """The server's own word that it has stopped where it was told to. Raises NotReached without one."""
        log = self._log()
        if _TOO_SMALL in log:
            raise NotReached("the log was written with settings that were raised after the backup")
        found = _STOPPED.findall(log)
        if target.kind == "end":
            return "replayed to the end of the archived log"
        if not found:
            raise NotReached("it did not say that it stopped at its target")
        return str(found[-1])

    def _log(self) -> str:
        path = self.folder / "log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _why(self) -> str:
        log = self._log()
        found = [text for text in _TOLD.findall(log) if not any(word in text for word in _OF_OURS)]
        lines = log.strip().splitlines()
        return str(found[-1]) if found else (lines[-1] if lines else "it did not start")

    def _ctl(self, *words: str) -> Completed:
        return self._run(["pg_ctl", f"--pgdata={self.data}", *words])

    def _run(self, argv: list[str]) -> Completed:
        whole = [str(self.programs / argv[0]), *argv[1:]]
        return scratch.execute(whole, self.folder, self.environ, STOPPING)

    def _must(self, done: Completed, what: str) -> None:
        if not done.ok:
            raise NotReached(f"{what}: {self._why() if what != 'pg_controldata' else done.why()}")
