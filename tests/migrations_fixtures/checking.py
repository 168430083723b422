"""Runs `deployguard check` on a scenario and compares what it says with what its expected.toml says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployguard.model import Risk
from tests.migrations_fixtures.scenarios import (
    Case,
    Ran,
    Warm,
    cases,
    copy_project,
    write_config,
)

CASES = cases()
FAILS_ON = Risk.HIGH  # the default policy


def having(dialect: str, mode: str) -> pytest.MarkDecorator:
    chosen = [case for case in CASES if dialect in case.dialects and mode in case.modes]
    return pytest.mark.parametrize("case", chosen, ids=lambda case: case.name)


def said(ran: Ran) -> dict[str, Any]:
    """What the JSON report says, in the words of expected.toml."""
    report = json.loads(ran.out)
    return {
        "answers": {
            key: text.split()[0].strip(".,:;").lower() for key, text in report["answers"].items()
        },
        "revisions": [
            {
                "id": revision["id"],
                "level": revision["level"],
                "rules": sorted(f"{one['rule']}@{one['line']}" for one in revision["findings"]),
                "undo": revision["undo"]["way"],
                "evidence": revision["evidence"],
            }
            for revision in report["revisions"]
        ],
    }


def holds(case: Case, dialect: str, mode: str, ran: Ran) -> None:
    if case.error is not None:
        assert ran.code == case.error["exit"], ran.output
        assert [text for text in case.error["says"] if text not in ran.err] == [], ran.err
        assert "Traceback" not in ran.output
        assert ran.out == ""
        return
    assert ran.out, ran.err
    expected = case.expected(dialect, mode)
    found = said(ran)
    assert found == expected
    levels = [Risk[revision["level"].upper()] for revision in expected["revisions"]]
    assert ran.code == (10 if max(levels, default=Risk.LOW) >= FAILS_ON else 0)


def check_live(warm: Warm, case: Case, dialect: str, folder: Path, url: str) -> None:
    before = copy_project(case, folder / "before", url, complete=False)
    warm.prepare(case, before, url)
    project = copy_project(case, folder / "project", url)
    write_config(case, project, dialect)
    ran = warm.run(project, url, "deployguard", "check", "--format", "json", **case.environment)
    holds(case, dialect, "live", ran)


def check_replayed(warm: Warm, case: Case, dialect: str, folder: Path) -> None:
    project = copy_project(case, folder / "project", case.url(f"{dialect}://nobody@localhost/none"))
    write_config(case, project, dialect)
    start = case.stamp if case.stamp is not None else case.current
    given = ("--from", ",".join(start) or "base")
    ran = warm.run(
        project, "", "deployguard", "check", *given, "--format", "json", **case.environment
    )
    holds(case, dialect, "replayed", ran)
