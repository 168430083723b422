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
    from deployguard.cli.rulebook import every_rule, one_rule
    from deployguard.cli.terminal import data

    out = data()
    out.lines(one_rule(code, out.width) if code else every_rule(out.width))
