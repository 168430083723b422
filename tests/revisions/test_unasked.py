"""Without a catalogue the history is replayed only for those who ask what it made, and nobody sees a difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployguard.operations import AlterType
from deployguard.process import run
from deployguard.revisions import recording
from deployguard.revisions.reader import ProjectSource, Reading, ReadRequest, read
from tests.revisions.projects import URLS, chain, named

HISTORY = (
    """op.create_table("people", sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("wage", sa.Numeric(8, 2)))""",
    "op.execute(\"CREATE TYPE mood AS ENUM ('good', 'bad')\")",
)
PLAIN = {
    "column": 'op.add_column("people", sa.Column("nick", sa.Text))',
    "index": 'op.create_index("i", "people", ["wage"])',
    "table": 'op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))',
    "drop": 'op.drop_column("people", "wage")',
    "rename": 'op.rename_table("people", "persons")',
    "text": 'op.execute("UPDATE people SET wage = 0")',
    "constraint": 'op.create_check_constraint("c", "people", "wage > 0")',
}
# None of the words that give it away is in the text.
HIDDEN = {
    "old type": 'getattr(op, "alter_" + "column")("people", "wage", type_=sa.Numeric(12, 2))',
    "look": 'names = getattr(sa, "ins" + "pect")(getattr(op, "get_" + "bind")()).get_table_names()\n'
    'op.execute("ANALYZE " + names[0])',
    "named": 'getattr(sa, "En" + "um")("good", name="mood").create(getattr(op, "get_" + "bind")(), **{"check" + "first": True})',
    "weighed": 'op.execute("CREATE INDEX CONCUR" + "RENTLY i ON people (wage)")',
    "pointed at": 'op.drop_table("people")',
    "caught": 'try:\n    names = getattr(sa, "ins" + "pect")(getattr(op, "get_" + "bind")()).get_table_names()\n'
    "except BaseException:\n    names = []\nop.execute(f\"COMMENT ON TABLE people IS '{len(names)}'\")",
}


@pytest.fixture
def told(tmp_path: Path) -> Callable[[str], tuple[Reading, int]]:
    """(the reading, how many children it took) of a pending upgrade."""

    def of(pending: str) -> tuple[Reading, int]:
        folder = tmp_path / "project"
        if not folder.exists():
            chain(folder, *HISTORY, pending)
        started: list[object] = []

        def counted(*given: Any, **options: Any) -> Any:
            started.append(given)
            return run(*given, **options)

        request = ReadRequest("postgresql", URLS["postgresql"], "DATABASE_URL", ("r2",))
        return read(ProjectSource(folder), request, run=counted), len(started)

    return of


@pytest.mark.parametrize("pending", PLAIN.values(), ids=PLAIN)
def test_who_does_not_ask_is_read_without_the_history(
    told: Callable[[str], tuple[Reading, int]], monkeypatch: pytest.MonkeyPatch, pending: str
) -> None:
    found, children = told(pending)
    assert children == 1
    assert not any("replayed" in note for note in found.notes)
    monkeypatch.setattr(recording, "_replay", lambda _order: "always")
    replayed, _ = told(pending)
    assert any("replayed" in note for note in replayed.notes)
    assert found.revisions == replayed.revisions
    assert found.revisions[0].up.statements


@pytest.mark.parametrize("pending", HIDDEN.values(), ids=HIDDEN)
def test_who_asks_is_read_again_after_the_history(
    told: Callable[[str], tuple[Reading, int]], monkeypatch: pytest.MonkeyPatch, pending: str
) -> None:
    found, children = told(pending)
    assert children == 2
    assert any("replayed" in note for note in found.notes)
    monkeypatch.setattr(recording, "_replay", lambda _order: "always")
    assert found == told(pending)[0]


def test_the_old_type_comes_from_the_history(told: Callable[[str], tuple[Reading, int]]) -> None:
    up = named(told(HIDDEN["old type"])[0], "r3").up
    (change,) = up.statements[0].operations
    assert isinstance(change, AlterType)
    assert change.old_type == "NUMERIC(8, 2)"


@pytest.mark.parametrize(
    "pending", [PLAIN["column"], 'op.alter_column("people", "wage", nullable=False)']
)
def test_what_looks_like_asking_is_not_read_twice(
    told: Callable[[str], tuple[Reading, int]], pending: str
) -> None:
    assert told(pending)[1] == 1
