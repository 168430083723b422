"""The list of backups, what prune, du and status say of them, for a terminal and as Markdown."""

from collections.abc import Sequence

from deployguard.formats import words
from deployguard.formats.markdown import code, escape, fence
from deployguard.formats.records import (
    drilled,
    encrypted,
    fact_lines,
    markdown_table,
    verified,
)
from deployguard.formats.report import BackupEntry, DiskUse, PruneReport, Standing
from deployguard.formats.spans import BLANK, Line, Span, Style, one_line, paragraph, table
from deployguard.formats.text import WIDEST, command_lines

_ROOMY = 110  # columns: then there is room for the time, the drill and where it lies


def backups_lines(entries: Sequence[BackupEntry], width: int = 80) -> list[Line]:
    """The list of backups, newest first."""
    if not entries:
        return [
            (Span("There are no backups yet."),),
            *command_lines(("deployguard backup create",)),
        ]
    if width < _ROOMY:
        head = ("backup", "age", "size", "verified", "class")
        rows = [[*_first(entry), _short(entry), Span(_kept_as(entry))] for entry in entries]
        return table(head, rows, width)
    rows = []
    for entry in entries:
        name, *rest = _first(entry)
        created = Span(words.moment(entry.record.created))
        known = (verified(entry), _drill(entry), Span(", ".join(entry.places)))
        rows.append([name, created, *rest, *known, Span(_class(entry))])
    wide = ("backup", "created (UTC)", "age", "size", "verified", "drilled", "where", "class")
    return table(wide, rows, width)


def prune_lines(report: PruneReport, width: int = 80) -> list[Line]:
    """What goes and what stays, with each reason."""
    if not report.fates:
        return [(Span("There are no backups yet."),)]
    lines: list[Line] = []
    for fate in report.fates:
        style = Style.GOOD if fate.keep else Style.BAD
        mark = "keep  " if fate.keep else "remove"
        record = fate.entry.record
        facts = f"  {words.size(record.size)}, {words.age(fate.entry.age)}, {record.reason}"
        lines.append(
            (Span(mark, style), Span(f"  {one_line(record.id)}", Style.TITLE), Span(facts))
        )
        why = "; ".join(fate.reasons)
        lines += paragraph(why, min(width, WIDEST), indent=8, style=Style.DIM)
    lines += [BLANK, (Span(_sum(report)),)]
    return [*lines, *command_lines(report.next_commands)]


def disk_lines(report: DiskUse, width: int = 80) -> list[Line]:
    """What the backups take."""
    rows = [
        [Span(name), Span(str(count).rjust(7)), Span(words.size(size).rjust(9))]
        for name, count, size in report.classes
    ]
    rows.append(
        [
            Span("all", Style.TITLE),
            Span(str(report.count).rjust(7)),
            Span(words.size(report.size).rjust(9)),
        ]
    )
    lines = table(("class", "backups", "     size"), rows, width)
    if report.largest:
        lines += [BLANK, (Span("Largest", Style.TITLE),)]
        lines += [
            (Span(f"  {words.size(e.record.size).rjust(9)}  {one_line(e.record.id)}"),)
            for e in report.largest
        ]
    return [*lines, BLANK, *fact_lines(_disk(report), min(width, WIDEST))]


def standing_lines(report: Standing, width: int = 80) -> list[Line]:
    """Whether the backups are as they should be; what is wrong comes first."""
    width = min(width, WIDEST)
    head = Span(" BAD ", Style.BAD) if report.problems else Span(" GOOD ", Style.GOOD)
    lines: list[Line] = [(head, Span(f"  backups of {report.environment}"))]
    for problem in report.problems:
        lines += paragraph(problem, width, indent=2, style=Style.BAD)
    lines += [BLANK, *fact_lines(_standing(report), width)]
    for note in report.notes:
        lines += paragraph(note, width, label="note", hang=_hang(report))
    return [*lines, *command_lines(report.next_commands)]


def backups_markdown(entries: Sequence[BackupEntry]) -> str:
    """The list of backups as a table."""
    head = ("backup", "created (UTC)", "age", "size", "class", "verified", "drilled", "where")
    rows = [
        (
            code(e.record.id),
            words.moment(e.record.created),
            words.age(e.age),
            words.size(e.record.size),
            escape(_class(e)),
            verified(e).text,
            escape(drilled(e)),
            escape(", ".join(e.places)),
        )
        for e in entries
    ]
    return markdown_table(head, rows)


