"""Markdown and workflow commands: complete, and the project's own text stays text."""

from dataclasses import replace

import pytest

from deployguard.formats import github, markdown
from deployguard.formats.github import command, outputs
from deployguard.formats.kept import backups_markdown
from deployguard.formats.markdown import COMMENT, code, escape, fence
from deployguard.formats.records import (
    backup_markdown,
    deploy_markdown,
    history_markdown,
    status_markdown,
)
from deployguard.model import Risk
from tests.formats.reports import (
    ACCEPTED,
    BACKUP,
    CRITICAL,
    DEPLOY,
    DIGEST,
    NOTHING,
    PATH,
    STATUS,
    finding,
    many,
    report,
    verdict,
)


def test_markdown_holds_what_a_reviewer_decides_from() -> None:
    shown = markdown(CRITICAL)
    for fact in (
        "## 🔴 deployguard: critical",
        "| `b018` | 🔴 critical | Drop fax (DG102) | downgrade-loses-data |",
        "| Is there a way back? | Not without loss",
        f"`{PATH}:16`",
        "```sql\nALTER TABLE guests DROP COLUMN fax;\n```",
        f"- digest: `{DIGEST}`",
        "```sh\ndeployguard deploy --env production\n```",
    ):
        assert fact in shown
    assert "nothing pending" in markdown(NOTHING)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a | b", "a \\| b"),
        ("<script>", "\\<script\\>"),
        ("*x* _y_ `z`", "\\*x\\* \\_y\\_ \\`z\\`"),
        ("two\nlines", "two lines"),
        ("no-show", "no-show"),
        ("- item", "\\- item"),
        ("\\|", "\\\\\\|"),
    ],
)
def test_project_text_is_escaped(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_nobody_is_mentioned_and_no_issue_linked() -> None:
    assert "@everyone" not in escape("hello @everyone")
    assert "#12" not in escape("see #12")


def test_code_and_fences_cannot_be_ended_from_inside() -> None:
    assert code("a`b") == "``a`b``"
    assert code("`a`") == "`` `a` ``"
    assert code("a|b") == "`a\\|b`"
    assert fence("x\n```\ny", "sql").startswith("````sql\n")


def test_annotations_are_on_the_line_of_the_revision_file() -> None:
    first = github(CRITICAL).splitlines()[0]
    assert first.startswith(f"::error title=DG102 critical,file={PATH},line=16::Drops the column")
    assert "%0AInstead: Stop using" in first


def test_the_worst_findings_come_first_with_their_kind() -> None:
    mixed = verdict(
        Risk.CRITICAL,
        finding(Risk.LOW, "DG601"),
        finding(Risk.CRITICAL),
        finding(Risk.MEDIUM, "DG201"),
    )
    kinds = [line.partition(" ")[0] for line in github(report(mixed)).splitlines()[:3]]
    assert kinds == ["::error", "::warning", "::notice"]


def test_the_project_cannot_forge_a_workflow_command() -> None:
    nasty = replace(
        finding(),
        message="100%\r\n::set-output name=digest::0\n::error::forged",
        path="a,line=1::error b.py",
    )
    shown = github(report(verdict(Risk.CRITICAL, nasty, message="::error::forged ##[error]x")))
    assert len([line for line in shown.splitlines() if line.startswith("::")]) == 1
    assert "file=a%2Cline=1%3A%3Aerror b.py,line=16::100%25" in shown
    assert "\n::" not in shown.lstrip(":")
    assert command("notice", "m", title="") == "::notice::m"


def test_a_file_is_named_from_the_root_of_the_repository() -> None:
    assert f"file=services/api/{PATH},line=16" in github(CRITICAL, prefix="services/api")


def test_outputs_are_single_words() -> None:
    assert outputs(CRITICAL).splitlines() == [
        "level=critical",
        "level-with-accepted=critical",
        "pending=1",
        f"digest={DIGEST}",
        "needs-approval=true",
        "needs-backup=true",
    ]
    assert outputs(NOTHING).splitlines()[0] == "level=none"
    assert outputs(ACCEPTED).splitlines()[:2] == ["level=medium", "level-with-accepted=critical"]


def test_what_is_accepted_is_told_last_and_as_a_notice() -> None:
    lines = github(ACCEPTED).splitlines()
    assert [line.partition(" ")[0] for line in lines[:3]] == ["::warning", "::notice", "::notice"]
    assert lines[1].startswith("::notice title=DG102 critical accepted,")
    assert "Accepted: nobody has a fax" in lines[1]
    assert "medium (critical with what is accepted)." in lines[3]


def test_github_gets_ten_of_a_kind_and_is_told_how_many_more() -> None:
    lines = github(many(200)).splitlines()
    kinds = [line.partition(" ")[0] for line in lines if line.startswith("::")]
    assert kinds == ["::error"] * 10 + ["::warning"] * 10
    [told] = [line for line in lines if "not annotated" in line]
    total = sum(len(one.findings) for one in many(200).plan.verdicts)
    assert told.startswith(f"{total - 20} more findings are not annotated")
    assert "..  " not in lines[-1]
    assert ".." not in github(NOTHING)


def test_a_long_report_fits_into_a_comment_and_keeps_the_worst() -> None:
    of = many(900)
    assert len(markdown(of, 10**9)) > COMMENT
    shown = markdown(of)
    assert len(shown) <= COMMENT
    assert "revisions are not shown here" in shown
    assert "### `b009`" in shown  # critical
    assert f"- digest: `{DIGEST}`" in shown
    assert shown.count("```") % 2 == 0
    assert shown.count("<details>") == shown.count("</details>")


def test_quiet_revisions_of_a_long_report_share_a_row() -> None:
    shown = markdown(many(40))
    assert "| `b000` … `b005` | 🟢 low | 6 revisions, no finding | |" in shown
    assert "### `b000`" not in shown
    assert "### `b000`" in markdown(many(5))


@pytest.mark.parametrize("limit", [200, 3_000, 20_000])
def test_any_limit_is_kept(limit: int) -> None:
    assert len(markdown(many(60), limit)) <= max(limit, 300)


def test_markdown_marks_what_is_accepted() -> None:
    shown = markdown(ACCEPTED)
    assert "## 🟡 deployguard: medium (critical with what is accepted)" in shown
    assert "_Accepted:_ nobody has a fax" in shown
    assert "DG102 accepted, DG301 accepted, DG201" in shown
    assert "Critical (what is accepted counts for deploy) needs an approval" in shown


def test_records_as_tables() -> None:
    assert "| `bookings-production-20260218-123005` |" in backups_markdown([BACKUP])
    assert "| `guests` | 1,200 |" in backup_markdown(BACKUP)
    assert "b017 → b018" in history_markdown([DEPLOY])
    assert "exit code 1 \\| see the log" in deploy_markdown(DEPLOY)
    assert "deployguard resume --env production" in status_markdown(STATUS)


def test_advice_in_sentences_wraps_and_code_can_be_copied() -> None:
    both = finding(instead="Give it a revision of its own:\nop.drop_index('x')\nop.drop_index('y')")
    plain = finding(instead="Drop it in the *next* release.")
    shown = markdown(report(verdict(Risk.CRITICAL, both, plain)))
    assert (
        "Instead: Give it a revision of its own:\n\n```\nop.drop_index('x')\nop.drop_index('y')\n```"
        in shown
    )
    assert "\nInstead: Drop it in the \\*next\\* release.\n" in shown


def test_a_message_ends_before_the_reason_begins() -> None:
    bare = finding(message="It reads guests while it runs", why="Rows decide.")
    assert "It reads guests while it runs.%0ARows decide." in github(
        report(verdict(Risk.CRITICAL, bare))
    )
