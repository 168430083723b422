"""What marks one finding in every run, also when lines move or its sentence changes: fingerprints for code hosts."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean
from deployguard.model import Finding, Opaque, Revision, Verdict


def marked(report: CheckReport) -> Iterator[tuple[Verdict, Finding, str]]:
    """Every finding, worst open one first, with its fingerprint (64 hexadecimal digits).

    It is made of the rule, the revision and the SQL of the statement; the second finding that has the same ones is
    told apart by its number.
    """
    seen: Counter[str] = Counter()
    found: list[tuple[Verdict, Finding, str]] = []
    for verdict in report.plan.verdicts:
        for finding in verdict.findings:
            base = json.dumps([finding.rule, verdict.revision.id, _said(verdict.revision, finding)])
            found.append((verdict, finding, _hash(f"{base}{seen[base] or ''}")))
            seen[base] += 1
    yield from sorted(found, key=lambda one: (bool(one[1].accepted), -one[1].risk))


def file_of(path: str, prefix: str) -> str:
    """The path of a revision file from the root of the repository, for formats that show it there."""
    whole = f"{prefix.strip('/')}/{path}" if prefix and not path.startswith("/") else path
    return PurePosixPath(clean(whole).replace("\n", "\\n") or "unknown").as_posix()


def _said(revision: Revision, finding: Finding) -> list[str]:
    if any(one.code is Opaque.EXTERNAL_INPUT for one in revision.up.opacities):
        return []  # its SQL differs each time
    return sorted(
        " ".join(sorted(statement.sql.split()))
        for statement in revision.up.statements
        if statement.line == finding.line
    )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
