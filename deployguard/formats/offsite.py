"""Off-site copies, for a terminal, as Markdown and as JSON."""

from collections.abc import Sequence

from deployguard.formats import words
from deployguard.formats.document import backup_document, copy_facts
from deployguard.formats.markdown import code, escape
from deployguard.formats.report import BackupEntry, CopiesView
from deployguard.formats.spans import Line, Span, Style, one_line, paragraph, table
from deployguard.model import BackupRecord, Json, OffsiteCopy


def copy_lines(record: BackupRecord, copy: OffsiteCopy, width: int = 80) -> list[Line]:
    """One complete copy: where it is, and what proves each file."""
    return [
        line
        for name, text in _facts(record, copy)
        for line in paragraph(text, width, label=one_line(name), hang=_hang(copy))
    ]


def copy_markdown(record: BackupRecord, copy: OffsiteCopy) -> str:
    """One complete copy as a table."""
    rows = [f"| {escape(name)} | {escape(text)} |\n" for name, text in _facts(record, copy)]
    return "".join(["| copy | |\n| --- | --- |\n", *rows])


def copy_document(record: BackupRecord, copy: OffsiteCopy) -> Json:
    """One complete copy as ``deployguard.copy/1``."""
    return {"schema": "deployguard.copy/1", "backup": record.id, **copy_facts(copy)}


def copies_lines(view: CopiesView, width: int = 80) -> list[Line]:
    """The complete copies of a place, newest first."""
    head = paragraph(view.place, width, label="off-site", hang=10)
    if not view.records:
        return [*head, (Span("There are no copies yet."),)]
    rows = [
        [
            Span(one_line(record.id), Style.TITLE),
            Span(words.size(record.size)),
            Span("yes" if record.id in view.here else "no"),
            Span(one_line(record.reason)),
        ]
        for record in view.records
    ]
    return [*head, *table(("backup", "size", "also here", "why"), rows, width)]


def copies_markdown(view: CopiesView) -> str:
    """The complete copies of a place as a table."""
    rows = [
        f"| {code(r.id)} | {words.size(r.size)} | {'yes' if r.id in view.here else 'no'} | {escape(r.reason)} |\n"
        for r in view.records
    ]
    return "".join(["| backup | size | also here | why |\n| --- | --- | --- | --- |\n", *rows])


def copies_document(view: CopiesView) -> Json:
    """The complete copies of a place as ``deployguard.copies/1``, newest first."""
    return {
        "schema": "deployguard.copies/1",
        "place": view.place,
        "copies": [
            {"here": record.id in view.here, "backup": backup_document(BackupEntry(record))}
            for record in view.records
        ],
        "problems": list(view.problems),
    }


def _facts(record: BackupRecord, copy: OffsiteCopy) -> Sequence[tuple[str, str]]:
    held = f"{words.moment(copy.held_until)} UTC" if copy.held_until else ""
    facts = [
        ("backup", record.id),
        ("copy", copy.url),
        ("size", words.size(record.size)),
        ("locked until", held),
        *copy.files.items(),
    ]
    return [(name, text) for name, text in facts if text]


def _hang(copy: OffsiteCopy) -> int:
    return max(map(len, ("locked until", *copy.files))) + 2
