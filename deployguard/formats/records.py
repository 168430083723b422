"""Backups, deploys and the state of an environment, for a terminal and as Markdown."""

from collections.abc import Sequence

from deployguard.formats import words
from deployguard.formats.markdown import code, escape, fence
from deployguard.formats.report import BackupEntry, DeployView, StatusReport, StepView
from deployguard.formats.spans import BLANK, Line, Span, Style, one_line, paragraph, table
from deployguard.formats.text import WIDEST, command_lines
from deployguard.model import BackupRecord, Pin

_BAD_STATES = ("failed", "needs-human", "interrupted")
_FILES = 12  # of a backup that are shown, the largest
_Facts = list[tuple[str, str]]


def backup_lines(entry: BackupEntry, width: int = 80) -> list[Line]:
    """One backup with its files, its rows per table and what verifying it has shown."""
    lines = fact_lines(_backup_facts(entry), width)
    record = entry.record
    lines += [BLANK, (Span("Files", Style.TITLE),)]
    largest = sorted(record.files, key=lambda name: -record.files[name][0])[:_FILES]
    for name, (size, sha256) in record.files.items():
        if name in largest:
            lines.append((Span(f"  {one_line(name)}  {words.size(size)}"),))
            lines.append((Span(f"    sha256 {sha256}", Style.DIM),))
    if len(record.files) > _FILES:
        lines.append((Span(f"  and {len(record.files) - _FILES} smaller ones", Style.DIM),))
    lines += [BLANK, (Span("Rows", Style.TITLE),)]
    rows = _rows(record)
    longest = max((len(name) for name, _ in rows), default=0)
    lines += [(Span(f"  {one_line(name).ljust(longest)}  {text:>12}"),) for name, text in rows]
    lines += [BLANK, (Span("Verified", Style.TITLE),)]
    evidence = entry.verification.evidence if entry.verification else ("not yet",)
    for item in evidence:
        lines += paragraph(item, width, indent=2)
    if entry.drill is not None:
        lines += [BLANK, (Span("Drill", Style.TITLE),)]
        for item in entry.drill.evidence:
            lines += paragraph(item, width, indent=2)
    return lines


def _rows(record: BackupRecord) -> list[tuple[str, str]]:
    """Every table with its rows in words; what was only estimated says so."""
    found = {name: f"{rows:,}" for name, rows in record.counts.items()}
    for name, about in record.estimates.items():
        found[name] = "not counted" if about is None else f"about {about:,}"
    return sorted(found.items())


def history_lines(views: Sequence[DeployView], width: int = 80) -> list[Line]:
    """The deploys of an environment, newest first."""
    if not views:
        return [(Span("No deploy has run yet."),)]
    rows = [
        [
            Span(one_line(view.id), Style.TITLE),
            Span(words.moment(view.started)[:-3]),
            Span(view.risk or "-"),
            _state(view.outcome),
            Span(_what(view)),
        ]
        for view in views
    ]
    return table(("deploy", "started (UTC)", "level", "state", "revisions"), rows, width)


def deploy_lines(view: DeployView, width: int = 80) -> list[Line]:
    """One deploy with the steps that the journal knows."""
    lines = fact_lines(_deploy_facts(view), min(width, WIDEST))
    if view.steps:
        lines.append(BLANK)
        rows = [
            [
                Span(step.name),
                _state(step.state),
                Span(words.moment(step.at), Style.DIM),
                Span(_took(step), Style.DIM),
                Span(one_line(step.detail)),
            ]
            for step in view.steps
        ]
        lines += table(("step", "state", "at (UTC)", "took", ""), rows, width)
    return lines


def status_lines(report: StatusReport, width: int = 80) -> list[Line]:
    """Where an environment stands."""
    width = min(width, WIDEST)
    head = f"{report.environment} "
    lines: list[Line] = [(Span(head, Style.TITLE), Span(one_line(report.target), Style.DIM)), BLANK]
    lines += fact_lines(_status_facts(report), width)
    if report.unfinished:
        lines += [BLANK, (Span("Unfinished", Style.BAD),), *deploy_lines(report.unfinished, width)]
    for note in report.notes:
        lines += paragraph(note, width, label="note", hang=6)
    return [*lines, *command_lines(report.next_commands)]


def backup_markdown(entry: BackupEntry) -> str:
    """One backup as a table of facts and a table of rows."""
    facts = markdown_table(("backup", ""), [(k, escape(v)) for k, v in _backup_facts(entry)])
    counts = [(code(name), text) for name, text in _rows(entry.record)]
    return facts + "\n" + markdown_table(("table", "rows"), counts)


def history_markdown(views: Sequence[DeployView]) -> str:
    """The deploys of an environment as a table."""
    head = ("deploy", "started (UTC)", "kind", "level", "revisions", "state")
    rows = [
        (
            code(v.id),
            words.moment(v.started),
            escape(v.kind),
            v.risk or "-",
            escape(_way(v) + (f" ({v.ref})" if v.ref else "")),
            escape(v.outcome),
        )
        for v in views
    ]
    return markdown_table(head, rows)


def deploy_markdown(view: DeployView) -> str:
    """One deploy as a table of facts and a table of steps."""
    facts = markdown_table(("deploy", ""), [(k, escape(v)) for k, v in _deploy_facts(view)])
    steps = [
        (escape(s.name), escape(s.state), words.moment(s.at), _took(s), escape(s.detail))
        for s in view.steps
    ]
    return facts + "\n" + markdown_table(("step", "state", "at (UTC)", "took", ""), steps)


