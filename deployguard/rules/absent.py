"""What a live database shows not to exist: dropping it IF EXISTS does nothing, and replacing it creates it."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Final

from deployguard.model import Json, Opaque, Script, Statement
from deployguard.operations import (
    AlterObject,
    ControlTransaction,
    CreateObject,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropObject,
    DropTable,
    Operation,
    Procedural,
    RenameTable,
    SetSchema,
    SetSetting,
    Unrecognised,
)

if TYPE_CHECKING:
    from deployguard.rules.context import Context

# Code may make anything; behind these a name may stand for another table.
_UNKNOWN: Final = (
    Unrecognised,
    Procedural,
    SetSetting,
    ControlTransaction,
    DropTable,
    RenameTable,
    SetSchema,
)
_VIEWS: Final = {"view", "materialized view"}
# These stand for statements that are known, or for none.
_KNOWN: Final = {Opaque.EMPTY, Opaque.NON_ATOMIC}


def listed(catalogue: dict[str, Json]) -> dict[str, frozenset[str]] | None:
    """Own name of each relation → its columns and constraints; None where not every name is surely there.

    Only ``Database.catalogue()`` has a format: what was replayed from the history is what should be there.
    """
    if catalogue.get("format") != 1 or not isinstance(catalogue.get("schemas"), list):
        return None
    found: dict[str, frozenset[str]] = {}
    for kind in ("tables", "views"):
        for relation in _entries(catalogue.get(kind)):
            parts = {
                str(one.get("name")).casefold()
                for key in ("columns", "foreign_keys", "uniques", "checks", "indexes")
                for one in _entries(relation.get(key))
            }
            parts |= {
                str(one.get("name")).casefold() for one in _entries([relation.get("primary_key")])
            }
            name = str(relation.get("name")).casefold()
            # One name in several schemas counts as all of them together.
            found[name] = found.get(name, frozenset()) | parts
            for index in _entries(relation.get("indexes")):
                found.setdefault(str(index.get("name")).casefold(), frozenset())
    return found


def without_absent(script: Script, here: "Context") -> tuple[Script, "Context"]:
    """``script`` without what does nothing, and the context with every name that it uses."""
    if here.facts.listed is None or here.named is None:
        return script, here
    if any(one.code not in _KNOWN for one in script.opacities):
        return script, replace(here, named=None)  # it may make anything
    statements: list[Statement] = []
    for statement in script.statements:
        kept: list[Operation] = []
        for operation in statement.operations:
            if not _absent(operation, here):
                kept.append(_created(operation, here))
                here = _after(operation, here)
        statements.append(replace(statement, operations=tuple(kept)))
    return replace(script, statements=tuple(statements)), here


def _absent(operation: Operation, here: "Context") -> bool:
    match operation:
        case DropTable(table, if_exists=True) | DropIndex(table, if_exists=True):
            return _is_free(table, here)
        case DropObject(kind, name, if_exists=True) if kind in _VIEWS:
            return _is_free(name, here)
        case DropColumn(table, name, if_exists=True):
            return _has_no(table, name, here)
        # NOT NULL is a constraint with a name from PostgreSQL 18 on, which is not listed.
        case DropConstraint(table, name, if_exists=True) if here.older_than(18):
            return _has_no(table, name, here)
        case _:
            return False


def _created(operation: Operation, here: "Context") -> Operation:
    match operation:
        case CreateObject("view", name, replace=True) if _is_free(name, here):
            return replace(operation, replace=False)
        case _:
            return operation


def _after(operation: Operation, here: "Context") -> "Context":
    """Every name that it uses may be one that it makes; of code, a rollback or another path, nobody knows."""
    unknown = isinstance(operation, _UNKNOWN) and not _is_harmless(operation)
    if unknown or (isinstance(operation, AlterObject) and operation.kind == "schema"):
        return replace(here, named=None)
    return replace(here, named=(here.named or frozenset()) | frozenset(_names(operation)))


def _is_harmless(operation: Operation) -> bool:
    return isinstance(operation, SetSetting) and operation.name.lower().endswith("_timeout")


def _names(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield from (word.strip('"').casefold() for word in value.replace(".", " ").split())
    elif isinstance(value, tuple):
        for one in value:
            yield from _names(one)
    elif hasattr(type(value), "__dataclass_fields__"):
        for entry in fields(value):  # type: ignore[arg-type]  # it is one of our own nouns
            yield from _names(getattr(value, entry.name))


def _is_free(name: str, here: "Context") -> bool:
    schema, _, own = name.casefold().rpartition(".")
    plain = schema in ("", here.facts.default_schema, *here.facts.schemas)
    return plain and own not in (here.facts.listed or {}) and _is_unused(own, here)


def _has_no(table: str, part: str, here: "Context") -> bool:
    own = table.casefold().rpartition(".")[2]
    parts = (here.facts.listed or {}).get(own)
    if parts is None or part.casefold() in parts:
        return False
    return _is_unused(part.casefold(), here)


def _is_unused(own: str, here: "Context") -> bool:
    # What sets another path is seen; in a name that is no plain word a comparison could go wrong.
    usual = here.known.setting("search_path") is None and own.isidentifier()
    return usual and here.named is not None and own not in here.named


def _entries(value: Json) -> Iterator[dict[str, Json]]:
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, dict):
            yield entry
