"""The rule reference, written from the rules themselves."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from deployguard.rules.base import Rule
from deployguard.rules.examples import read
from deployguard.rules.judge import judge_run
from deployguard.rules.measured import Seen, table
from deployguard.rules.mysql_words import MYSQL

_HEAD = """# Rules

Every hazard that `deployguard check` knows. `deployguard explain DG201` prints the same text. The page is
generated from `deployguard/rules/` by `scripts/docs`; the examples on it are run by the tests: each of "found here"
yields the rule, and each of "not here" yields nothing at all. What their statements lock, scan and rewrite was
measured on real servers (`scripts/measure`); [locks.md](locks.md) has many more.

How the examples are written: a line `-- next revision` begins another revision in the same transaction,
`-- own transaction` one in its own; what follows `-- autocommit` runs outside a transaction; `-- was:` names a
column's former type; `-- down:` is what the downgrade runs; `-- opaque:` stands for what could not be seen
while a revision was read.
"""


Measured: TypeAlias = Mapping[str, tuple[Seen, ...]]


def render(families: Sequence[tuple[str, tuple[Rule, ...]]], measured: Measured) -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *_contents(families), *_pages(families, measured)]).rstrip() + "\n"


def _contents(families: Sequence[tuple[str, tuple[Rule, ...]]]) -> Iterator[str]:
    yield "| rule | level | what |\n| --- | --- | --- |"
    for _, rules in families:
        for entry in rules:
            yield f"| [{entry.code}](#{entry.code.lower()}) | {entry.risk} | {entry.name} |"
    yield ""


def _pages(families: Sequence[tuple[str, tuple[Rule, ...]]], measured: Measured) -> Iterator[str]:
    for title, rules in families:
        yield f"## {title}\n"
        for entry in rules:
            yield from _page(entry, measured)


def _page(entry: Rule, measured: Measured) -> Iterator[str]:
    yield f'<a id="{entry.code.lower()}"></a>\n\n### {entry.code} {entry.name}\n'
    yield f"Level: **{entry.risk}**\n"
    yield f"{entry.effect}\n"
    if entry.sqlite_effect and entry.sqlite_effect != entry.effect:
        yield f"On SQLite: {entry.sqlite_effect}\n"
    yield "Instead (for the first example):\n"
    yield f"```text\n{safe_form(entry)}\n```\n"
    if entry.sqlite_instead:
        yield f"On SQLite: {entry.sqlite_instead.replace('{', '<').replace('}', '>')}\n"
    if entry.code in MYSQL:
        for text in MYSQL[entry.code]:
            if text:
                yield f"On MySQL: {text.replace('{', '<').replace('}', '>')}\n"
    yield "Found here:\n"
    yield f"{_examples(entry.bad)}\n"
    if seen := table(entry.bad, measured):
        yield f"Seen on PostgreSQL:\n\n{seen}\n"
    yield "Not here:\n"
    yield f"{_examples(entry.good)}\n"
    if seen := table(entry.good, measured):
        yield f"Seen on PostgreSQL:\n\n{seen}\n"


def safe_form(entry: Rule) -> str:
    """The safe form as a user gets it, with the names of the first example."""
    revisions, facts = read(entry.bad[0])
    found = [
        finding for verdict in judge_run((entry,), revisions, facts) for finding in verdict.findings
    ]
    return found[0].instead if found else entry.instead


def _examples(examples: tuple[str, ...]) -> str:
    return "\n\n".join(f"```sql\n{example}\n```" for example in examples)
