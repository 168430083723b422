"""What is accepted stays and is marked; what matches nothing is an error unless the file cannot be blamed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from deployguard.accept import Accepted, Against, Baseline, accept, entries, scan
from deployguard.accept.baseline import REASON, document, fingerprint, parse
from deployguard.config import AcceptConfig
from deployguard.errors import UsageError
from deployguard.formats import render
from deployguard.model import Evidence, Facts, Opacity, Opaque, Risk, Statement, Verdict
from deployguard.rules import judge
from deployguard.sql import lower
from tests.formats.reports import finding, verdict

TODAY = date(2026, 2, 18)
DROP = finding(line=5)
INDEX = finding(Risk.MEDIUM, "DG201", line=9, message="Builds the index i on guests.")
ENTRY = AcceptConfig("b018", "DG102", "nobody has a fax", place="deployguard.toml:7")


def source(above: str = "", at_five: str = "") -> bytes:
    return (
        f"{above}\n\n\ndef upgrade():\n    op.a(){at_five}\n\n    op.x()\n\n    op.b()\n".encode()
    )


def judged(*findings: object, **changes: object) -> Verdict:
    made = verdict(Risk.CRITICAL, *(findings or (DROP, INDEX)))  # type: ignore[arg-type]  # findings
    up = replace(
        made.revision.up, statements=(Statement("ALTER TABLE guests DROP COLUMN fax", 5, ()),)
    )
    return replace(made, revision=replace(made.revision, up=up, **changes))


def accepted(
    file: bytes = b"",
    *configured: AcceptConfig,
    of: Verdict | None = None,
    baseline: Baseline | None = None,
    dialect: str = "postgresql",
    live: bool = False,
    bare: Sequence[Verdict] = (),
) -> Accepted:
    return accept(
        (of or judged(),),
        {"b018": scan(file)},
        configured,
        baseline,
        against=Against(dialect, TODAY, live=live),
        bare=lambda: bare,
    )


def reasons(done: Accepted) -> list[str]:
    return [one.accepted for one in done.verdicts[0].findings]


def test_at_the_statement_only_its_findings_are_accepted() -> None:
    done = accepted(source(at_five='  # deployguard: accept DG102 reason="old"'))
    assert (reasons(done), done.problems) == (["old", ""], ())
    assert done.verdicts[0].risk is Risk.CRITICAL
    assert done.verdicts[0].open_risk is Risk.MEDIUM


def test_for_the_revision_every_finding_of_the_rule_is_accepted() -> None:
    above = '# deployguard: accept drop-column, DG201 reason="old"'
    assert reasons(accepted(source(above))) == ["old", "old"]
    assert accepted(source(above)).verdicts[0].open_risk is Risk.LOW


def test_one_that_matches_nothing_is_an_error_that_says_where_the_rule_is_found() -> None:
    done = accepted(source(at_five='  # deployguard: accept DG201 reason="old"'))
    [problem] = done.problems
    assert "b018_drop_guest_fax.py:5: accepting DG201 matches no finding" in problem
    assert "on line 9" in problem
    assert reasons(done) == ["", ""]


def test_each_rule_of_a_directive_must_match() -> None:
    done = accepted(source('# deployguard: accept DG102, DG301 reason="old"'))
    [problem] = done.problems
    assert "accepting DG301 matches no finding; on postgresql this revision has none" in problem


def test_an_unknown_rule_is_an_error() -> None:
    [problem] = accepted(source('# deployguard: accept DG999 reason="x"')).problems
    assert "there is no rule 'DG999'" in problem


def test_one_for_another_dialect_is_neither_applied_nor_stale() -> None:
    done = accepted(source('# deployguard: accept DG102 dialect=sqlite reason="x"'))
    assert (reasons(done), done.problems) == (["", ""], ())
    assert reasons(
        accepted(source('# deployguard: accept DG102 dialect=sqlite reason="x"'), dialect="sqlite")
    ) == ["x", ""]


def test_an_expired_one_is_open_again_and_says_so() -> None:
    last_day = source('# deployguard: accept DG102 expires=2026-02-18 reason="x"')
    assert reasons(accepted(last_day)) == ["x", ""]
    done = accepted(source('# deployguard: accept DG102 expires=2026-02-17 reason="x"'))
    assert (reasons(done), done.problems) == (["", ""], ())
    assert "was accepted until 2026-02-17; its finding is open again" in done.notes[0]


def test_malformed_directives_are_errors_with_file_and_line() -> None:
    [problem] = accepted(source(at_five="  # deployguard: accept DG102")).problems
    assert problem.startswith("migrations/versions/b018_drop_guest_fax.py:5: it gives no reason")


def test_what_a_live_database_makes_go_away_is_not_stale() -> None:
    file = source('# deployguard: accept DG102 reason="x"')
    without = judged(INDEX)
    assert accepted(file, of=without, live=True).problems
    assert not accepted(file, of=without, live=True, bare=(judged(),)).problems
    assert not accepted(file, of=without, live=True, bare=(judged(),)).notes


def test_what_could_not_be_seen_before_is_not_stale_when_the_database_is_asked() -> None:
    file = source('# deployguard: accept DG905 reason="x"')
    assert accepted(file).problems
    done = accepted(file, live=True)
    assert (done.problems, len(done.notes)) == ((), 1)


def test_a_revision_that_was_not_read_blames_no_suppression() -> None:
    file = source('# deployguard: accept DG201 reason="x"')
    failed = judged(finding(Risk.CRITICAL, "DG901", line=0))
    assert accepted(file, of=failed).problems == ()
    unread = judged(DROP, evidence=Evidence.SOURCE)
    assert accepted(file, of=unread).problems == ()


def test_an_operation_in_a_batch_is_found_by_what_it_names() -> None:
    file = (
        b"def upgrade():\n"
        b"    with op.batch_alter_table('guests') as batch:\n"
        b"        batch.drop_column('fax')  # deployguard: accept DG102 reason='old'\n"
        b"        batch.drop_column('email')\n"
    )
    fax = finding(line=2)
    email = finding(line=2, message="Drops the column guests.email.")
    done = accepted(file, of=judged(fax, email))
    assert (reasons(done), done.problems) == (["old", ""], ())


def test_the_configuration_accepts_by_revision_line_and_statement() -> None:
    assert reasons(accepted(b"", ENTRY)) == ["nobody has a fax", ""]
    assert reasons(accepted(b"", replace(ENTRY, line=5))) == ["nobody has a fax", ""]
    by_statement = replace(ENTRY, statement="DROP\n COLUMN  fax")
    assert reasons(accepted(b"", by_statement)) == ["nobody has a fax", ""]
    for wrong in (replace(ENTRY, line=6), replace(ENTRY, statement="DROP TABLE")):
        [problem] = accepted(b"", wrong).problems
        assert problem.startswith("deployguard.toml:7: accepting DG102 matches no finding")
    other = replace(ENTRY, revision="b017")
    assert (reasons(accepted(b"", other)), accepted(b"", other).problems) == (["", ""], ())


def test_the_first_reason_counts() -> None:
    file = source('# deployguard: accept DG102 reason="of the file"')
    done = accepted(file, ENTRY)
    assert (reasons(done), done.problems) == (["of the file", ""], ())


def recorded(*verdicts: Verdict) -> Baseline:
    made = Baseline().with_dialect("postgresql", entries(verdicts))
    return parse(render(document(made)), "baseline.json")


def test_the_baseline_accepts_what_was_there() -> None:
    known = recorded(judged())
    assert reasons(accepted(baseline=known)) == [REASON, REASON]
    assert reasons(accepted(baseline=known, dialect="sqlite")) == ["", ""]


def loop_over(*names: str) -> Verdict:
    """One line that drops a column of each table, as the rules judge it."""
    texts = [f"ALTER TABLE {name} DROP COLUMN token" for name in names]
    made = judged().revision
    up = replace(
        made.up,
        statements=tuple(
            Statement(sql, 5, operations)
            for text in texts
            for sql, operations in lower(text, "postgresql")
        ),
    )
    [found] = judge((replace(made, up=up),), Facts("postgresql"))
    return replace(found, findings=tuple(one for one in found.findings if one.rule == "DG102"))


@pytest.mark.parametrize("line", [0, 5])
def test_one_statement_of_a_loop_is_not_accepted_for_the_others(line: int) -> None:
    entry = replace(ENTRY, line=line, statement="ALTER TABLE guests DROP COLUMN token")
    done = accepted(b"", entry, of=loop_over("rooms", "guests", "keys"))

    [found] = done.verdicts
    assert done.problems == ()
    assert [one.message for one in found.findings if one.accepted] == [
        "Drops the column guests.token."
    ]
    assert found.open_risk is Risk.CRITICAL
    every = replace(ENTRY, line=line, statement="DROP COLUMN")
    assert set(reasons(accepted(b"", every, of=loop_over("rooms", "guests")))) == {ENTRY.reason}


def test_what_is_said_of_a_line_is_not_accepted_for_one_of_its_statements() -> None:
    made = loop_over("rooms", "guests")
    hidden = replace(made, findings=(replace(made.findings[0], statements=()),))
    entry = replace(ENTRY, line=5, statement="guests")
    assert reasons(accepted(b"", entry, of=hidden)) == [""]


def test_the_same_finding_of_two_statements_needs_both() -> None:
    made = loop_over("rooms", "guests")
    both = replace(made.findings[0], statements=((0, 0), (1, 1)))
    entry = replace(ENTRY, line=5, statement="guests")
    assert reasons(accepted(b"", entry, of=replace(made, findings=(both,)))) == [""]


def test_a_changed_file_is_open_again() -> None:
    assert reasons(accepted(baseline=recorded(judged()), of=judged(digest="cd" * 32))) == ["", ""]


def test_a_new_finding_in_a_known_revision_is_open() -> None:
    assert reasons(accepted(baseline=recorded(judged(DROP)))) == [REASON, ""]
    assert reasons(accepted(baseline=recorded(judged(DROP), judged(INDEX)))) == [REASON, REASON]


def test_a_fingerprint_is_of_the_sql_unless_that_differs_each_time() -> None:
    def mark(sql: str, *opacities: Opacity) -> str:
        up = replace(judged().revision.up, statements=(Statement(sql, 5, ()),), opacities=opacities)
        return fingerprint(replace(judged().revision, up=up), DROP)

    elsewhere = replace(judged().revision.up, statements=(Statement("SELECT 1", 6, ()),))
    nothing = replace(judged().revision.up, statements=())
    assert fingerprint(replace(judged().revision, up=elsewhere), DROP) == fingerprint(
        replace(judged().revision, up=nothing), DROP
    )
    clock = Opacity(Opaque.EXTERNAL_INPUT, 5, "the clock")
    file = Opacity(Opaque.EXTERNAL_INPUT, 5, "it reaches for the file rows.sql")
    opened = Opacity(Opaque.EXTERNAL_INPUT, 5, "it depends on open")
    assert mark("UPDATE t SET a = 1", file, opened) != mark("UPDATE t SET a = 2", file, opened)
    assert mark("UPDATE t SET a = 1", file, clock) == mark("UPDATE t SET a = 2", file, clock)
    assert mark("UPDATE t SET a = 1") != mark("UPDATE t SET a = 2")
    assert mark("UPDATE t SET a = 1", clock) == mark("UPDATE t SET a = 2", clock)
    assert mark("CREATE TABLE t (\n a,\n b\n)") == mark("CREATE TABLE t (\n b,\n a\n)")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": "deployguard.baseline/1"}',
        '{"schema": "deployguard.baseline/1", "dialects": {"a": {"b": 1}}}',
        '{"schema": "deployguard.baseline/1", "dialects": {"a": {"b": {"findings": [1]}}}}',
        '{"schema": "deployguard.baseline/1", "dialects": {"a": {"b": {"findings": [{"rule": 1}]}}}}',
        '{"schema": "deployguard.baseline/2", "dialects": {}}',
        "[" * 100_000,
    ],
)
def test_a_baseline_that_is_none_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match=r"^b.json is no baseline"):
        parse(text, "b.json")
