"""The examples that are measured, and docs/measured.json, which holds what was seen on each version."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TypeAlias

from deployguard.rules import BOOK
from tests.rules.measured_forms import FORMS
from tests.rules.measuring import Measured

FILE = Path(__file__).resolve().parents[2] / "docs" / "measured.json"
Outline: TypeAlias = "list[dict[str, object]]"
# Roles belong to the whole server, opaque code claims nothing, and what another dialect does is not seen here.
_LEFT_OUT = re.compile(
    r"dialect:|opaque:|CREATE ROLE|DROP OWNED|EXTENSION|FROBNICATE|hstore|ROLE|USER "
)


def _examples() -> tuple[str, ...]:
    book = [
        text
        for entry in BOOK
        if not entry.code.startswith("DG9")
        for text in (*entry.bad, *entry.good)
        if not _LEFT_OUT.search(text)
    ]
    return tuple(dict.fromkeys([*FORMS, *book]))


EXAMPLES = _examples()


LACKING = frozenset({"42P01", "42703", "42704", "42883", "3F000"})  # a relation, a column, …


def measured_for(example: str, version: int) -> bool:
    """Whether the example is about a server that this one can stand for; one before 15 has none."""
    match = re.search(r"^-- server: (\d+)", example, re.MULTILINE)
    return match is None or 15 <= int(match[1]) <= version


def outline(seen: Sequence[Measured]) -> Outline:
    """The part of a measurement that is kept: the strongest lock and the work, relation by relation."""
    return [
        {"sql": one.sql, "error": one.error}
        if one.error
        else {"sql": one.sql, "seen": {name: part.words() for name, part in one.relations.items()}}
        for one in seen
    ]


@cache
def recorded() -> Mapping[str, Mapping[int, Outline]]:
    """Example → version → statement by statement."""
    entries = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else []
    return {
        entry["example"]: {
            version: group["statements"]
            for group in entry["measured"]
            for version in group["versions"]
        }
        for entry in entries
    }


def render(found: Mapping[str, Mapping[int, Outline]]) -> str:
    """The file: one entry an example in a stable order, versions that agree together."""
    entries = []
    for example in EXAMPLES:
        groups: list[dict[str, object]] = []
        for version, statements in sorted(found.get(example, {}).items()):
            for group in groups:
                if group["statements"] == statements:
                    versions = group["versions"]
                    assert isinstance(versions, list)
                    versions.append(version)
                    break
            else:
                groups.append({"versions": [version], "statements": statements})
        entries.append(json.dumps({"example": example, "measured": groups}, ensure_ascii=False))
    return "[\n" + ",\n".join(entries) + "\n]\n"
