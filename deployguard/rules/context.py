"""What is known when a statement is judged: a fold over everything that the pending run did before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from deployguard.model import Facts, Lock, TableFact
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AddEnumValue,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    DropConstraint,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    Operation,
    RebuildTable,
    RenameColumn,
    RenameIndex,
    RenameTable,
    SetNotNull,
    SetSchema,
    ValidateConstraint,
    WriteRows,
)
from deployguard.rules.doubt import doubted, ended, is_temporary, moved, named, shadows
from deployguard.rules.fresh import Fresh
from deployguard.rules.known import Known, not_null_column


@dataclass(frozen=True, slots=True)
class Context:
    """Everything is named by :meth:`key`, so that ``public.t`` and ``t`` are one table."""

    facts: Facts
    new: frozenset[str] = frozenset()  # tables created in this run
    filled: frozenset[str] = frozenset()  # those of them that have been written to since
    objects: frozenset[str] = frozenset()  # types, views, sequences, schemas, … created in this run
    columns: frozenset[tuple[str, str]] = frozenset()  # added in this run
    indexes: Mapping[str, str] = field(default_factory=dict)  # index → its table, where known
    constraints: frozenset[tuple[str, str]] = frozenset()  # (table, name) added in this run
    unvalidated: frozenset[tuple[str, str]] = frozenset()  # NOT VALID, added in this transaction
    checks: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    proven: frozenset[tuple[str, str]] = frozenset()  # (table, column) that can't be NULL any more
    required: frozenset[tuple[str, str]] = frozenset()  # (table, column) set NOT NULL in this run
    enum_values: frozenset[tuple[str, str]] = frozenset()  # added in this transaction
    held: Mapping[str, Lock] = field(default_factory=dict)  # the strongest of each relation in it
    references: Mapping[tuple[str, str], str] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()  # tables that this run dropped or gave another name
    sizes: Mapping[str, TableFact] = field(default_factory=dict)  # what the live database says
    namesakes: Mapping[str, Sequence[TableFact]] = field(default_factory=dict)  # with a schema
    known: Known = field(default_factory=Known)
    fresh: Fresh = field(default_factory=Fresh)
    steps: tuple[Operation, ...] = ()  # all that the revision at hand does
    done: int = 0  # how many of them, with the one at hand
    named: frozenset[str] | None = frozenset()  # what this run has used; None: it may have made any
    sql: str = ""  # the statement at hand
    in_transaction: bool = True
    string: bool = False  # it is one that the server makes of several statements in one string
    rebuilding: bool = (
        False  # SQLite copies the table anyway, so a value for each row costs nothing more
    )

    @classmethod
    def start(cls, facts: Facts) -> "Context":
        here = cls(
            facts,
            indexes=dict(facts.indexes),
            proven=facts.not_null,
            references=dict(facts.references),
            checks={place: (place[0], column) for place, column in facts.checks.items()},
        )
        sizes = {here.key(fact.table): fact for fact in facts.tables or ()}
        others: dict[str, list[TableFact]] = {}
        for name, fact in sizes.items():
            schema, _, own = name.rpartition(".")
            if schema:
                others.setdefault(own, []).append(fact)
        return replace(here, known=Known.start(facts, here.key), sizes=sizes, namesakes=others)

    @property
    def dialect(self) -> str:
        return self.facts.dialect

    @property
    def postgresql(self) -> bool:
        return self.dialect == "postgresql"

    @property
    def sqlite(self) -> bool:
        return self.dialect == "sqlite"

    @property
    def mysql(self) -> bool:
        return self.dialect in {"mysql", "mariadb"}

    def older_than(self, *version: int) -> bool:
        """Whether the server is known to be older; an unknown version is taken to be a current one."""
        return bool(self.facts.server_version) and self.facts.server_version < version

    def at_least(self, *version: int) -> bool:
        """Whether the server is known to be this version or a newer one."""
        return self.facts.server_version >= version

    def key(self, name: str) -> str:
        """One spelling for a table: without the default schema, folded where the server folds."""
        facts = self.facts
        if facts.dialect == "postgresql":
            folded, default = name, facts.default_schema
        else:
            folded, default = name.casefold(), "main"
        if is_temporary(folded, facts.dialect):
            own = folded.partition(".")[2]
            return own if own in self.known.temporary else folded
        bare = folded.removeprefix(f"{default}.") if default and "." in folded else folded
        # A temporary table hides the other one, which is then called by its schema.
        return folded if bare in self.known.temporary else bare

    def is_new(self, table: str) -> bool:
        """Created in this run and still empty, or temporary: nobody uses it, so nothing can be blocked or lost."""
        name = self.key(table)
        own = name in self.new & self.known.temporary or is_temporary(name, self.dialect)
        return name in self.new - self.filled or own

    def is_made_here(self, table: str) -> bool:
        """Created in this run; it may hold rows by now, but only rows of this run."""
        return self.key(table) in self.new or is_temporary(table, self.dialect)

    def is_new_object(self, name: str, kind: str = "") -> bool:
        """Created in this run; with ``kind``, as one: a schema and a type may have one name."""
        if kind:
            return f"{kind} {self.key(name)}" in self.objects
        return self.key(name) in self.objects or self.key(name) in self.new

    def may_be_partitioned(self, table: str) -> bool:
        """False only where the table is known, and no partition of it."""
        name = self.key(table)
        if name in self.known.partitioned:
            return True
        return self.fact(table) is None and name not in self.facts.plain_tables

    def may_be_indexed(self, table: str, column: str) -> bool:
        """False only where the live database knows the table, and no index on the column."""
        own = {index for index, owner in self.indexes.items() if owner == self.key(table)}
        named = any(column in self.known.indexed.get(index, (column,)) for index in own)
        return named or self.fact(table) is None

    def table_of(self, index: str) -> str | None:
        """The table of an index; None when nothing tells."""
        known = self.indexes.get(self.key(index))
        return known or (index.rpartition(".")[0] or None if self.mysql else None)

    def fact(self, table: str) -> TableFact | None:
        """What the live database says of a table; None when it was not asked or doesn't know it."""
        return self.sizes.get(self.key(table))

    def twins(self, table: str) -> Sequence[TableFact]:
        """Tables of the same name in other schemas: with tenants, the search path decides which one is meant."""
        return () if "." in table else self.namesakes.get(self.key(table), ())

    def ahead(self) -> tuple[Operation, ...]:
        """What the same revision does after the operation at hand."""
        return self.steps[self.done :]

    def begin(self, *, own_transaction: bool) -> "Context":
        """The next revision; in a transaction of its own what came before is committed."""
        if not own_transaction:
            return self
        return replace(ended(self), unvalidated=frozenset(), enum_values=frozenset(), held={})

    def at(self, sql: str, *, in_transaction: bool, place: int = 0) -> "Context":
        """The statement that is judged next; outside a transaction everything before it is committed."""
        inside = in_transaction or place > 0
        here = replace(self, sql=sql, in_transaction=inside, string=place > 0)
        goes_on = place > 1 or (in_transaction and not self.string)
        return here if goes_on else here.begin(own_transaction=True)

    def after(self, operation: Operation) -> "Context":
        """The context once ``operation`` has run."""
        here = doubted(self, operation).changed(operation)
        known = here.known.after(operation, here.key, self.sql, in_transaction=here.in_transaction)
        fresh = here.fresh.after(operation, here.key, self.sql)
        return replace(here, known=known, fresh=fresh)

    def changed(self, operation: Operation) -> "Context":
        match operation:
            case CreateTable():
                return self._after_create_table(operation)
            case DropTable(table) | RenameTable(table) | SetSchema(table):
                return self._after_move(operation, self.key(table))
            case WriteRows(table, verb):
                # An UPDATE or DELETE of an empty table leaves it empty.
                grows = {self.key(table)} if verb not in {"update", "delete"} else set()
                return replace(self, filled=self.filled | grows)
            case CreateObject(_, _, replaces, exists) if replaces or exists:
                return self  # it may have been there before
            case CreateObject(kind, name):
                return replace(self, objects=self.objects | named(self.key(name), kind))
            case CreateType(name):
                return replace(self, objects=self.objects | named(self.key(name), "type"))
            case DropObject(kind, name):
                return replace(self, objects=self.objects - named(self.key(name), kind))
            case CreateIndex() | DropIndex() | RenameIndex():
                return self._after_index(operation)
            case AddColumn(table, column) if not operation.if_not_exists:
                return replace(self, columns=self.columns | {(self.key(table), column)})
            case RenameColumn(table, column, to):
                owner = self.key(table)
                moved = {(owner, to)} if (owner, column) in self.columns else set()
                return replace(self, columns=(self.columns - {(owner, column)}) | moved)
            case AddConstraint() | ValidateConstraint() | SetNotNull():
                return self._after_constraint(operation)
            case DropConstraint(table, name):
                lost = {self.checks.get((self.key(table), name))} - self.required
                return replace(self, proven=self.proven - lost)
            case DropNotNull(table, column):
                gone = {(self.key(table), column)}
                return replace(self, proven=self.proven - gone, required=self.required - gone)
            case AddEnumValue(type_name, value):
                if not self.in_transaction:
                    return self
                return replace(self, enum_values=self.enum_values | {(self.key(type_name), value)})
            case RebuildTable(_, changes):
                here = self
                for change in changes or ():
                    here = here.after(change)
                return here
            case _:
                return self

    def _after_create_table(self, operation: CreateTable) -> "Context":
        table = self.key(operation.table)
        # IF NOT EXISTS may find the table there, with rows; only the live database can tell.
        unknown = operation.if_not_exists and self.facts.tables is None
        if unknown or self.is_there(operation) or shadows(self, operation):
            return self
        filled = self.filled | {table} if operation.from_query else self.filled - {table}
        return replace(self, new=self.new | {table}, filled=filled, gone=self.gone - {table})

    def is_there(self, operation: CreateTable) -> bool:
        """Whether the live database has the table that is to be created, so that it is not a new one."""
        table = self.key(operation.table)
        known = self.fact(operation.table) is not None and table not in self.gone | self.new
        return known and not operation.temporary

    def _after_move(self, operation: DropTable | RenameTable | SetSchema, table: str) -> "Context":
        new, filled = self.new - {table}, self.filled - {table}
        to = ""
        if isinstance(operation, RenameTable):
            schema, _, _ = table.rpartition(".")
            to = f"{schema}.{operation.to}" if schema else operation.to
        elif isinstance(operation, SetSchema):
            to = f"{operation.schema}.{table.rpartition('.')[2]}"
        if to and table in self.new:
            new |= {self.key(to)}
            filled |= {self.key(to)} if table in self.filled else set()
        here = moved(self, table, self.key(to)) if to else self
        return replace(here, new=new, filled=filled, gone=(self.gone | {table}) - {self.key(to)})

    def _after_index(self, operation: CreateIndex | DropIndex | RenameIndex) -> "Context":
        indexes = dict(self.indexes)
        match operation:
            case CreateIndex(table, name):
                # An index is named within its schema, on MySQL within its table.
                schema = self.key(table) if self.mysql else self.key(table).rpartition(".")[0]
                indexes[f"{schema}.{name}" if schema else name] = self.key(table)
            case DropIndex(name):
                indexes.pop(self.key(name), None)
            case RenameIndex(name, to):
                owner = indexes.pop(self.key(name), "")
                if owner:
                    indexes[f"{owner}.{to}" if self.mysql else self.key(to)] = owner
        return replace(self, indexes=indexes)

    def _after_constraint(
        self, operation: AddConstraint | ValidateConstraint | SetNotNull
    ) -> "Context":
        table = self.key(operation.table)
        match operation:
            case SetNotNull(_, column):
                return replace(self, required=self.required | {(table, column)})
            case ValidateConstraint(_, name):
                proven = self.proven
                if (table, name) in self.checks:
                    proven |= {self.checks[table, name]}
                return replace(self, proven=proven)
            case AddConstraint(_, _, name):
                return self._after_add_constraint(operation, table, name)

    def _after_add_constraint(self, operation: AddConstraint, table: str, name: str) -> "Context":
        here = replace(self, constraints=self.constraints | {(table, name)})
        if operation.references:
            references = {**self.references, (table, name): self.key(operation.references)}
            here = replace(here, references=references)
        if operation.not_valid and self.in_transaction:
            here = replace(here, unvalidated=here.unvalidated | {(table, name)})
        column = not_null_column(operation)
        if column is None:
            return here
        if operation.not_valid:
            return replace(here, checks={**here.checks, (table, name): (table, column)})
        return replace(
            here,
            checks={**here.checks, (table, name): (table, column)},
            proven=here.proven | {(table, column)},
        )
