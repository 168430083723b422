"""What a terminal shows: complete, inside its width, and unable to be steered by the project's own text."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.formats import check_lines, text
from deployguard.formats.github import github
from deployguard.formats.kept import backups_lines
from deployguard.formats.markdown import markdown
from deployguard.formats.records import (
    backup_lines,
    deploy_lines,
    history_lines,
    status_lines,
)
from deployguard.formats.spans import (
    Span,
    Style,
    ascii_only,
    cells,
    clean,
    cut,
    ends,
    plain,
    table,
)
from deployguard.formats.words import seconds, sentence, size
from deployguard.model import Lock, Risk, Undo, Way
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


def test_every_fact_of_the_verdict_is_shown() -> None:
    shown = text(CRITICAL, 100)
    for fact in (
        "production",
        "CRITICAL",
        "1 revision pending, b017 → b018",
        "DG102 critical  Drops the column guests.fax.",
        f"{PATH}:16",
        "why   Its values are gone",
        "safe  Stop using the column",
        "ALTER TABLE guests DROP COLUMN fax",
        "ACCESS EXCLUSIVE on guests: blocks reads and writes",
        "downgrade, but it loses data",
        "Does it drop anything?",
        "Does it touch data in bulk?",
        "Will it block, and how long?",
        "Is there a way back?",
        "needs an approval of this plan's digest",
        "a verified backup is required",
        "recorded through the project's own env.py",
        "Table sizes are unknown",
        DIGEST,
        "deployguard deploy --env production",
    ):
        assert fact in shown


def test_nothing_pending_is_said_in_one_line() -> None:
    shown = text(NOTHING)
    assert " OK  Nothing is pending; the database is at b018." in shown
    assert "Checklist" not in shown


def test_sql_is_shown_only_when_asked_for() -> None:
    one = verdict(Risk.LOW)
    assert "DROP COLUMN" not in text(report(one))
    assert "sql   ALTER TABLE guests DROP COLUMN fax" in text(report(one, show_sql=True))


@pytest.mark.parametrize("width", [60, 80, 200])
def test_lines_stay_inside_the_terminal(width: int) -> None:
    long = replace(finding(), message="word " * 60, why="word " * 90)
    shown = text(report(verdict(Risk.CRITICAL, long, message="title " * 40)), width)
    assert max(len(line) for line in shown.splitlines()) <= max(width, 80)
    assert all(line == line.rstrip() for line in shown.splitlines())


@given(st.text(max_size=60))
def test_no_control_character_of_the_project_reaches_the_terminal(message: str) -> None:
    nasty = replace(finding(), message=message, why=message, path=message or "p")
    shown = text(report(verdict(Risk.CRITICAL, nasty, message=message)))
    assert all(c == "\n" or c.isprintable() or c == "\u00a0" for c in shown)


def test_escape_sequences_are_written_out() -> None:
    assert clean("a\x1b[2Jb\x07\u202ec") == "a\\x1b[2Jb\\x07\\u202ec"


def test_what_is_accepted_is_shown_with_its_reason_and_counts_for_deploy() -> None:
    shown = text(ACCEPTED, 110)
    assert " MEDIUM  1 revision pending" in shown
    assert "medium (critical accepted)" in shown
    assert "DG102 critical accepted  Drops the column guests.fax." in shown
    assert f"ok    nobody has a fax ({PATH}:15)" in shown
    assert "ok    known from before (baseline)" in shown
    assert "1 medium, 2 findings accepted" in shown
    assert "Critical (what is accepted counts for deploy) needs an approval" in shown
    assert " CRITICAL  1 revision pending" in text(replace(ACCEPTED, deploying=True), 110)


def test_a_long_report_sums_up_first_and_keeps_quiet_revisions_together() -> None:
    shown = text(many(200), 80)
    lines = shown.splitlines()
    assert "20 critical, 26 medium, 154 low" in lines[2]
    assert "b000 … b005  6 revisions" in shown
    assert shown.count("why   ") == 2  # each rule once
    assert "-v shows\neverything" in shown
    assert len(lines) < 450
    assert max(len(line) for line in lines) <= 80
    assert text(replace(many(200), show_sql=True), 80).count("why   ") == 46


def test_a_short_report_leaves_nothing_out() -> None:
    shown = text(many(5), 80)
    assert shown.count("  low") >= 5


def test_an_estimate_says_what_it_rests_on() -> None:
    lock = Lock("orders", "SHARE", "writes", "index build", 180.0, "12 GB: 3 min; an estimate")
    one = replace(verdict(Risk.MEDIUM), locks=(lock,))
    expected = "SHARE on orders: blocks writes, index build (12 GB: 3 min; an estimate)"
    assert expected in text(report(one), 110)


def test_code_is_never_wrapped_so_that_it_can_be_copied() -> None:
    code = (
        'op.create_index("ix_'
        + "a" * 30
        + '", "guests", ["full_name"], postgresql_concurrently=True)'
    )
    note = "# " + "first deploy a release that no longer has it, " * 3
    prose = "Give it a revision of its own, which waits for nobody and holds no lock for long."
    one = finding(instead=f"{prose}\n{note.rstrip()}\n    {code}")
    lines = [line.strip() for line in text(report(verdict(Risk.HIGH, one)), 80).splitlines()]
    assert code in lines
    assert note.rstrip() in lines
    assert f"safe  {prose}" not in lines


def test_the_same_reason_is_given_once_in_a_revision() -> None:
    twice = verdict(Risk.CRITICAL, finding(), finding(line=20), finding(line=30, why="Another."))
    shown = text(report(twice), 100)
    assert (shown.count("why   "), shown.count("safe  ")) == (2, 1)
    both = report(twice, replace(twice, revision=replace(twice.revision, id="b019")))
    assert text(both, 100).count("safe  ") == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("it failed", "it failed."),
        ("it failed.", "it failed."),
        ("it failed..", "it failed."),
        ("one.. two.", "one. two."),
        ("and so on ...", "and so on ..."),
        ("why?", "why?"),
        ("", ""),
    ],
)
def test_a_sentence_ends_once(given: str, expected: str) -> None:
    assert sentence(given) == expected


def test_a_reason_goes_on_behind_its_colon() -> None:
    one = replace(verdict(Risk.LOW), undo=Undo(Way.RESTORE, "What it does is not known.."))
    assert "by restoring a backup: what it does is not known.\n" in text(report(one))


def test_long_names_are_cut_where_they_are_headings() -> None:
    one = verdict(Risk.LOW, message="m" * 300)
    long = replace(one, revision=replace(one.revision, id="r" * 200, path="p"))
    assert max(len(line) for line in text(report(long), 80).splitlines()) <= 80


def test_levels_are_marked_with_their_style() -> None:
    spans = [span for line in check_lines(CRITICAL) for span in line]
    assert Span(" CRITICAL ", Style.CRITICAL) in spans
    assert Span("deployguard deploy --env production", Style.COMMAND) in spans


def test_ascii_output_has_only_ascii_in_it() -> None:
    shown = ascii_only(text(CRITICAL) + "Zürich “quoted” \u2013 dash")
    assert shown.isascii()
    assert "b017 -> b018" in shown
    assert 'Z\\xfcrich "quoted" - dash' in shown


def test_a_level_moves_to_its_own_line_when_the_title_is_long() -> None:
    assert len(ends([Span("x" * 75)], Span("critical"), 80)) == 2
    assert len(ends([Span("x" * 60)], Span("critical"), 80)) == 1


def test_wide_characters_count_twice_and_accents_not() -> None:
    assert [cells("abc"), cells("顧客"), cells("e\u0301")] == [3, 4, 1]
    assert cut("顧客の列を消す", 7) == "顧客の…"
    [line] = ends([Span("顧客の列を消す")], Span("low"), 80)
    assert sum(cells(span.text) for span in line) == 80


def test_columns_line_up_and_the_last_one_wraps() -> None:
    rows = [[Span("a"), Span("one two three four five six seven eight")], [Span("bbb"), Span("x")]]
    shown = plain(table(("k", "text"), rows, 30)).splitlines()
    assert shown[0] == "k    text"
    assert shown[1].startswith("a    one two three")
    assert shown[2].startswith("     ")
    assert shown[-1] == "bbb  x"


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 bytes"), (1536, "1.5 kB"), (5 << 30, "5.4 GB"), (9 << 40, "9.9 TB")],
)
def test_sizes(count: int, expected: str) -> None:
    assert size(count) == expected


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (59.6, "1 min 0 s"),
        (75, "1 min 15 s"),
        (7260, "2 h 1 min"),
    ],
)
def test_durations(duration: float, expected: str) -> None:
    assert seconds(duration) == expected


def test_backups_are_listed_with_what_matters() -> None:
    shown = plain(backups_lines([BACKUP, replace(BACKUP, verification=None)], 120))
    assert (
        "bookings-production-20260218-123005  2026-02-18 12:30:05  3 h  1.5 kB  yes       never    here   pre-deploy"
        in shown
    )
    assert "not yet" in shown
    assert "deployguard backup create" in plain(backups_lines([]))


def test_a_damaged_backup_cannot_be_overlooked() -> None:
    assert BACKUP.verification is not None
    damaged = replace(BACKUP, verification=replace(BACKUP.verification, ok=False))
    spans = [span for line in backups_lines([damaged]) for span in line]
    assert ("DAMAGED", Style.BAD) in [(span.text.strip(), span.style) for span in spans]


def test_one_backup_shows_files_rows_and_evidence() -> None:
    shown = plain(backup_lines(BACKUP, 100))
    for fact in ("bookings.dump  1.5 kB", "cd" * 32, "guests", "1,200", "read to the end", "15.6"):
        assert fact in shown


def test_history_and_deploy_show_steps_and_states() -> None:
    assert "2026-02-18 12:30  critical  done   b017 → b018" in plain(history_lines([DEPLOY], 120))
    assert "rollback" in plain(history_lines([replace(DEPLOY, kind="rollback")], 80))
    assert "No deploy" in plain(history_lines([]))
    shown = plain(deploy_lines(DEPLOY, 100))
    for fact in ("approved by", "ada", "migrate", "failed", "exit code 1"):
        assert fact in shown


def test_lists_fit_into_eighty_columns() -> None:
    undone = replace(DEPLOY, state="rolled-back")
    for lines in (backups_lines([BACKUP], 80), history_lines([undone], 80)):
        assert max(len(line) for line in plain(lines).splitlines()) <= 80


def test_status_says_where_things_stand_and_what_to_type() -> None:
    shown = plain(status_lines(STATUS))
    for fact in ("b017", "pending", "ada, pid 4711", "Unfinished", "deployguard resume", "A note."):
        assert fact in shown
    unknown = plain(status_lines(replace(STATUS, current=None, pending=None)))
    assert "unknown" in unknown


def test_the_header_says_which_dialect_was_judged() -> None:
    for target, shown in (
        ("no database", "no database (postgresql)"),
        ("facts of production (shop)", "facts of production (shop, postgresql)"),
        ("postgresql://db/shop", "postgresql://db/shop"),
    ):
        asked = replace(CRITICAL, plan=replace(CRITICAL.plan, target=target))
        assert text(asked).splitlines()[0].endswith(f" {shown}")
        assert f"`{shown}`" in markdown(asked)
        assert shown in github(asked)
