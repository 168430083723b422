"""Facts of a database as a file, for a check by who may not reach it; docs/report-schema.md has the shape."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from deployguard.errors import UsageError
from deployguard.model import Facts, Json, TableFact

SCHEMA: Final = "deployguard.facts/1"
_NAME: Final = "deployguard.facts/"
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a database said of itself at one time: no rows, no address, nobody's password."""

    made: datetime
    environment: str
    database: str  # its name alone
    version_table: str  # where `current` was read
    current: tuple[str, ...]
    facts: Facts
    catalogue: Json  # None: a table was locked, and the schema could not be read


def document(snapshot: Snapshot) -> Json:
    """The snapshot as one JSON document; what is not known is null."""
    facts = snapshot.facts
    return {
        "schema": SCHEMA,
        "made": snapshot.made.astimezone(UTC).isoformat(timespec="seconds"),
        "environment": snapshot.environment,
        "database": snapshot.database,
        "dialect": facts.dialect,
        "server_version": [*facts.server_version],
        "default_schema": facts.default_schema,
        "version_table": snapshot.version_table,
        "current": [*snapshot.current],
        "tables": [_table(fact) for fact in facts.tables or ()],
        "indexes": dict(sorted(facts.indexes.items())),
        "unique_indexes": [*sorted(facts.unique_indexes)],
        "invalid_indexes": [*sorted(facts.invalid_indexes)],
        "catalogue": snapshot.catalogue,
    }


def parse(text: str, name: str) -> Snapshot:
    """Read such a document; ``name`` is what errors call it. Raises UsageError for everything that it is not."""
    try:
        value = json.loads(text)
    except ValueError:
        _refuse(name, "it is not JSON")
    if not isinstance(value, dict) or not str(value.get("schema", "")).startswith(_NAME):
        _refuse(name, "it was not written by `deployguard facts`")
    if value["schema"] != SCHEMA:
        _refuse(
            name, f"it is {value['schema']}, and this deployguard reads {SCHEMA}: use one version"
        )
    try:
        return _snapshot(_Reader(value))
    except (TypeError, ValueError) as error:
        _refuse(name, f"it is damaged: {error}")


def _refuse(name: str, why: str) -> NoReturn:
    raise UsageError(
        f"{name} cannot be used: {why}.", next_commands=("deployguard facts -o facts.json",)
    )


def _table(fact: TableFact) -> Json:
    return {
        "name": fact.table,
        "rows": _or_null(fact.rows),
        "exact": fact.exact,
        "bytes": _or_null(fact.bytes),
        "index_bytes": _or_null(fact.index_bytes),
        "partition_of": fact.partition_of,
        "partitions": [*fact.partitions],
    }


def _or_null(number: int) -> int | None:
    return None if number == _UNKNOWN else number


@dataclass(frozen=True, slots=True)
class _Reader:
    """The keys of an object by the type that they must have; TypeError names the one that has not."""

    value: Mapping[str, object]

    def text(self, key: str) -> str:
        found = self.value.get(key)
        if not isinstance(found, str):
            raise TypeError(f"{key} is not text")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.value.get(key)
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise TypeError(f"{key} is not a list of texts")
        return tuple(found)

    def number(self, key: str) -> int:
        found = self.value.get(key)
        if found is None:
            return _UNKNOWN
        if not isinstance(found, int) or isinstance(found, bool) or found < 0:
            raise TypeError(f"{key} is not a number")
        return found

    def numbers(self, key: str) -> tuple[int, ...]:
        found = self.value.get(key)
        if not isinstance(found, list) or not all(type(each) is int for each in found):
            raise TypeError(f"{key} is not a list of numbers")
        return tuple(found)

    def objects(self, key: str) -> Iterator["_Reader"]:
        found = self.value.get(key)
        if not isinstance(found, list):
            raise TypeError(f"{key} is not a list")
        for each in found:
            if not isinstance(each, dict):
                raise TypeError(f"{key} holds something that is no object")
            yield _Reader(each)

    def mapping(self, key: str) -> dict[str, str]:
        found = self.value.get(key)
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise TypeError(f"{key} is not an object of texts")
        return {str(name): str(each) for name, each in found.items()}


def _snapshot(read: _Reader) -> Snapshot:
    made = datetime.fromisoformat(read.text("made"))
    if made.tzinfo is None:
        raise ValueError("made has no time zone")
    dialect = read.text("dialect")
    catalogue = read.value.get("catalogue")
    if catalogue is not None and (
        not isinstance(catalogue, dict) or catalogue.get("dialect") != dialect
    ):
        raise TypeError("catalogue is not one of this dialect")
    return Snapshot(
        made=made,
        environment=read.text("environment"),
        database=read.text("database"),
        version_table=read.text("version_table"),
        current=read.texts("current"),
        facts=Facts(
            dialect,
            read.numbers("server_version"),
            tuple(_fact(each) for each in read.objects("tables")),
            indexes=read.mapping("indexes"),
            unique_indexes=frozenset(read.texts("unique_indexes")),
            invalid_indexes=frozenset(read.texts("invalid_indexes")),
            default_schema=read.text("default_schema"),
        ),
        catalogue=catalogue,
    )


def _fact(read: _Reader) -> TableFact:
    parent = read.value.get("partition_of")
    return TableFact(
        read.text("name"),
        read.number("rows"),
        read.number("bytes"),
        exact=read.value.get("exact") is True,
        index_bytes=read.number("index_bytes"),
        partition_of=None if parent is None else read.text("partition_of"),
        partitions=read.texts("partitions"),
    )
