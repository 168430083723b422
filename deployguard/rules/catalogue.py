"""What a snapshot of the schema adds to the facts: indexes, foreign keys, proofs that nothing is NULL."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from deployguard.model import Facts, Json
from deployguard.operations import AddConstraint, Constraint
from deployguard.rules.absent import listed
from deployguard.rules.known import not_null_column

DELETES = frozenset({"cascade", "set null", "set default"})  # what ON DELETE does to rows
_TABLE = re.compile(r"\s*create\s+(?:virtual\s+)?table\s+(?![\"'`\[]?sqlite_)", re.IGNORECASE)


def enriched(facts: Facts, catalogue: Json) -> Facts:
    """``facts`` with what ``Database.catalogue()`` says of PostgreSQL, and of SQLite its foreign keys."""
    if isinstance(catalogue, dict) and catalogue.get("dialect") == "sqlite":
        return replace(facts, on_delete=_on_delete(catalogue))
    if not isinstance(catalogue, dict) or catalogue.get("dialect") != "postgresql":
        return facts
    default = catalogue.get("default_schema")
    indexes, references, not_null = dict(facts.indexes), dict(facts.references), set(facts.not_null)
    indexed, points_at = dict(facts.index_columns), dict(facts.points_at)
    unique, checks = set(facts.unique_indexes), dict(facts.checks)
    conditions = dict(facts.conditions)
    nullable, parents = set(facts.nullable), dict(facts.parents)
    kinds: dict[bool, set[str]] = {True: set(facts.partitioned), False: set()}
    for table in _entries(catalogue, "tables"):
        name = _name(table.get("schema"), table.get("name"), default)
        if isinstance(table.get("partitioned"), bool):
            kinds[table["partitioned"] is True].add(name)
        for index in _entries(table, "indexes"):
            own = _name(table.get("schema"), index.get("name"), default)
            indexes[own] = name
            if index.get("unique"):
                unique.add(own)
            indexed[own] = _columns(index, "column_names")
        for key in _entries(table, "foreign_keys"):
            other = _name(key.get("referred_schema"), key.get("referred_table"), default)
            references[name, str(key.get("name"))] = other
            for column in _columns(key, "constrained_columns"):
                points_at[name, column] = points_at.get((name, column), frozenset()) | {other}
        required = frozenset((name, column) for column in _proven(name, table))
        not_null |= required
        nullable |= {(name, str(one.get("name"))) for one in _entries(table, "columns")} - required
        match table.get("partition_of"):
            case [schema, parent]:
                parents[name] = _name(schema, parent, default)
        checks |= _checks(name, table)
        conditions |= {
            (name, str(check.get("name"))): (str(check.get("sqltext") or ""), _valid(check))
            for check in _entries(table, "checks")
        }
    return replace(
        facts,
        indexes=indexes,
        references=references,
        not_null=frozenset(not_null),
        unique_indexes=frozenset(unique),
        index_columns=indexed,
        points_at=points_at,
        checks=checks,
        conditions=conditions,
        domains=frozenset(_domains(catalogue, default)),
        partitioned=frozenset(kinds[True]),
        plain_tables=frozenset(kinds[False]),
        listed=listed(catalogue) if facts.tables is not None else None,
        schemas=frozenset(_strings(catalogue.get("schemas"))),
        nullable=frozenset(nullable),
        parents=parents,
    )


def _domains(catalogue: dict[str, Json], default: Json) -> Iterator[str]:
    """Those with a constraint."""
    for domain in _entries(catalogue, "domains"):
        if domain.get("checks") or domain.get("nullable") is False:
            yield _name(domain.get("schema"), domain.get("name"), default)


def _strings(value: Json) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


def _on_delete(catalogue: dict[str, Json]) -> dict[tuple[str, str], str] | None:
    """What happens to the rows of each SQLite table with those that they point at; None when that is not known.

    The schema is its SQL, which SQLite itself reads best: it is made in memory, and asked there.
    """
    statements = catalogue.get("sql")
    if not isinstance(statements, list):
        return None
    found: dict[tuple[str, str], str] = {}
    try:
        with closing(sqlite3.connect(":memory:")) as link:
            for text in statements:
                if _TABLE.match(str(text)):
                    link.execute(str(text))
            asked = (
                'SELECT lower(m.name), lower(f."table"), lower(f.on_delete) FROM sqlite_master m,'
                " pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
            )
            for own, other, action in link.execute(asked).fetchall():
                if found.get((own, other)) not in DELETES:
                    found[own, other] = action
    except sqlite3.Error:  # a virtual table whose module is not here
        return None
    return found


def _columns(value: dict[str, Json], key: str) -> tuple[str, ...]:
    """Names of columns; an expression in an index has none."""
    entries = value.get(key)
    return (
        tuple(str(entry) for entry in entries or () if entry) if isinstance(entries, list) else ()
    )


def _proven(name: str, table: dict[str, Json]) -> Iterator[str]:
    for entry in _entries(table, "columns"):
        # PostgreSQL 18 has NOT NULL constraints that were not validated yet.
        if entry.get("nullable") is False and not entry.get("not_validated"):
            yield str(entry.get("name"))
    for check in _entries(table, "checks"):
        column = _kept(name, check) if _valid(check) else None
        if column is not None:
            yield column


def _valid(check: dict[str, Json]) -> bool:
    options = check.get("dialect_options")
    return not (isinstance(options, dict) and options.get("not_valid"))


def _checks(name: str, table: dict[str, Json]) -> dict[tuple[str, str], str]:
    """Those that keep a column from NULL, by name; one that is not valid yet may be validated by this run."""
    found = {str(check.get("name")): _kept(name, check) for check in _entries(table, "checks")}
    return {(name, check): column for check, column in found.items() if column is not None}


def _kept(name: str, check: dict[str, Json]) -> str | None:
    text = str(check.get("sqltext") or "")
    return not_null_column(AddConstraint(name, Constraint.CHECK, expression=text))


def _entries(value: dict[str, Json], key: str) -> Iterator[dict[str, Json]]:
    entries = value.get(key)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield entry


def _name(schema: Json, name: Json, default: Json) -> str:
    return str(name) if schema is None or schema == default else f"{schema}.{name}"
