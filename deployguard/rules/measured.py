"""What servers were seen to do, statement by statement, as tables for the pages under docs/."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployguard.model import Json

_HEAD = "| statement | relation | lock | work | PostgreSQL |\n| --- | --- | --- | --- | --- |"
_LOCKS = """# Locks

What statements were seen to lock, scan and rewrite on real servers; what deployguard claims of them is compared with
this on every test run. `scripts/measure` writes the measurement (docs/measured.json), `scripts/docs` this page; the
statements of the rules' own examples are in [rules.md](rules.md), beside the rule.

"index build" counts the files of indexes that were made, or made anew. An error is given as its SQLSTATE. Locks on
indexes are left out where their table is locked as well, and so is what the transaction holds already.
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One statement of an example on the versions that agree; ``relations`` is (name, (lock, work, …))."""

    sql: str
    versions: tuple[int, ...]
    error: str
    relations: tuple[tuple[str, tuple[str, ...]], ...]


def load(entries: Json) -> Mapping[str, tuple[Seen, ...]]:
    """docs/measured.json → example → what each of its statements was seen to do, in order."""
    found: dict[str, tuple[Seen, ...]] = {}
    for entry in _objects(entries):
        seen: list[Seen] = []
        for group in _objects(entry.get("measured")):
            listed = group.get("versions")
            versions = tuple(int(str(one)) for one in listed) if isinstance(listed, list) else ()
            seen += [_seen(one, versions) for one in _objects(group.get("statements"))]
        found[str(entry.get("example"))] = tuple(seen)
    return found


def _objects(value: Json) -> Iterator[dict[str, Json]]:
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict):
            yield one


def _seen(statement: dict[str, Json], versions: tuple[int, ...]) -> Seen:
    relations = statement.get("seen")
    return Seen(
        str(statement.get("sql")),
        versions,
        str(statement.get("error") or ""),
        tuple(
            (name, tuple(str(word) for word in words if word))
            for name, words in (relations.items() if isinstance(relations, dict) else ())
            if isinstance(words, list)
        ),
    )


def table(examples: Sequence[str], measured: Mapping[str, tuple[Seen, ...]]) -> str:
    """The table of some examples; "" when nothing of them was measured, or nothing was touched."""
    merged: dict[tuple[str, str, str, str], set[int]] = {}
    for example in examples:
        for one in measured.get(example, ()):
            for row in _rows(one):
                merged.setdefault(row, set()).update(one.versions)
    rows = [
        f"| {' | '.join(row)} | {', '.join(map(str, sorted(versions)))} |"
        for row, versions in merged.items()
    ]
    return "\n".join([_HEAD, *rows]) if rows else ""


def _rows(one: Seen) -> Iterator[tuple[str, str, str, str]]:
    sql = "`" + " ".join(one.sql.split()).replace("|", "\\|") + "`"
    if one.error:
        yield sql, "", f"error {one.error}", ""
    for name, (mode, *work) in one.relations:
        yield sql, name, mode, ", ".join(work) or "brief"


def page(forms: Sequence[str], measured: Mapping[str, tuple[Seen, ...]]) -> str:
    """docs/locks.md: every measured example in ``forms``, in their order."""
    return f"{_LOCKS}\n{table(forms, measured)}\n"
