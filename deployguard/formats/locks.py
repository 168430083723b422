"""What keeps a deploy out, layer by layer; the shape of the JSON is in docs/report-schema.md."""

from collections.abc import Sequence

from deployguard.formats.spans import BLANK, Line, Span, Style, paragraph
from deployguard.formats.text import WIDEST
from deployguard.model import Json

Layers = Sequence[tuple[str, str, str]]  # name, state, why
_GOOD = ("free", "freed")


def lock_lines(environment: str, layers: Layers, width: int = 80) -> list[Line]:
    """The layers, a paragraph each."""
    lines: list[Line] = [(Span(environment, Style.TITLE),), BLANK]
    hang = max(len(name) for name, _, _ in layers) + 2
    for name, state, why in layers:
        style = Style.GOOD if state in _GOOD else Style.BAD
        text = f"{state}: {why}."
        lines += paragraph(text, min(width, WIDEST), label=name, hang=hang, style=style)
    return lines


def lock_document(environment: str, layers: Layers) -> Json:
    """The layers as ``deployguard.unlock/1``."""
    return {
        "schema": "deployguard.unlock/1",
        "environment": environment,
        "layers": [{"name": name, "state": state, "detail": why} for name, state, why in layers],
    }
