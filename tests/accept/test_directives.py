"""The grammar of a suppression: what is read, what is refused, and that nothing in between is ignored."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.accept.directives import Accepts, in_a_string, read_comment


def read(comment: str) -> list[Accepts | str]:
    return list(read_comment(comment))


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ('# deployguard: accept DG201 reason="40 rows"', Accepts(("DG201",), "40 rows")),
        ("#deployguard:accept DG201 reason='40 rows'", Accepts(("DG201",), "40 rows")),
        ('# Deployguard: Accept dg201 reason="x"', Accepts(("dg201",), "x")),
        (
            '# deployguard: accept DG201, drop-column reason="a \\"b\\" c"',
            Accepts(("DG201", "drop-column"), 'a "b" c'),
        ),
        ('# deployguard: accept DG201 DG202 reason="x"', Accepts(("DG201", "DG202"), "x")),
        (
            '# deployguard: accept DG201 dialect=sqlite expires=2027-01-31 reason="x"',
            Accepts(("DG201",), "x", "sqlite", date(2027, 1, 31)),
        ),
        ('# deployguard: accept reason="first" DG201', Accepts(("DG201",), "first")),
        ('# noqa: E501  # deployguard: accept DG201 reason="#1"', Accepts(("DG201",), "#1")),
        ('# deployguard: accept DG201 reason="x"  # noqa: E501', Accepts(("DG201",), "x")),
    ],
)
def test_what_is_accepted(comment: str, expected: Accepts) -> None:
    assert read(comment) == [expected]


def test_one_comment_may_hold_several() -> None:
    both = read('# deployguard: accept A reason="x" # deployguard: accept B reason="y"')
    assert both == [Accepts(("A",), "x"), Accepts(("B",), "y")]


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# deployguard: accept DG201", "no reason"),
        ("# deployguard:accept DG201", "no reason"),
        ('# deployguard: accept DG201 reason=""', "no reason"),
        ('# deployguard: accept DG201 reason=" "', "no reason"),
        ("# deployguard: accept DG201 reason=small", "needs quotes"),
        ('# deployguard: accept DG201 reason="small', "needs quotes"),
        ('# deployguard: accept reason="x"', "names no rule"),
        ('# deployguard: acept DG201 reason="x"', "must go on with `accept`"),
        ('# deployguard: ignore DG201 reason="x"', "must go on with `accept`"),
        ("# deployguard:", "must go on with `accept`"),
        ('# deployguard: accept DG201 because="x"', "unknown key 'because'"),
        ('# deployguard: accept DG201 reason="x" reason="y"', "stands there twice"),
        ('# deployguard: accept DG201 dialect=postgres reason="x"', "unknown dialect 'postgres'"),
        ('# deployguard: accept DG201 dialect= reason="x"', "cannot read"),
        ('# deployguard: accept DG201 expires=soon reason="x"', "write it as"),
        ('# deployguard: accept DG201 (small) reason="x"', "cannot read '(small)"),
        ('# deployguard: accept DG201 reason="x" - see the ticket', "cannot read '- see"),
        ('# deploygard: accept DG201 reason="x"', "is not how a directive begins"),
        ('# deploy-guard: accept DG201 reason="x"', "is not how a directive begins"),
        ('# deploy guard: accept DG201 reason="x"', "is not how a directive begins"),
        ('# deployguard accept DG201 reason="x"', "looks like a directive"),
        ('# small; deployguard: accept DG201 reason="x"', "looks like a directive"),
        ("# deployguard ignore DG201", "looks like a directive"),
        ('# noqa deployguard: accept x reason="y"', "looks like a directive"),
    ],
)
def test_what_was_meant_as_one_is_never_ignored(comment: str, said: str) -> None:
    [complaint] = read(comment)
    assert isinstance(complaint, str)
    assert said in complaint


@pytest.mark.parametrize(
    "comment",
    [
        "# deployguard reads this file before a deploy",
        "# see the deployguard docs: https://example.com/deployguard",
        "# accept the loss of the fax numbers",
        "# noqa: E501",
        "# type: ignore[arg-type]",
        "#",
    ],
)
def test_prose_is_no_directive(comment: str) -> None:
    assert read(comment) == []


@pytest.mark.parametrize(
    ("text", "alone", "wrong"),
    [
        ('-- deployguard: accept DG201 reason="x"\nCREATE INDEX i ON t (a)', False, True),
        ("SELECT 1 /* deployguard: accept DG201 */", False, True),
        ('deployguard: accept DG201 reason="x"', True, True),
        ('deployguard: accept DG201 reason="x"', False, False),
        ("Checked with deployguard: it accepts this.", True, False),
    ],
)
def test_a_string_accepts_nothing_and_says_so(text: str, alone: bool, wrong: bool) -> None:
    assert bool(in_a_string(text, alone=alone)) is wrong


NEAR = st.text(alphabet="#deployguard: acceptDG201\"'\\=,xX-\n\u202e\x1b", max_size=60)


@given(st.one_of(st.text(max_size=80), NEAR))
def test_any_comment_is_read_without_a_crash(text: str) -> None:
    for one in read("#" + text):
        assert isinstance(one, Accepts | str)


@given(NEAR)
def test_what_begins_like_a_directive_is_one_or_an_error(text: str) -> None:
    assert read(f"# deployguard: {text}")


@given(
    st.lists(st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True), min_size=1, max_size=4),
    st.text(min_size=1, max_size=40).filter(lambda text: text.strip() and "\n" not in text),
)
def test_whatever_is_written_as_the_grammar_says_is_read_back(
    rules: list[str], reason: str
) -> None:
    quoted = reason.replace("\\", "\\\\").replace('"', '\\"')
    [one] = read(f'# deployguard: accept {", ".join(rules)} reason="{quoted}"')
    assert isinstance(one, Accepts)
    assert one.rules == tuple(dict.fromkeys(rules))
    assert one.reason == " ".join(reason.split())
