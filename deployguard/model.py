"""The nouns: what the rooms hand to each other, frozen and free of I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import TypeAlias

from deployguard.operations import Operation

Json: TypeAlias = "str | int | float | bool | list[Json] | dict[str, Json] | None"


class Risk(IntEnum):
    """How dangerous a migration is; the ladder of the policy."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    def __str__(self) -> str:
        return self.name.lower()


class Evidence(IntEnum):
    """What a verdict rests on, weakest first."""

    SOURCE = 1  # only the text of the revision file
    RECORDED_WITHOUT_ENV = 2  # recorded, but the project's env.py or command did not run
    RECORDED = 3  # recorded through the project's own command and env.py
    REHEARSED = 4  # run for real on a scratch database

    def __str__(self) -> str:
        return self.name.lower().replace("_", " ")


class Opaque(StrEnum):
    """Why what a revision does could not be read completely."""

    FAILED = "failed"
    DATA_DEPENDENT = "data-dependent"
    UNSEEN_WRITES = "unseen-writes"
    APPLICATION_HELPER = "application-helper"
    GUARDED = "guarded"
    EXTERNAL_INPUT = "external-input"
    PROCEDURAL = "procedural"
    UNPARSED = "unparsed"
    EMPTY = "empty"
    NON_ATOMIC = "non-atomic"


