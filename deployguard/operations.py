"""The small vocabulary that every SQL statement is lowered to before a rule looks at it.

A table, index, type or schema is named as ``schema.name`` when the statement names a schema and ``name`` when not;
unquoted identifiers are lower case, quotes are removed. SQL fragments (types, defaults, expressions) are the
original text, never re-emitted from a tree.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias


class Volatility(StrEnum):
    """How the value of a column default comes about; decides whether ADD COLUMN rewrites the table."""

    NONE = "none"
    CONSTANT = "constant"
    STABLE = "stable"  # now(), current_user: evaluated once
    VOLATILE = "volatile"  # random(), gen_random_uuid(), nextval(): once a row
    UNKNOWN = "unknown"


class Constraint(StrEnum):
    """The kinds of table constraint."""

    CHECK = "check"
    FOREIGN_KEY = "foreign key"
    UNIQUE = "unique"
    PRIMARY_KEY = "primary key"
    EXCLUDE = "exclude"
    NOT_NULL = "not null"


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """A column as a definition or the catalogue states it; ``type`` is the text as written."""

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, slots=True)
class CreateTable:
    table: str
    columns: tuple[str, ...] = ()
    references: tuple[str, ...] = ()  # tables that foreign keys inside point at
    partition_of: str | None = None
    from_query: bool = False
    temporary: bool = False
    if_not_exists: bool = False
    shapes: tuple[ColumnShape, ...] = ()  # of `columns`, where the statement defines them
    before: tuple[
        ColumnShape, ...
    ] = ()  # Alembic's batch copy: what the table that it replaces has


@dataclass(frozen=True, slots=True)
class DropTable:
    table: str
    cascade: bool = False
    if_exists: bool = False
    before: tuple[ColumnShape, ...] = ()  # SQLite: what it had, where that is known


@dataclass(frozen=True, slots=True)
class RenameTable:
    table: str
    to: str
    before: tuple[ColumnShape, ...] = ()  # SQLite: what it has, where that is known


@dataclass(frozen=True, slots=True)
class SetSchema:
    table: str
    schema: str


@dataclass(frozen=True, slots=True)
class AddColumn:
    table: str
    column: str
    type: str
    nullable: bool = True
    default: Volatility = Volatility.NONE
    default_sql: str = ""
    generated: str = ""  # "", "stored", "virtual", "identity" or "serial"
    constraints: tuple[Constraint, ...] = ()  # written inline; NOT NULL is `nullable`
    references: str | None = None
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropColumn:
    table: str
    column: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameColumn:
    table: str
    column: str
    to: str


@dataclass(frozen=True, slots=True)
class AlterType:
    table: str
    column: str
    type: str
    using: bool = False
    using_sql: str = ""
    collation: bool = False  # the statement names a collation
    old_type: str | None = None  # from the directive or the catalogue; None is unknown
    online: bool = (
        False  # MySQL: the statement demands that no row is touched (ALGORITHM=INSTANT …)
    )


@dataclass(frozen=True, slots=True)
class SetNotNull:
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class DropNotNull:
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class SetDefault:
    table: str
    column: str
    default_sql: str


@dataclass(frozen=True, slots=True)
class DropDefault:
    table: str
    column: str


@dataclass(frozen=True, slots=True)
class AddConstraint:
    table: str
    kind: Constraint
    name: str = ""
    columns: tuple[str, ...] = ()
    references: str | None = None
    expression: str = ""  # of a CHECK
    not_valid: bool = False
    using_index: str | None = None


@dataclass(frozen=True, slots=True)
class ValidateConstraint:
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class DropConstraint:
    table: str
    name: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RenameConstraint:
    table: str
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class CreateIndex:
    table: str
    name: str = ""
    columns: tuple[str, ...] = ()
    unique: bool = False
    concurrently: bool = False
    only: bool = False  # ON ONLY: not on the partitions
    if_not_exists: bool = False
    kind: str = ""  # MySQL: "fulltext" or "spatial", which block writes while they are built


@dataclass(frozen=True, slots=True)
class DropIndex:
    name: str
    concurrently: bool = False
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True, slots=True)
class RenameIndex:
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class AttachIndex:
    name: str
    child: str


@dataclass(frozen=True, slots=True)
class Reindex:
    kind: str  # "table", "index", "schema", "database" or "system"
    name: str
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    table: str
    cascade: bool = False
    partitions: tuple[str, ...] = ()  # MySQL: only their rows


@dataclass(frozen=True, slots=True)
class WriteRows:
    """INSERT, UPDATE, DELETE, MERGE or COPY FROM."""

    table: str
    verb: str  # "insert", "update", "delete", "merge" or "copy"
    where: bool = False  # restricted by a condition that is not always true
    from_query: bool = False  # INSERT … SELECT, or a writing CTE's query
    columns: tuple[str, ...] = ()  # those that are set, where the statement names them
    sources: tuple[
        str, ...
    ] = ()  # INSERT … SELECT (not PostgreSQL): the column behind each of `columns`, or ""
    copies: str = ""  # SQLite's INSERT … SELECT: the one table whose every row is copied


@dataclass(frozen=True, slots=True)
class ReadRows:
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateType:
    name: str
    values: tuple[str, ...] = ()  # of an enum


@dataclass(frozen=True, slots=True)
class AddEnumValue:
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class RenameEnumValue:
    type: str
    value: str
    to: str


@dataclass(frozen=True, slots=True)
class CreateObject:
    kind: str  # "schema", "sequence", "view", "extension", "domain", …: new, so nothing depends on it yet
    name: str
    replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class AlterObject:
    kind: str  # "sequence", "type", "domain", "view", …
    name: str
    action: str


@dataclass(frozen=True, slots=True)
class DropObject:
    kind: str  # "schema", "database", "sequence", "type", "domain", "extension", "view", "function", "trigger", …
    name: str
    cascade: bool = False
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class RefreshView:
    name: str
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class RewriteTable:
    table: str
    how: str  # "vacuum full", "cluster", "set logged", …; on MySQL "engine", "convert to character set", …


@dataclass(frozen=True, slots=True)
class RebuildTable:
    """SQLite's way to alter a table (Alembic's batch mode): copied into a new one that then takes its name.

    ``changes`` are the differences as operations on ``table``; None when the former definition is not known.
    ``lines`` are where each of them was asked for; empty, or 0 for one, where nothing tells.
    """

    table: str
    changes: "tuple[Operation, ...] | None" = None
    lines: tuple[int, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class AlterTable:
    """A table setting that is neither a rewrite nor a change of columns or constraints."""

    table: str
    action: str  # "owner to", "set statistics", "replica identity", "set (fillfactor)", …


@dataclass(frozen=True, slots=True)
class AttachPartition:
    table: str
    partition: str


@dataclass(frozen=True, slots=True)
class DetachPartition:
    table: str
    partition: str
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class ChangeTrigger:
    table: str
    action: str  # "create", "drop", "enable" or "disable"
    name: str = ""


@dataclass(frozen=True, slots=True)
class LockTable:
    table: str
    mode: str


@dataclass(frozen=True, slots=True)
class ChangeAccess:
    what: str  # "grant", "revoke", "policy", "row security", "owner", "role"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Procedural:
    what: str  # "do", "call", "execute", "create function", "create procedure", "select function"
    name: str = ""


@dataclass(frozen=True, slots=True)
class ControlTransaction:
    action: str  # "begin", "commit", "rollback", "savepoint", "release"


@dataclass(frozen=True, slots=True)
class SetSetting:
    name: str
    value: str
    local: bool = False


@dataclass(frozen=True, slots=True)
class Maintain:
    """ANALYZE, VACUUM (not FULL), COMMENT, PRAGMA that only reads, and the like: nothing is blocked or lost."""

    what: str


@dataclass(frozen=True, slots=True)
class Unrecognised:
    reason: str


Operation: TypeAlias = (
    CreateTable
    | DropTable
    | RenameTable
    | SetSchema
    | AddColumn
    | DropColumn
    | RenameColumn
    | AlterType
    | SetNotNull
    | DropNotNull
    | SetDefault
    | DropDefault
    | AddConstraint
    | ValidateConstraint
    | DropConstraint
    | RenameConstraint
    | CreateIndex
    | DropIndex
    | RenameIndex
    | AttachIndex
    | Reindex
    | Truncate
    | WriteRows
    | ReadRows
    | CreateType
    | AddEnumValue
    | RenameEnumValue
    | CreateObject
    | AlterObject
    | DropObject
    | RefreshView
    | RewriteTable
    | RebuildTable
    | AlterTable
    | AttachPartition
    | DetachPartition
    | ChangeTrigger
    | LockTable
    | ChangeAccess
    | Procedural
    | ControlTransaction
    | SetSetting
    | Maintain
    | Unrecognised
)
