"""Where a name no longer means what it meant, what is known of it is forgotten: nothing old is taken for new."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from deployguard.model import Facts
from deployguard.operations import (
    AlterObject,
    AlterTable,
    AttachPartition,
    ControlTransaction,
    CreateTable,
    Maintain,
    Operation,
    SetSchema,
    SetSetting,
)

if TYPE_CHECKING:
    from deployguard.rules.context import Context

Pair: TypeAlias = tuple[str, str]
_PATH: Final = "search_path"
# What decides which table a bare name is: "$user" stands in the usual path.
_DECIDE: Final = frozenset((_PATH, "all", "role", "session_authorization"))
_USUAL: Final = frozenset(("public", "$user, public", '"$user", public', "'$user', public"))


def doubted(here: "Context", operation: Operation) -> "Context":
    """What is still known once ``operation`` has run; what it makes is added by others."""
    match operation:
        case SetSetting(name, value) if name.lower() in _DECIDE:
            return _after_path(here, name.lower(), value)
        case ControlTransaction("rollback" | "rollback to") | Maintain("discard"):
            return forgotten(here)
        case ControlTransaction("commit"):
            return ended(here)
        case AttachPartition(parent, table) if not here.is_made_here(table):
            return _no_longer_new(here, here.key(parent))
        case AlterTable(table, "inherit") if not here.is_made_here(table):
            return replace(here, new=frozenset())  # of one of them it is a part from now on
        case AlterObject(kind, name, action) if action.startswith("rename to "):
            return _renamed_object(here, kind, name, action.removeprefix("rename to "))
        case AlterObject(_, name, action) if action.startswith("set schema "):
            return _not_all_ours(here, here.is_new_object(name), action.removeprefix("set schema "))
        case SetSchema(table, schema):
            return _not_all_ours(here, here.is_made_here(table), schema)
        case _:
            return here


def ended(here: "Context") -> "Context":
    """After a commit: SET LOCAL is over, and tables made ON COMMIT DROP are gone."""
    path = here.known.settings.get(_PATH)
    if path and path[1]:
        here = forgotten(here)
    gone = here.known.until_commit
    known = replace(
        here.known.committed(),
        temporary=here.known.temporary - gone,
        until_commit=frozenset(),
    )
    return replace(here, new=here.new - gone, filled=here.filled - gone, known=known)


def forgotten(here: "Context") -> "Context":
    """As if the run began here, but for sizes: what was written to, made or dropped so far may have any."""
    touched = here.filled | here.new | here.gone
    again = type(here).start(here.facts)
    known = replace(again.known, settings=here.known.settings)
    return replace(
        here,
        new=frozenset(),
        filled=touched,
        objects=frozenset(),
        columns=frozenset(),
        constraints=frozenset(),
        indexes=again.indexes,
        checks=again.checks,
        proven=again.proven,
        required=frozenset(),
        references={**here.references, **again.references},
        gone=frozenset(),
        known=known,
        fresh=again.fresh,
        sizes={name: fact for name, fact in again.sizes.items() if name not in touched},
    )


def named(name: str, kind: str) -> frozenset[str]:
    """How ``Context.objects`` remembers an object: a schema and a type may have one name."""
    return frozenset((name, f"{kind} {name}"))


def shadows(here: "Context", operation: CreateTable) -> bool:
    """Whether a temporary table takes the name of one that is known: what is meant from then on is not sure."""
    table = here.key(operation.table)
    known = table in here.sizes or table in here.indexes.values() or table in here.new
    return operation.temporary and known


def moved(here: "Context", old: str, new: str) -> "Context":
    """What is known of the columns and constraints of a table goes with its name."""
    return replace(
        here,
        columns=_pairs(here.columns, old, new),
        constraints=_pairs(here.constraints, old, new),
        unvalidated=_pairs(here.unvalidated, old, new),
        proven=_pairs(here.proven, old, new),
        required=_pairs(here.required, old, new),
        checks={
            place: (new if table == old else table, column)
            for place, (table, column) in _keys(here.checks, old, new).items()
            if table != new
        },
        indexes={
            name: new if table == old else table
            for name, table in here.indexes.items()
            if table != new
        },
    )


def _pairs(pairs: Iterable[Pair], old: str, new: str) -> frozenset[Pair]:
    return frozenset(
        (new if table == old else table, name) for table, name in pairs if table != new
    )


def _keys(values: Mapping[Pair, Pair], old: str, new: str) -> dict[Pair, Pair]:
    return {
        (new if table == old else table, name): value
        for (table, name), value in values.items()
        if table != new
    }


def _after_path(here: "Context", name: str, value: str) -> "Context":
    if name == _PATH and not value.strip().strip("'\""):
        return here  # names are written with their schemas from here on
    if name == _PATH and here.known.setting(_PATH) == value.strip().strip("'\""):
        return here
    left = forgotten(here)
    if name != _PATH or value.strip().lower() in {*_USUAL, "default"}:
        return left
    # What the database says is said of the names of the usual path.
    facts = Facts(here.facts.dialect, here.facts.server_version)
    return replace(
        left, facts=facts, proven=frozenset(), checks={}, indexes={}, references={}, sizes={}
    )


def _no_longer_new(here: "Context", parent: str) -> "Context":
    """A table that holds rows of before this run now, and all that it is itself a part of."""
    seen: set[str] = set()
    while parent and parent not in seen:
        seen.add(parent)
        parent = here.known.parents.get(parent, "")
    return replace(here, new=here.new - seen, filled=here.filled | seen)


def _renamed_object(here: "Context", kind: str, name: str, to: str) -> "Context":
    if kind == "schema":
        return forgotten(here)
    schema, _, _ = here.key(name).rpartition(".")
    old, new = here.key(name), here.key(f"{schema}.{to}" if schema else to)

    def other(one: str) -> str:
        return {old: new, f"{kind} {old}": f"{kind} {new}"}.get(one, one)

    return _with_objects(here, other, named(new, kind))


def _not_all_ours(here: "Context", ours: bool, schema: str) -> "Context":
    """Something of before this run comes into a schema, which is then no longer made of what is new."""
    if ours:
        return here
    return _with_objects(here, str, named(here.key(schema), "schema"))


def _with_objects(here: "Context", name: Callable[[str], str], gone: frozenset[str]) -> "Context":
    return replace(here, objects=frozenset(name(one) for one in here.objects - gone))


def is_temporary(name: str, dialect: str) -> bool:
    """Whether a name is in the schema of temporary tables, which no other session sees."""
    schema = {"postgresql": "pg_temp", "sqlite": "temp"}.get(dialect)
    return schema is not None and name.casefold().startswith(f"{schema}.")
