"""Whatever a revision file holds, its static reading ends with an answer, never with a crash."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.errors import UsageError
from deployguard.revisions.features import read_features
from deployguard.revisions.graph import build
from deployguard.revisions.location import Locations
from deployguard.revisions.recorder.static import docstring, read_header
from tests.revisions.projects import revision

WHERE = Locations(Path("m"), (Path("m/v"),))
REAL = revision("r2", "r1", 'for row in rows:\n    op.execute("UPDATE t SET a = 1")', "raise X")
PIECES = st.sampled_from(
    [
        *REAL.splitlines(keepends=True),
        "revision = ",
        "down_revision: str = (",
        "'''",
        '"""',
        "\\\n",
        "def upgrade(",
        "if dialect.name == 'x':\n",
        "  ",
        "\0",
        "\ufeff",
        "é",
        "((((((((",
        "async ",
        "f'{x!r:>{y}}'",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_text_has_features_and_a_header_or_none(text: str) -> None:
    header = read_header(text)
    assert header is None or header.revision or header.unknown
    assert isinstance(docstring(text), str)
    features = read_features(text, frozenset(sys.stdlib_module_names), "sqlite")
    assert features.error or not features.error_line
    with suppress(UsageError):
        build(WHERE, [(Path("a.py"), text.encode("utf-8", "surrogatepass"))]).pending(())


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_revision_or_a_note(content: bytes) -> None:
    try:
        graph = build(WHERE, [(Path("a.py"), content)])
    except UsageError:
        return
    assert graph.notes or graph.nodes


@pytest.mark.parametrize(
    "deep", ["(" * 3000, "[" * 3000 + "]" * 3000, "-" * 50_000 + "1", "not " * 20_000 + "x"]
)
def test_a_file_that_is_nested_too_deeply_is_an_error_of_that_file(deep: str) -> None:
    text = f'revision = "a"\ndown_revision = None\nx = {deep}\ndef upgrade():\n    pass\n'
    header = read_header(text)
    assert header is not None
    assert header.revision == "a"
    assert read_features(text, frozenset()).error
