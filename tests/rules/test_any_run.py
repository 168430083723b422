"""The book over statements of every kind: a verdict always, and never a low one for what was not understood."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.model import Body, Evidence, Facts, Revision, Risk, Script, Statement
from deployguard.operations import Unrecognised
from deployguard.rules import answers, dropped_by_downgrade, judge
from deployguard.sql import lower
from tests.sql.statements import WRITTEN

DIALECTS = ("postgresql", "sqlite", "mysql")


def script(statements: list[str], dialect: str, *, in_transaction: bool = True) -> Script:
    return Script(
        Body.PRESENT,
        1,
        tuple(
            Statement(text, number, operations, in_transaction)
            for number, sql in enumerate(statements, start=1)
            for text, operations in lower(sql, dialect)
        ),
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(WRITTEN), max_size=5),
            st.lists(st.sampled_from(WRITTEN), max_size=4),
            st.booleans(),
        ),
        max_size=3,
    ),
    st.sampled_from(DIALECTS),
)
def test_any_run_of_revisions_gets_its_verdicts(
    run: list[tuple[list[str], list[str], bool]], dialect: str
) -> None:
    revisions = [
        Revision(
            f"r{number}",
            (),
            "versions/r.py",
            "",
            "",
            script(up, dialect, in_transaction=inside),
            script(down, dialect),
            Evidence.RECORDED,
        )
        for number, (up, down, inside) in enumerate(run)
    ]
    verdicts = judge(revisions, Facts(dialect))
    assert len(verdicts) == len(revisions)
    said = answers(verdicts)
    for text in (said.drops, said.bulk_data, said.blocks, said.way_back):
        assert text.split()[0].strip(",.:") in {"yes", "no", "unknown"}
    for verdict in verdicts:
        operations = [one for item in verdict.revision.up.statements for one in item.operations]
        unknown = any(isinstance(one, Unrecognised) for one in operations)
        if unknown:
            assert verdict.risk is Risk.CRITICAL
            assert not verdict.expand_only
        if verdict.expand_only:
            assert verdict.risk < Risk.CRITICAL
        assert verdict.risk == max((one.risk for one in verdict.findings), default=Risk.LOW)
        dropped_by_downgrade(verdict, dialect)


@pytest.mark.parametrize("statement", WRITTEN)
def test_every_statement_alone_gets_a_verdict_with_complete_findings(statement: str) -> None:
    up = script([statement], "postgresql")
    revision = Revision("r", (), "versions/r.py", "", "", up, up, Evidence.RECORDED)
    (verdict,) = judge((revision,), Facts("postgresql"))
    for finding in verdict.findings:
        assert finding.message.endswith((".", ")", ":")), finding.message
        assert finding.why
        assert finding.instead
