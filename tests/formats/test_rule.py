"""`explain`: every rule of the book with what it needs, inside of the terminal's width."""

import pytest

from deployguard.formats.rule import book_lines, rule_lines
from deployguard.formats.spans import plain
from deployguard.rules import BOOK
from deployguard.rules.base import Rule


@pytest.mark.parametrize("rule", BOOK, ids=lambda rule: rule.code)
def test_every_rule_explains_itself(rule: Rule) -> None:
    shown = plain(rule_lines(rule, 80))
    for part in (rule.code, rule.name, str(rule.risk), "Instead", "Flagged", "To accept it"):
        assert part in shown
    assert f'# deployguard: accept {rule.code} reason="…"' in shown
    assert ".. " not in shown.replace("... ", "")


def test_the_safe_form_has_names_and_the_lock_is_told() -> None:
    [rule] = [one for one in BOOK if one.code == "DG201"]
    shown = plain(rule_lines(rule, 110))
    assert 'op.create_index("ix", "orders", ["a"], postgresql_concurrently=True)' in shown
    assert "SHARE on orders: blocks writes, index build" in shown
    assert "{" not in shown.partition("Flagged")[0]


def test_the_book_is_a_table() -> None:
    lines = plain(book_lines(BOOK, 80)).splitlines()
    assert len(lines) == len(BOOK) + 1
