"""What ``rollback --plan`` says, for a terminal, as JSON and as Markdown."""

from deployguard.formats.markdown import code, escape, fence
from deployguard.formats.records import fact_lines, markdown_table
from deployguard.formats.report import WayBackView
from deployguard.formats.spans import BLANK, Line, Span, Style, one_line, paragraph, table
from deployguard.formats.text import WIDEST, command_lines
from deployguard.model import Json

_STYLES = {"yes": Style.GOOD, "no": Style.BAD, "unknown": Style.MEDIUM}


def way_back_lines(view: WayBackView, width: int = 80) -> list[Line]:
    """The way, why, the four answers it rests on, and the steps in their order."""
    width = min(width, WIDEST)
    style = Style.TITLE if view.safe else Style.BAD
    lines: list[Line] = [
        (Span("Way back of "), Span(one_line(view.deploy)), Span(": "), Span(view.way, style)),
        BLANK,
    ]
    facts = [*(("because", reason) for reason in view.reasons), ("now", view.state)]
    lines += fact_lines(facts, width)
    rows = [
        [Span(question), Span(answer, _STYLES.get(answer, Style.PLAIN)), Span(one_line(why))]
        for question, answer, why in view.answers
    ]
    lines += [BLANK, *table(("question", "answer", "evidence"), rows, width)]
    if view.steps:
        lines += [BLANK, (Span("It would go through", Style.TITLE),)]
        for number, title in enumerate(view.steps, 1):
            lines += paragraph(title, width, label=f"{number:>2}.", hang=4)
    if view.updates:
        lines += [BLANK, (Span("The services", Style.TITLE),)]
        for sentence in view.updates:
            lines += paragraph(sentence, width, indent=2)
    if view.warning:
        lines += [BLANK, (Span("To be confirmed first", Style.TITLE),)]
        lines += paragraph(view.warning, width, indent=2)
    lines += [BLANK, (Span("Nothing was done.", Style.DIM),)]
    return [*lines, *command_lines(view.next_commands)]


def way_back_document(view: WayBackView) -> Json:
    """As ``deployguard.way-back/1``."""
    return {
        "schema": "deployguard.way-back/1",
        "deploy": view.deploy,
        "way": view.way,
        "safe": view.safe,
        "reasons": list(view.reasons),
        "state": view.state,
        "answers": [
            {"question": question, "answer": answer, "evidence": why}
            for question, answer, why in view.answers
        ],
        "steps": list(view.steps),
        "services": list(view.updates),
        "writes": view.writes,
        "confirm": view.warning or None,
        "next": list(view.next_commands),
    }


def way_back_markdown(view: WayBackView) -> str:
    """The same for a pull request or a chat."""
    lines = [f"**Way back of {code(view.deploy)}: {escape(view.way)}**\n\n"]
    lines += [f"- {escape(reason)}\n" for reason in view.reasons]
    lines.append(f"\n{escape(view.state)}\n\n")
    rows = [(escape(q), a, escape(why)) for q, a, why in view.answers]
    lines.append(markdown_table(("question", "answer", "evidence"), rows))
    if view.steps:
        lines.append("\n")
        lines += [f"{number}. {escape(title)}\n" for number, title in enumerate(view.steps, 1)]
    if view.updates:
        lines += ["\n", *(f"- {escape(sentence)}\n" for sentence in view.updates)]
    if view.warning:
        lines.append(f"\nTo be confirmed first:\n\n{fence(view.warning)}")
    return "".join(lines)
