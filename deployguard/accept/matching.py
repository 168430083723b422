"""Directives, [[accept]] entries and the baseline over the verdicts: what is accepted, and what is stale."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from deployguard.accept.baseline import REASON, Baseline, fingerprint
from deployguard.accept.scan import Directive, Scanned
from deployguard.config import AcceptConfig
from deployguard.model import Evidence, Finding, Verdict

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Against:
    """What the verdicts were made against. ``live``: a database's own facts, which may make a finding go away."""

    dialect: str
    today: date
    live: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The verdicts with ``Finding.accepted`` filled in; ``problems`` are errors, each with file and line."""

    verdicts: tuple[Verdict, ...]
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Claim:
    """One rule that somebody accepts at one place."""

    where: str
    written: str  # the rule as it stands there
    reason: str
    expires: date | None
    covers: Callable[[Finding], bool]


def accept(
    verdicts: Sequence[Verdict],
    files: Mapping[str, Scanned],
    entries: Sequence[AcceptConfig],
    baseline: Baseline | None,
    *,
    against: Against,
    bare: Callable[[], Sequence[Verdict]],
) -> Accepted:
    """Apply what is accepted to the verdicts of this run.

    ``files`` maps a revision to what its file says, ``entries`` are those of the configuration. ``bare`` gives the
    verdicts as they were without what a live database says: what matches there is not stale here.
    """
    done: list[Verdict] = []
    problems: list[str] = []
    notes: list[str] = []
    for verdict in verdicts:
        scanned = files.get(verdict.revision.id, Scanned())
        path = verdict.revision.path
        problems += [f"{path}:{one.line}: {one.message}" for one in scanned.problems]
        claims = [*_of_file(verdict, scanned, against), *_of_config(verdict, entries, against)]
        findings = list(verdict.findings)
        for claim in claims:
            problem, note = _apply(claim, findings, verdict, against, bare)
            problems += [problem] if problem else []
            notes += [note] if note else []
        done.append(replace(verdict, findings=_in_baseline(verdict, findings, baseline, against)))
    return Accepted(tuple(done), tuple(problems), tuple(notes))


def _of_file(verdict: Verdict, scanned: Scanned, against: Against) -> Iterator[_Claim]:
    path = verdict.revision.path
    for directive in scanned.directives:
        if directive.says.dialect not in ("", against.dialect):
            continue
        for name in directive.says.rules:
            yield _Claim(
                f"{path}:{directive.line}",
                name,
                directive.says.reason,
                directive.says.expires,
                _reach(directive, path),
            )


def _of_config(
    verdict: Verdict, entries: Sequence[AcceptConfig], against: Against
) -> Iterator[_Claim]:
    for entry in entries:
        if entry.revision == verdict.revision.id and entry.dialect in ("", against.dialect):
            yield _Claim(
                entry.place, entry.rule, entry.reason, entry.expires, _meant(entry, verdict)
            )


def _reach(directive: Directive, path: str) -> Callable[[Finding], bool]:
    def covers(finding: Finding) -> bool:
        if finding.path != path:
            return False
        if directive.span is None or directive.span[0] <= finding.line <= directive.span[1]:
            return True
        batch = directive.batch
        return (
            batch is not None
            and batch[0] <= finding.line <= batch[1]
            and _names(finding.message, directive.words)
        )

    return covers


def _names(message: str, words: frozenset[str]) -> bool:
    said = set(_WORD.findall(message))
    return any(word in said for word in words)


def _meant(entry: AcceptConfig, verdict: Verdict) -> Callable[[Finding], bool]:
    wanted = " ".join(entry.statement.split())
    texts = [(one.line, " ".join(one.sql.split())) for one in verdict.revision.up.statements]

    def covers(finding: Finding) -> bool:
        if entry.line not in (0, finding.line):
            return False
        if not wanted:
            return True
        # What the reader says of a line, and of no statement, may be about any that the line runs.
        parts = [texts[first : last + 1] for first, last in finding.statements] or [
            [one] for one in texts if one[0] == finding.line
        ]
        return bool(parts) and all(any(wanted in said for _, said in part) for part in parts)

    return covers


def _apply(
    claim: _Claim,
    findings: list[Finding],
    verdict: Verdict,
    against: Against,
    bare: Callable[[], Sequence[Verdict]],
) -> tuple[str, str]:
    """(a problem, a note), each "" when there is none; ``findings`` are changed in place."""
    from deployguard.rules import explain  # the whole book; most runs accept nothing

    rule = explain(claim.written)
    if rule is None:
        return (
            f"{claim.where}: there is no rule {claim.written!r} (`deployguard explain` lists them)",
            "",
        )
    matched = [i for i, one in enumerate(findings) if one.rule == rule.code and claim.covers(one)]
    if not matched:
        return _stale(claim, rule.code, verdict, against, bare)
    if claim.expires is not None and claim.expires < against.today:
        return "", (
            f"{claim.where}: {rule.code} was accepted until {claim.expires.isoformat()}; "
            "its finding is open again."
        )
    for index in matched:
        if not findings[index].accepted:
            findings[index] = replace(
                findings[index], accepted=claim.reason, accepted_at=claim.where
            )
    return "", ""


def _stale(
    claim: _Claim,
    code: str,
    verdict: Verdict,
    against: Against,
    bare: Callable[[], Sequence[Verdict]],
) -> tuple[str, str]:
    """What to say of a suppression that matches nothing: an error, unless the reason is not in the file."""
    unread = verdict.revision.evidence is Evidence.SOURCE or any(
        one.rule == "DG901" for one in verdict.findings
    )
    if unread:  # nobody knows what would have been found
        return (
            "",
            f"{claim.where}: whether {code} is still found is unknown: the revision was not read.",
        )
    if against.live and code.startswith("DG9"):
        return "", f"{claim.where}: {code} is not found when this database is asked."
    without = bare() if against.live else ()
    for other in without:
        if other.revision.id == verdict.revision.id and any(
            one.rule == code and claim.covers(one) for one in other.findings
        ):
            return "", ""
    lines = sorted({one.line for one in verdict.findings if one.rule == code})
    found = (
        f"; in this revision it is found on line {', '.join(map(str, lines))}"
        if lines
        else f"; on {against.dialect} this revision has none (dialect=… keeps a suppression to one)"
    )
    return f"{claim.where}: accepting {claim.written} matches no finding{found}", ""


def _in_baseline(
    verdict: Verdict, findings: Sequence[Finding], baseline: Baseline | None, against: Against
) -> tuple[Finding, ...]:
    known = baseline.known(against.dialect, verdict.revision) if baseline else frozenset()
    return tuple(
        replace(one, accepted=REASON)
        if not one.accepted and known and (one.rule, fingerprint(verdict.revision, one)) in known
        else one
        for one in findings
    )