class Body(StrEnum):
    """What the source shows of an ``upgrade`` or ``downgrade`` function."""

    PRESENT = "present"
    EMPTY = "empty"  # pass, a docstring, …
    RAISES = "raises"  # its only effect is to raise
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement as it reaches the driver, with the line of the revision file that caused it."""

    sql: str
    line: int  # 1-based; 0 when no line of the revision file was on the stack
    operations: tuple[Operation, ...]
    in_transaction: bool = True
    # Outside of one: its place in a string of several, which PostgreSQL makes a transaction of; 0: it is alone.
    place: int = 0


@dataclass(frozen=True, slots=True)
class Opacity:
    """One reason why a script is not completely known."""

    code: Opaque
    line: int
    detail: str
    writes: bool = False  # the source writes data, so the floor is higher


# How the reader tells that a file was read, or that something was left out.
_FROM_FILES = (
    "it reaches for the file ",
    "it is not known what decides",
    *(f"it depends on {call}" for call in ("open", "read_text", "read_bytes", "read_csv")),
)


@dataclass(frozen=True, slots=True)
class Script:
    """One direction of a revision: what it was seen to do, and what could not be seen."""

    body: Body
    line: int = 0  # of the `def`
    statements: tuple[Statement, ...] = ()
    opacities: tuple[Opacity, ...] = ()
    own_transaction: bool = (
        False  # it begins a transaction: what earlier revisions did is committed
    )

    @property
    def unsteady(self) -> bool:
        """Whether its SQL may be another one at each reading: by the clock, chance, the environment.

        A file that it reads does not change by itself, so the SQL that comes of it counts.
        """
        return any(
            one.code is Opaque.EXTERNAL_INPUT and not one.detail.startswith(_FROM_FILES)
            for one in self.opacities
        )


@dataclass(frozen=True, slots=True)
class Revision:
    """One pending Alembic revision, read."""

    id: str
    parents: tuple[str, ...]
    path: str  # relative to the project's folder, with forward slashes
    message: str
    digest: str  # sha256 of the file, hexadecimal
    up: Script
    down: Script
    evidence: Evidence
    depends_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFact:
    """What the live database says of one table; sizes in bytes. A number that is not known is -1."""

    table: str  # schema.name; the default schema is left out
    rows: int  # an estimate unless `exact`; -1: never analysed
    bytes: int  # of the table alone, with TOAST; -1: it was locked, or took too long
    exact: bool = False
    index_bytes: int = 0  # of all its indexes
    partition_of: str | None = None
    partitions: tuple[str, ...] = ()  # those directly below it


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of the target database without changing it."""

    dialect: str  # SQLAlchemy's name: "postgresql", "sqlite", "mysql"
    server_version: tuple[int, ...] = ()  # () is unknown
    tables: tuple[TableFact, ...] | None = None  # None: no database was asked
    not_null: frozenset[tuple[str, str]] = (
        frozenset()
    )  # (table, column) that a valid CHECK keeps from NULL
    indexes: Mapping[str, str] = field(default_factory=dict)  # index → table, where it is known
    # (table, foreign key) → the table that it points at, where it is known
    references: Mapping[tuple[str, str], str] = field(default_factory=dict)
    invalid_indexes: frozenset[str] = frozenset()  # left by a concurrent build that failed
    index_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of each index
    # (table, column of a foreign key) → the tables that it points at
    points_at: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    unique_indexes: frozenset[str] = frozenset()  # those of `indexes` that keep duplicates out
    default_schema: str = "public"  # PostgreSQL: which one names leave out; "" is none
    # (table, CHECK, validated or not) → the column that it keeps from NULL
    checks: Mapping[tuple[str, str], str] = field(default_factory=dict)
    # (table, name) of every CHECK → its expression, and whether each row is known to comply
    conditions: Mapping[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    domains: frozenset[str] = frozenset()  # PostgreSQL: those with a constraint
    # SQLite: what the connection of the migrations is set to before they run, by name in lower case
    settings: Mapping[str, str] = field(default_factory=dict)
    # SQLite: (table, one that it points at) → what happens to its rows with the other's; None: not known
    on_delete: Mapping[tuple[str, str], str] | None = None
    # of a live database: own name of each relation → its columns and constraints; None: not surely all of them
    listed: Mapping[str, frozenset[str]] | None = None
    schemas: frozenset[str] = frozenset()  # those that `listed` is about
    nullable: frozenset[tuple[str, str]] = frozenset()  # (table, column) that is known to take NULL
    partitioned: frozenset[str] = frozenset()  # tables that are made of partitions
    plain_tables: frozenset[str] = frozenset()  # tables that are known not to be
    parents: Mapping[str, str] = field(
        default_factory=dict
    )  # partition → its table, by the history


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that a statement takes on a relation that existed before the migration."""

    relation: str
    mode: str  # PostgreSQL's name, for example "ACCESS EXCLUSIVE"; on SQLite "EXCLUSIVE" (the whole file)
    blocks: str  # "reads and writes", "writes" or "schema changes"
    work: str = ""  # "rewrite", "scan", "index build" or "" (brief)
    seconds: float | None = None  # an estimate of how long it is held; None where nothing tells
    basis: str = ""  # what the estimate rests on, for people


@dataclass(frozen=True, slots=True)
class Finding:
    """One danger, where it is, and what to do instead."""

    rule: str
    risk: Risk
    revision: str
    path: str
    line: int
    message: str
    why: str
    instead: str
    accepted: str = ""  # the reason of the suppression that covers it; "" is an open finding
    accepted_at: str = ""  # where that stands, "path:line"; "" is the baseline, or nowhere
    # (first, last) of the script's statements that it is about, several where they say the same; () is all of it
    statements: tuple[tuple[int, int], ...] = field(default=(), compare=False)


class Way(StrEnum):
    """How the schema change of one revision can be undone."""

    LOSSLESS = "downgrade"  # the downgrade loses nothing that existed before
    LOSSY = "downgrade-loses-data"  # it runs, but drops or overwrites data
    RESTORE = "restore-only"  # no downgrade, or it cannot bring the data back
    NOTHING = "nothing-to-undo"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Undo:
    """Whether and how a revision can be undone."""

    way: Way
    reason: str
    # what a lossless downgrade leaves different, as in "leaves the index ix"
    left: tuple[str, ...] = ()
    goes: tuple[str, ...] = ()  # tables and columns that go with it, and what was written since


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on one revision."""

    revision: Revision
    risk: Risk
    findings: tuple[Finding, ...]
    locks: tuple[Lock, ...]
    undo: Undo
    expand_only: bool  # the application of before works on the schema of after

    @property
    def open_risk(self) -> Risk:
        """The level without what was accepted; ``risk`` counts everything."""
        return max((one.risk for one in self.findings if not one.accepted), default=Risk.LOW)


@dataclass(frozen=True, slots=True)
class Answers:
    """The four questions of the operators' checklist; each a short sentence, first word yes, no or unknown."""

    drops: str
    bulk_data: str
    blocks: str
    way_back: str


class ApprovalMode(StrEnum):
    AUTOMATIC = "automatic"
    REVIEW = "review"
    APPROVAL = "approval"


class BackupMode(StrEnum):
    OPTIONAL = "optional"
    RECOMMENDED = "recommended"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Requirement:
    """What the policy demands for one level."""

    approval: ApprovalMode
    backup: BackupMode


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be deployed: the verdicts in order, what the policy demands, and the digest an approval names."""

    environment: str
    target: str  # the database, without password
    dialect: str
    current: tuple[str, ...]  # revisions the database is at; () is an empty database
    heads: tuple[str, ...]  # revisions after the migration
    verdicts: tuple[Verdict, ...]
    risk: Risk | None  # None: nothing pending
    requirement: Requirement
    answers: Answers
    digest: str  # sha256, hexadecimal
    notes: tuple[str, ...] = ()  # what limits this verdict, for people
    elsewhere: str = ""  # why deploy must refuse: env.py migrates another database than this one
    commit: str = ""  # that the revisions were read from; "" is the working copy, as it is
    nothing: str = ""  # what no verdict means, where not that a database is at `current`

    @property
    def open_risk(self) -> Risk | None:
        """The level without what was accepted, which ``check`` goes by; the gate goes by ``risk``."""
        return max((verdict.open_risk for verdict in self.verdicts), default=None)


@dataclass(frozen=True, slots=True)
class Approval:
    plan_digest: str
    by: str
    reason: str
    at: datetime
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    because: str


@dataclass(frozen=True, slots=True)
class Denied:
    reasons: tuple[str, ...]
    needs_approval: bool = False  # an approval of the plan's digest would change the answer


Decision: TypeAlias = Allowed | Denied


@dataclass(frozen=True, slots=True)
class Scope:
    """What of a database a backup holds. ``content`` is "all", "schema" or "data".

    ``tables`` and ``schemas`` are pg_dump's patterns; both empty is everything.
    """

    content: str = "all"
    tables: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it is the whole database: only such a backup counts for a deploy or can be put in its place."""
        return self.content == "all" and not self.tables and not self.schemas

    def __str__(self) -> str:
        """The word whole, or what it holds: data only, tables bookings, rooms."""
        parts = [] if self.content == "all" else [f"{self.content} only"]
        parts += [f"tables {', '.join(self.tables)}"] if self.tables else []
        parts += [f"schemas {', '.join(self.schemas)}"] if self.schemas else []
        return ", ".join(parts) or "whole"


@dataclass(frozen=True, slots=True)
class BackupRecord:
    """One sealed backup: the manifest that lies beside its files.

    ``files`` maps a file name in ``folder`` to (bytes, sha256). ``counts`` are exact rows per table inside the
    backup's own snapshot; ``estimates`` are those of tables that there was no time to count (None: not even that).
    ``seconds`` is how long taking it took. docs/backups.md describes the manifest.
    """

    id: str
    store: str  # "sqlite" or "postgresql"
    environment: str
    database: str  # name only, never a URL with a password
    created: datetime
    folder: str  # relative to the backup directory
    files: Mapping[str, tuple[int, str]]
    revision: tuple[str, ...]
    counts: Mapping[str, int]
    seconds: float
    reason: str  # its class: "pre-deploy", "emergency", "manual", "scheduled" or "phase"
    deploy: str | None = None
    git_commit: str | None = None
    git_tag: str | None = None  # of exactly that commit
    images: Mapping[str, str] = field(default_factory=dict)  # service → digest of what it ran
    tools: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""  # "directory", "custom" or "plain" of pg_dump; "" where a store has one only
    compression: str = ""  # "zstd", "gzip:6", "none", …
    jobs: int = 1  # connections that dumped at once
    scope: Scope = field(default_factory=Scope)
    estimates: Mapping[str, int | None] = field(default_factory=dict)
    format: int = 2
    recipients: int = 0  # how many identities open it; 0: it is not encrypted

    @property
    def size(self) -> int:
        """All files together, in bytes."""
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True, slots=True)
class Verification:
    """What reading a backup back has shown."""

    ok: bool
    evidence: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Drilled:
    """What restoring a backup into a scratch database has shown; ``seconds`` is how long that took."""

    ok: bool
    at: datetime
    seconds: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """Why a backup is kept for ever, who said so and when; ``at`` None: the note cannot be read."""

    reason: str
    by: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OffsiteCopy:
    """One complete copy of a backup in another place. ``url`` is the copy's own folder there.

    ``files`` maps a file's name to what proved that it is the same: sha256 as read back, or the store's checksum.
    ``manifest`` is the manifest's sha256. ``held_until``: before that the store lets nobody delete it.
    """

    url: str
    at: datetime
    manifest: str
    files: Mapping[str, str]
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: the live database was replaced, the former one is kept under ``kept_as``."""

    database: str
    kept_as: str
    counts: Mapping[str, int]
    seconds: float


@dataclass(frozen=True, slots=True)
class Release:
    """What the application runs: compose service → image, or what the configured command printed."""

    images: Mapping[str, str]  # service → image id ("sha256:…") or version text
    references: Mapping[str, str] = field(
        default_factory=dict
    )  # service → the name it was started by
    # service → the ids of its containers, which are started and stopped without being another release
    containers: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    # service → its image as a registry knows it ("name@sha256:…"), or its id
    digests: Mapping[str, str] = field(default_factory=dict, compare=False)
    # service → how it was updated, for the journal: what happened, which is no part of what runs
    details: Mapping[str, Json] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How one service will be updated: its new replicas start beside the old ones, or it is recreated.

    ``why`` says what keeps it from the former, "" when nothing does. ``gap`` is for how many seconds nobody serves,
    as far as its definition says (``basis``).
    """

    service: str
    beside: bool
    why: str = ""
    gap: float = 0.0
    basis: str = ""


class Vital(StrEnum):
    """Whether the application works. INCONCLUSIVE: nobody can say, which is neither."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class HealthSample:
    """One round of checks. ``ok`` None: one of them could not be made."""

    at: datetime
    ok: bool | None
    detail: str


@dataclass(frozen=True, slots=True)
class Health:
    """The outcome of polling or baking, and why."""

    vital: Vital
    detail: str
    samples: tuple[HealthSample, ...] = ()

    @property
    def ok(self) -> bool:
        return self.vital is Vital.HEALTHY
