"""On the terminal a traceback is its errors; the stack stays in the log."""

from deployguard.cli.stack import INSTEAD, Stack

LOG = (
    "INFO  [alembic.runtime.migration] Running upgrade r3 -> r4, tighten",
    "Traceback (most recent call last):",
    '  File "sqlalchemy/engine/base.py", line 1977, in _exec_single_context',
    "    self.dialect.do_execute(",
    'psycopg.errors.CheckViolation: check constraint "tiny" is violated by some row',
    "",
    "The above exception was the direct cause of the following exception:",
    "",
    "Traceback (most recent call last):",
    '  File "alembic/__main__.py", line 4, in <module>',
    "    main(prog='alembic')",
    "sqlalchemy.exc.IntegrityError: (psycopg.errors.CheckViolation) it is violated",
    "[SQL: ALTER TABLE rooms ADD CONSTRAINT tiny CHECK (size = 'xs')]",
)


def test_the_errors_are_shown_and_the_stacks_are_not() -> None:
    stack = Stack()
    assert [line for line in map(stack.shown, LOG) if line is not None] == [
        LOG[0],
        INSTEAD,
        LOG[4],
        LOG[11],
        LOG[12],
    ]


def test_indented_lines_outside_a_traceback_are_shown() -> None:
    stack = Stack()
    lines = ("rooms:", "  3 rows", "", "done")
    assert [stack.shown(line) for line in lines] == list(lines)
