"""The findings that a history had when deployguard came to it: the noun, its JSON document, and what still counts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from deployguard.errors import UsageError
from deployguard.model import Finding, Json, Revision, Verdict

SCHEMA = "deployguard.baseline/1"
REASON = "baseline"

_Known = frozenset[tuple[str, str]]  # (rule, fingerprint)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one revision file had: its sha256, and for each finding (rule, fingerprint)."""

    sha256: str
    path: str
    findings: _Known


@dataclass(frozen=True, slots=True)
class Baseline:
    """Dialect → revision → what was found in it."""

    dialects: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def known(self, dialect: str, revision: Revision) -> _Known:
        """What counts as known of this revision: nothing, once its file has changed."""
        entry = self.dialects.get(dialect, {}).get(revision.id)
        return entry.findings if entry and entry.sha256 == revision.digest else frozenset()

    def revisions(self) -> frozenset[str]:
        """Every revision that it names."""
        return frozenset(name for entries in self.dialects.values() for name in entries)

    def with_dialect(self, dialect: str, entries: Mapping[str, Entry]) -> "Baseline":
        """The same with another record for one dialect."""
        return Baseline({**self.dialects, dialect: entries})


def entries(verdicts: Sequence[Verdict]) -> dict[str, Entry]:
    """What to record of these verdicts; a revision may be there more than once, judged in different company."""
    found: dict[str, Entry] = {}
    for verdict in verdicts:
        revision = verdict.revision
        new = frozenset((one.rule, fingerprint(revision, one)) for one in verdict.findings)
        former = found.get(revision.id)
        if former:
            new |= former.findings
        found[revision.id] = Entry(revision.digest, revision.path, new)
    return {name: entry for name, entry in found.items() if entry.findings}


def fingerprint(revision: Revision, finding: Finding) -> str:
    """Which statement a finding is about: a hash of the SQL that its line ran.

    Lines of one statement are sorted, since Alembic's batch mode walks through sets. Where the
    SQL is another one each time (the clock, chance), the file's sha256, which is compared first, stands for it.
    """
    texts = () if revision.up.unsteady else revision.up.statements
    said = sorted(
        "\n".join(sorted(line.strip(" \t,") for line in statement.sql.splitlines()))
        for statement in texts
        if statement.line == finding.line
    )
    covered = json.dumps([finding.rule, finding.line, said], ensure_ascii=True)
    return hashlib.sha256(covered.encode()).hexdigest()[:32]


def document(baseline: Baseline) -> Json:
    """The baseline as ``deployguard.baseline/1``; sorted, so that version control shows what changed."""
    return {
        "schema": SCHEMA,
        "dialects": {
            dialect: {
                name: {
                    "path": entry.path,
                    "sha256": entry.sha256,
                    "findings": [
                        {"rule": rule, "fingerprint": mark} for rule, mark in sorted(entry.findings)
                    ],
                }
                for name, entry in sorted(found.items())
            }
            for dialect, found in sorted(baseline.dialects.items())
        },
    }


def parse(text: str, name: str) -> Baseline:
    """Read the document; ``name`` is the file's, for errors. Raises UsageError."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(name, f"it is not JSON: {error}") from error
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise _wrong(name, f"its schema is not {SCHEMA}")
    dialects = _mapping(value.get("dialects"), name)
    return Baseline(
        {
            dialect: {key: _entry(one, name) for key, one in _mapping(found, name).items()}
            for dialect, found in dialects.items()
        }
    )


def _entry(value: Json, name: str) -> Entry:
    entry = _mapping(value, name)
    findings = entry.get("findings")
    if not isinstance(findings, list):
        raise _wrong(name, "the findings of an entry are not a list")
    pairs = [_mapping(one, name) for one in findings]
    return Entry(
        _string(entry.get("sha256"), name),
        _string(entry.get("path"), name),
        frozenset(
            (_string(pair.get("rule"), name), _string(pair.get("fingerprint"), name))
            for pair in pairs
        ),
    )


def _mapping(value: Json, name: str) -> dict[str, Json]:
    if not isinstance(value, dict):
        raise _wrong(name, f"{str(value)[:40]!r} should be an object")
    return value


def _string(value: Json, name: str) -> str:
    if not isinstance(value, str):
        raise _wrong(name, f"{str(value)[:40]!r} should be a string")
    return value


def _wrong(name: str, what: str) -> UsageError:
    return UsageError(f"{name} is no baseline: {what}.", next_commands=("deployguard baseline",))
