"""``deployguard explain``: what a rule knows."""

import click

from deployguard.cli.group import common


@click.command(
    epilog="""\b
Examples:
  deployguard explain DG102
  deployguard explain            list every rule

\b
Exit codes: 0; 2 no such rule.
"""
)
@click.argument("code", required=False, default="")
@common
def command(code: str) -> None:
    """Explain the rule CODE: what it finds, why that is dangerous, and the safe form, with examples."""
    from deployguard.cli.terminal import data
    from deployguard.errors import UsageError
    from deployguard.formats.rule import book_lines, rule_lines
    from deployguard.rules import BOOK, explain

    out = data()
    if not code:
        out.lines(book_lines(BOOK, out.width))
        return
    rule = explain(code.upper())
    if rule is None:
        raise UsageError(f"There is no rule {code!r}.", next_commands=("deployguard explain",))
    out.lines(rule_lines(rule, out.width))