def status_markdown(report: StatusReport) -> str:
    """Where an environment stands, as a table of facts."""
    facts = [(name, escape(text)) for name, text in _status_facts(report)]
    facts += [("note", escape(note)) for note in report.notes]
    text = markdown_table((report.environment, code(report.target)), facts)
    commands = "\n".join(report.next_commands)
    return text + (f"\nNext:\n\n{fence(commands, 'sh')}\n" if commands else "")


def _backup_facts(entry: BackupEntry) -> _Facts:
    record = entry.record
    return [
        ("backup", record.id),
        ("database", f"{record.database} ({record.store}), {record.environment}"),
        ("created", f"{words.moment(record.created)} UTC, in {words.seconds(record.seconds)}"),
        *((("age", words.age(entry.age)),) if entry.age is not None else ()),
        ("why", record.reason + (f" of deploy {record.deploy}" if record.deploy else "")),
        ("revision", words.revisions(record.revision)),
        *((("holds", str(record.scope)),) if not record.scope.whole else ()),
        *((("encrypted", f"with age, {encrypted(record)}"),) if record.recipients else ()),
        ("size", words.size(record.size)),
        ("folder", record.folder),
        *((f"{tool}", version) for tool, version in record.tools.items()),
        *((("commit", record.git_commit),) if record.git_commit else ()),
        *((("tag", record.git_tag),) if record.git_tag else ()),
        *((f"{service} ran", digest) for service, digest in record.images.items()),
        ("verified", verified(entry).text),
        ("drilled", drilled(entry)),
        *((("pinned", pinned(entry.pin)),) if entry.pin else ()),
        ("where", ", ".join(entry.places)),
        *(("off-site", f"{copy.url}, {words.moment(copy.at)} UTC") for copy in entry.copies),
    ]


def encrypted(record: BackupRecord) -> str:
    """To how many a backup is encrypted; "" when it is not."""
    if not record.recipients:
        return ""
    return f"to {record.recipients} recipient{'s' if record.recipients > 1 else ''}"


def drilled(entry: BackupEntry) -> str:
    """When it was last restored into a scratch database, and how that went."""
    if entry.drill is None:
        return "never"
    how = "restored" if entry.drill.ok else "FAILED"
    return f"{words.moment(entry.drill.at)} UTC, {how} in {words.seconds(entry.drill.seconds)}"


def pinned(pin: Pin) -> str:
    """Why it is kept for ever, and who said so."""
    by = f", by {pin.by}" if pin.by else ""
    at = f", {words.moment(pin.at)} UTC" if pin.at else ""
    return f"{pin.reason}{by}{at}"


def _deploy_facts(view: DeployView) -> _Facts:
    ended = f", ended {words.moment(view.ended)}" if view.ended else ""
    facts = [
        ("deploy", f"{view.id} ({view.kind}, {view.environment})"),
        ("state", view.outcome),
        ("started", f"{words.moment(view.started)} UTC{ended}, by {view.by}{_on(view)}"),
        ("revisions", _way(view)),
        ("commit", f"{view.commit} ({view.ref})" if view.commit else ""),
        ("level", view.risk),
        ("digest", view.digest),
        ("approved by", _approval(view)),
        ("backup", view.backup),
        ("log", view.log),
        ("detail", view.detail),
    ]
    return [(name, text) for name, text in facts if text]


def _on(view: DeployView) -> str:
    return f" on {view.host}" if view.host else ""


def _approval(view: DeployView) -> str:
    because = f": {view.approved_because}" if view.approved_because else ""
    return f"{view.approved_by}{because}" if view.approved_by else ""


def _status_facts(report: StatusReport) -> _Facts:
    pending = "unknown" if report.pending is None else ", ".join(report.pending) or "none"
    last = report.last
    facts = [
        ("database at", words.revisions(report.current)),
        ("code at", words.revisions(report.heads)),
        ("pending", pending),
        *((f"{service}", running) for service, running in report.release),
        (
            "last deploy",
            f"{last.id}, {last.outcome}, {words.moment(last.started)}" if last else "none",
        ),
        ("last backup", _newest(report.backup)),
        ("lock", report.lock or "free"),
        ("server's lock", report.server_lock),
    ]
    return [(name, text) for name, text in facts if text]


def _newest(entry: BackupEntry | None) -> str:
    if entry is None:
        return "none"
    return f"{entry.record.id}, {words.size(entry.record.size)}, verified: {verified(entry).text}"


def verified(entry: BackupEntry) -> Span:
    """Whether it was read back, and how that went."""
    if entry.verification is None:
        return Span("not yet", Style.MEDIUM)
    return Span("yes", Style.GOOD) if entry.verification.ok else Span("DAMAGED", Style.BAD)


def _took(step: StepView) -> str:
    return "" if step.seconds is None else words.seconds(step.seconds)


def _state(state: str) -> Span:
    bad = state.lower() in _BAD_STATES
    done = state.lower() == "done"
    return Span(one_line(state), Style.BAD if bad else Style.GOOD if done else Style.PLAIN)


def _what(view: DeployView) -> str:
    of = f" ({view.ref})" if view.ref else ""
    return (_way(view) if view.kind == "deploy" else view.kind) + of


def _way(view: DeployView) -> str:
    if not view.to_revisions:
        return "-"
    return f"{words.revisions(view.from_revisions)} → {words.revisions(view.to_revisions)}"


def fact_lines(facts: Sequence[tuple[str, str]], width: int) -> list[Line]:
    """Facts, a line or a paragraph each, behind their names."""
    hang = max((len(name) for name, _ in facts), default=0) + 2
    return [
        line
        for name, text in facts
        for line in paragraph(text, width, label=one_line(name), hang=hang)
    ]


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table; the cells are escaped already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)
