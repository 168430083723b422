"""The book of hazards, and what it says of a run of revisions. A new rule goes into its family's module only."""

from collections.abc import Sequence
from functools import cache

from deployguard.model import Answers, Facts, Revision, Verdict
from deployguard.rules import (
    access,
    blocking,
    compatibility,
    constraints,
    contracts,
    data_loss,
    failing,
    holding,
    mysql,
    objects,
    piling,
    promises,
    repeating,
    reversibility,
    rewrites,
    settings,
    sqlite,
    transactions,
    unreadable,
)
from deployguard.rules.answers import answer
from deployguard.rules.base import Rule
from deployguard.rules.batch import collapse
from deployguard.rules.catalogue import enriched
from deployguard.rules.context import Context
from deployguard.rules.dropped import dropped_back
from deployguard.rules.judge import judge_run
from deployguard.rules.reference import Measured, render
from deployguard.rules.returning import operations

__all__ = [
    "BOOK",
    "FAMILIES",
    "Rule",
    "answers",
    "dropped_by_downgrade",
    "enriched",
    "explain",
    "judge",
    "render_reference",
]

FAMILIES: tuple[tuple[str, tuple[Rule, ...]], ...] = (
    ("Data loss", data_loss.RULES + objects.RULES + sqlite.RULES),
    (
        "Locks, scans and index builds",
        blocking.RULES + constraints.RULES + holding.RULES + piling.RULES,
    ),
    ("Rewrites", rewrites.RULES + mysql.REWRITES),
    ("Breaks the running application", compatibility.RULES + promises.RULES + contracts.RULES),
    ("Transactions", transactions.RULES + repeating.RULES + settings.RULES),
    ("Reversibility", reversibility.RULES),
    ("Fails on what is there", failing.RULES + mysql.FAILING),
    ("Access", access.RULES),
    ("Unreadable", unreadable.RULES),
)
BOOK: tuple[Rule, ...] = tuple(entry for _, family in FAMILIES for entry in family)


def judge(revisions: Sequence[Revision], facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each of the pending revisions, which come in the order in which they will run."""
    return judge_run(BOOK, revisions, facts)


def answers(verdicts: Sequence[Verdict]) -> Answers:
    """Does it drop anything, does it touch data in bulk, will it block, is there a way back."""
    return answer(verdicts)


def explain(code: str) -> Rule | None:
    """The rule with this code, or with this name; None when there is none."""
    return _by_name().get(code.strip().lower())


@cache
def _by_name() -> dict[str, Rule]:
    return {key.lower(): entry for entry in BOOK for key in (entry.code, entry.name)}


def render_reference(measured: Measured | None = None) -> str:
    """docs/rules.md, with what ``measured.load`` made of docs/measured.json."""
    return render(FAMILIES, measured or {})


def dropped_by_downgrade(
    verdict: Verdict, dialect: str = "postgresql"
) -> tuple[tuple[str, str | None], ...]:
    """(table, column) of what the upgrade made and the downgrade would drop; the column is None for a whole table.

    Whoever wants to take the revision back has to look whether rows have come into these since.
    """
    revision = verdict.revision
    up = operations(collapse(revision.up, dialect))
    down = operations(collapse(revision.down, dialect))
    return tuple(dict.fromkeys(dropped_back(up, down, Context.start(Facts(dialect)))))
