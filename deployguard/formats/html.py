"""The report as one page that needs no network: for an approver on a phone, for printing, for keeping.

Everything that comes from the project is escaped by the template engine; the page runs no script and asks for
nothing.
"""

from itertools import groupby
from textwrap import dedent
from typing import Any  # what a template shows may be anything

from deployguard.formats import words
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean, is_prose


def html(report: CheckReport) -> str:
    """The answer of ``check`` as a whole HTML document."""
    plan, level = report.plan, report.level
    return _page(
        "check.html",
        plan=plan,
        tone=str(level) if level else "low",
        level=words.level(plan),
        headline=words.headline(plan),
        counts=words.counts(plan.verdicts) if len(plan.verdicts) > 1 else "",
        demand=words.demand(report),
        answers=[(asked, words.question(plan.answers, key)) for asked, key in words.QUESTIONS],
        commands=report.next_commands,
        judged=words.judged(plan),
        evidence=words.evidence(report),
        sentence=words.sentence,
        verdict_level=words.verdict_level,
        accepted=words.accepted,
        lock=words.lock,
        undo=words.undo,
        advice=_advice,
    )


def _page(name: str, **values: object) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("deployguard.formats", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown: dict[str, Any] = {"clean": clean, **values}
    return environment.get_template(name).render(shown)


def _advice(text: str) -> list[tuple[bool, str]]:
    """A safe form as (whether it is prose, text): its sentences wrap, its code stays as it is."""
    return [
        (prose, dedent("\n".join(lines)))
        for prose, lines in groupby(clean(text).splitlines(), is_prose)
    ]
