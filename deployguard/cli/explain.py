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
    import difflib

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
        known = [name for one in BOOK for name in (one.code, one.name)]
        near = difflib.get_close_matches(code, known, 1) or difflib.get_close_matches(
            code.upper(), known, 1
        )
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(
            f"There is no rule {code!r}.{hint}", state="", next_commands=("deployguard explain",)
        )
    out.lines(rule_lines(rule, out.width))
