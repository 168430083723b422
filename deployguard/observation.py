"""What a PostgreSQL server says of its sessions at one moment: the nouns of the watcher, without any statement."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

MIGRATION = "deployguard:"  # how the application_name of a migration's session begins; its deploy's id follows


@dataclass(frozen=True, slots=True)
class Client:
    """One server process that works for a client. Times in seconds.

    ``transaction``: since its transaction began. ``waiting``: since it waits for a lock; before PostgreSQL 14 since
    its statement began, which is no less. Both None where there is none, and where the server does not tell us.
    """

    pid: int
    application: str = ""
    user: str = ""
    ours: bool = False  # a session of the migration that is watched
    state: str = ""  # "active", "idle in transaction", …; "" when it is not told
    wait: str = ""  # "Lock/relation", "IO/DataFileRead", …; "" when it waits for nothing, or that is not told
    transaction: float | None = None
    waiting: float | None = None
    mode: str = ""  # of the lock that it waits for; "" when it waits for none
    on: str = ""  # what that lock is on: a relation, or "transactionid" and the like
    blockers: tuple[int, ...] = ()  # of whom it waits for; 0 is a prepared transaction
    holds: str = (
        ""  # a relation that it holds in ACCESS EXCLUSIVE mode, so that everybody else is kept out
    )
    hidden: bool = (
        False  # the server does not tell us its state: we are no member of pg_read_all_stats
    )

    @property
    def idle(self) -> bool:
        """Whether it holds a transaction open and runs nothing: no statement is there to be cancelled."""
        return self.state.startswith("idle in transaction")


@dataclass(frozen=True, slots=True)
class Build:
    """How far the building of an index is; of the present phase only (pg_stat_progress_create_index)."""

    pid: int
    table: str
    index: str  # "" while it has no name that others can see
    phase: str
    done: int = 0
    total: int = 0  # 0: not known

    @property
    def share(self) -> float | None:
        """Between 0 and 1; None when it is not known."""
        return min(self.done / self.total, 1.0) if self.total > 0 else None


@dataclass(frozen=True, slots=True)
class Replica:
    """One receiver of the write-ahead log. ``behind`` in bytes, ``lag`` in seconds; None is not told."""

    name: str
    state: str = ""
    behind: int | None = None
    lag: float | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What changes slowly, and is asked seldom. None: it could not be found out. Bytes."""

    replicas: tuple[Replica, ...] | None = None
    invalid: tuple[str, ...] | None = None  # indexes, without those that are being built
    size: int | None = None  # of the database
    free: int | None = None  # of the server's disk, where it is a disk of this machine
    temporary: int | None = (
        None  # of files that sorts and hashes have now; told to members of pg_monitor
    )


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the sessions of one database, all at the same moment."""

    clients: tuple[Client, ...]
    builds: tuple[Build, ...] = ()
    around: Surroundings | None = None  # None: not asked this time

    @property
    def ours(self) -> tuple[Client, ...]:
        return tuple(client for client in self.clients if client.ours)

    @property
    def hidden(self) -> int:
        """How many sessions the server tells us no more of than that they are there."""
        return sum(client.hidden for client in self.clients)

    def client(self, pid: int) -> Client | None:
        return next((client for client in self.clients if client.pid == pid), None)

    def behind(self, pids: Iterable[int]) -> tuple[Client, ...]:
        """Who waits for one of these processes, directly or through others; these themselves are not counted."""
        roots = frozenset(pids)
        waits: Mapping[int, tuple[int, ...]] = MappingProxyType(
            {client.pid: client.blockers for client in self.clients if client.blockers}
        )
        found: set[int] = set()
        grown = True
        while grown:
            more = {
                pid
                for pid, blockers in waits.items()
                if pid not in found and not (roots | found).isdisjoint(blockers)
            }
            found |= more
            grown = bool(more)
        return tuple(client for client in self.clients if client.pid in found - roots)

    @property
    def queue(self) -> tuple[Client, ...]:
        """Sessions of others that wait for the migration."""
        return self.behind(client.pid for client in self.ours)

    @property
    def culprits(self) -> tuple[Client, ...]:
        """Sessions of the migration that somebody else waits for."""
        return tuple(c for c in self.ours if any(not b.ours for b in self.behind([c.pid])))

    @property
    def longest(self) -> Client | None:
        """The session of others whose transaction has been open for the longest time, as far as that is told."""
        told = [c for c in self.clients if not c.ours and c.transaction is not None]
        return max(told, key=lambda c: c.transaction or 0.0, default=None)

    @property
    def shut(self) -> tuple[Client, ...]:
        """Sessions of others that keep everybody out of a relation, or are about to."""
        return tuple(
            c for c in self.clients if not c.ours and (c.holds or c.mode == "AccessExclusiveLock")
        )
