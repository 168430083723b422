"""Where a directive may stand, and which lines it covers."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.accept.scan import Scanned, scan

SAY = '# deployguard: accept DG201 reason="r"'


def covered(source: str) -> list[tuple[int, int] | None]:
    found = scan(source.replace("@@", SAY).encode())
    assert found.problems == ()
    return [one.span for one in found.directives]


def complaints(source: str) -> list[tuple[int, str]]:
    return [(one.line, one.message) for one in scan(source.replace("@@", SAY).encode()).problems]


def test_behind_a_call_it_covers_the_call() -> None:
    assert covered("def upgrade():\n    op.a()  @@\n    op.b()\n") == [(2, 2)]


def test_directly_above_a_call_it_covers_the_call() -> None:
    assert covered("def upgrade():\n    op.a()\n    @@\n    op.b(\n        1,\n    )\n") == [(4, 6)]


def test_several_comments_above_a_call_all_cover_it() -> None:
    assert covered("def upgrade():\n    @@\n    # why\n    @@\n    op.b()\n") == [(5, 5), (5, 5)]


@pytest.mark.parametrize("line", ["        1,  @@\n", "        @@\n        1,\n", "        1,\n"])
def test_inside_of_a_call_it_covers_the_call(line: str) -> None:
    source = f"def upgrade():\n    op.b(\n{line}    )  @@\n"
    end = source.count("\n")
    assert set(covered(source)) == {(2, end)}


def test_at_a_block_it_covers_the_block() -> None:
    block = (
        "def upgrade():\n    @@\n    for t in ts:\n        op.a(t)\n        op.b(t)\n    op.c()\n"
    )
    assert covered(block) == [(3, 5)]
    assert covered(
        "def upgrade():\n    if x:  @@\n        op.a()\n    else:\n        op.b()\n"
    ) == [(2, 5)]


@pytest.mark.parametrize(
    "source",
    [
        "@@\n\nrevision = 'x'\ndef upgrade(): pass\n",
        "@@\nrevision = 'x'\ndef upgrade(): pass\n",
        '"""Message."""\n@@\n\ndef upgrade(): pass\n',
        "revision = 'x'\n\n\n@@\ndef upgrade():\n    op.a()\n",
        "def upgrade():  @@\n    op.a()\n",
        "@@\n@decorated\ndef upgrade():\n    op.a()\n",
        "def upgrade():\n    op.a()\n\n\n@@\n",
    ],
)
def test_at_module_level_it_covers_the_revision(source: str) -> None:
    assert covered(source) == [None]


def test_at_another_function_it_covers_that_function() -> None:
    source = "@@\ndef helper():\n    op.a()\n\ndef upgrade():\n    helper()\n@@\ndef downgrade():\n    pass\n"
    assert covered(source) == [(2, 3), (8, 9)]


@pytest.mark.parametrize(
    "source",
    [
        "revision = 'x'  @@\ndef upgrade(): pass\n",
        "def upgrade():\n    @@\n\n    op.a()\n",
        "def upgrade():\n    op.a()\n    @@\n\ndef downgrade(): pass\n",
        "def upgrade():\n    if x:\n        op.a()\n    else:  @@\n        op.b()\n",
        "SQL = (\n    @@\n    'x'\n)\ndef upgrade(): pass\n",
    ],
)
def test_where_it_covers_nothing_it_is_an_error(source: str) -> None:
    [(line, message)] = complaints(source)
    assert source.splitlines()[line - 1].endswith("@@")
    assert "it stands at no statement" in message


def test_a_string_is_no_comment() -> None:
    source = f"def upgrade():\n    op.execute('''\n{SAY}\n''')\n    op.a('{SAY}')\n"
    assert scan(source.encode()) == Scanned()


def test_a_comment_in_sql_and_a_docstring_are_refused() -> None:
    source = (
        '"""Message.\n\ndeployguard: accept DG201 reason="x"\n"""\n'
        "def upgrade():\n    op.execute('-- deployguard: accept DG201')\n"
    )
    assert [line for line, _ in complaints(source)] == [1, 6]
    assert "inside of a string" in complaints(source)[0][1]


def test_a_malformed_one_is_a_problem_at_its_line() -> None:
    assert complaints("def upgrade():\n    op.a()  # deployguard: acept DG201\n")[0][0] == 2


def test_inside_of_a_batch_it_knows_the_header_and_its_own_words() -> None:
    source = (
        "def upgrade():\n"
        '    with op.batch_alter_table(\n        "guests"\n    ) as batch:\n'
        f'        batch.drop_column("fax")  {SAY}\n'
        '        batch.drop_column("email")\n'
    )
    [directive] = scan(source.encode()).directives
    assert directive.span == (5, 5)
    assert directive.batch == (2, 4)
    assert directive.words == {"fax"}


@pytest.mark.parametrize(
    "source",
    [b"\xff\xfe deployguard", b"def upgrade(:\n  # deployguard: accept", b"# deployguard\x00", b""],
)
def test_what_is_no_python_has_no_directives(source: bytes) -> None:
    assert scan(source).directives == ()


def test_other_encodings_and_line_ends() -> None:
    source = '# coding: latin-1\r\ndef upgrade():\r\n    op.a()  # deployguard: accept DG201 reason="Zürich"\r\n'
    [directive] = scan(source.encode("latin-1")).directives
    assert (directive.says.reason, directive.span) == ("Zürich", (3, 3))


LINES = st.lists(
    st.sampled_from(
        [
            "def upgrade():",
            "    op.a()",
            "    op.b(",
            "        1,",
            "    )",
            "",
            "    if x:",
            "        op.c()",
            "    else:",
            f"    {SAY}",
            SAY,
            f"    op.d()  {SAY}",
            "    # deployguard: acept",
            "x = '''",
            "'''",
            "@d",
            "class C:",
            "\x0c",
            "    op.e() \\",
            "    \u202e = 1",
        ]
    ),
    max_size=14,
)


@given(LINES)
def test_every_comment_of_a_file_is_a_directive_or_a_problem(lines: list[str]) -> None:
    source = "\n".join(lines) + "\n"
    found = scan(source.encode())
    for directive in found.directives:
        assert directive.span is None or directive.span[0] <= directive.span[1] <= len(lines)
    try:
        ast.parse(source)
    except (SyntaxError, ValueError):
        assert found == Scanned()
        return
    if "'''" not in source:
        meant = sum("deployguard" in line for line in lines)
        assert len(found.directives) + len(found.problems) == meant


@given(st.binary(max_size=200))
def test_no_file_crashes_it(source: bytes) -> None:
    scan(b"# deployguard\n" + source)