def prune_markdown(report: PruneReport) -> str:
    """What goes and what stays as a table."""
    rows = [
        (
            "keep" if fate.keep else "**remove**",
            code(fate.entry.record.id),
            words.size(fate.entry.record.size),
            escape("; ".join(fate.reasons)),
        )
        for fate in report.fates
    ]
    return f"{markdown_table(('', 'backup', 'size', 'why'), rows)}\n{_sum(report)}\n"


def disk_markdown(report: DiskUse) -> str:
    """What the backups take as tables."""
    rows = [(escape(name), str(count), words.size(size)) for name, count, size in report.classes]
    rows.append(("all", str(report.count), words.size(report.size)))
    facts = [(name, escape(text)) for name, text in _disk(report)]
    return (
        markdown_table(("class", "backups", "size"), rows) + "\n" + markdown_table(("", ""), facts)
    )


def standing_markdown(report: Standing) -> str:
    """Whether the backups are as they should be, as a table."""
    facts = [("**bad**", escape(problem)) for problem in report.problems]
    facts += [(name, escape(text)) for name, text in _standing(report)]
    facts += [("note", escape(note)) for note in report.notes]
    head = (report.environment, "bad" if report.problems else "good")
    text = markdown_table(head, facts)
    commands = "\n".join(report.next_commands)
    return text + (f"\nNext:\n\n{fence(commands, 'sh')}\n" if commands else "")


def _first(entry: BackupEntry) -> tuple[Span, Span, Span]:
    age = Style.MEDIUM if entry.age is not None and entry.age.total_seconds() < 0 else Style.PLAIN
    return (
        Span(one_line(entry.record.id), Style.TITLE),
        Span(words.age(entry.age), age),
        Span(words.size(entry.record.size)),
    )


def _short(entry: BackupEntry) -> Span:
    """Verified and drilled in one word, where there is no room for both."""
    if entry.verified and entry.drill is not None:
        return Span("drilled", Style.GOOD) if entry.drill.ok else Span("NO DRILL", Style.BAD)
    return verified(entry)


def _drill(entry: BackupEntry) -> Span:
    if entry.drill is None:
        return Span("never")
    if not entry.drill.ok:
        return Span("FAILED", Style.BAD)
    return Span(f"{entry.drill.at:%Y-%m-%d}", Style.GOOD)


def _class(entry: BackupEntry) -> str:
    locked = f"encrypted {encrypted(entry.record)}" if entry.record.recipients else ""
    known = [one_line(entry.record.reason), "pinned" if entry.pin else "", locked]
    return ", ".join(filter(None, known))


def _kept_as(entry: BackupEntry) -> str:
    """The class, in few columns: that it is pinned says more of how long it stays."""
    first = "pinned" if entry.pin else one_line(entry.record.reason)
    return f"{first}, encrypted" if entry.record.recipients else first


def _sum(report: PruneReport) -> str:
    going, kept = len(report.going), len(report.fates) - len(report.going)
    size = words.size(report.freed)
    if report.done:
        return f"{going} removed ({size} freed), {kept} kept."
    if not going:
        return f"Nothing would be removed; {kept} kept."
    return f"{going} would be removed ({size}), {kept} kept. Nothing was changed."


def _disk(report: DiskUse) -> list[tuple[str, str]]:
    facts = [("folder", report.folder)]
    if report.others:
        facts.append(("also there", f"{words.size(report.others)} of other environments or runs"))
    share = f" of {words.size(report.total)}" if report.total else ""
    return [*facts, ("free", f"{words.size(report.free)}{share}")]


def _standing(report: Standing) -> list[tuple[str, str]]:
    newest = report.newest
    facts = [
        (
            "newest",
            f"{newest.record.id}, {words.age(newest.age)} old, {words.size(newest.record.size)}"
            if newest
            else "none that is verified",
        ),
        ("drilled", drilled(newest) if newest else "never"),
        ("allowed", f"{words.age(report.allowed)} old at most"),
    ]
    if report.due is not None:
        facts.append(("due by", f"{words.moment(report.due)} UTC"))
    counts = ", ".join(f"{count} {what}" for what, count in report.counts)
    return [*facts, ("backups", counts or "none")]


def _hang(report: Standing) -> int:
    return max(len(name) for name, _ in _standing(report)) + 2
