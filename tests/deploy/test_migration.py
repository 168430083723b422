"""What is told of a migration that failed: the error, not the stack above it."""

import pytest

from deployguard.deploy.causes import gist

STACK = (
    "INFO  [alembic.runtime.migration] Running upgrade b015 -> b016",
    "Traceback (most recent call last):",
    '  File "sqlalchemy/engine/base.py", line 1967, in _exec_single_context',
    "    self.dialect.do_execute(",
)
DRIVERS = (
    "asyncpg.exceptions.CheckViolationError: check constraint is violated by some row",
    "",
    "The above exception was the direct cause of the following exception:",
    "",
    *STACK[1:],
)
ERROR = (
    "sqlalchemy.exc.IntegrityError: check constraint is violated by some row",
    "[SQL: ALTER TABLE bookings ADD CONSTRAINT c CHECK (ends_at > starts_at)]",
)
LINK = "(Background on this error at: https://sqlalche.me/e/21/gkpj)"


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        ((*STACK, *DRIVERS, *ERROR, LINK), ERROR),
        ((*STACK[2:], *ERROR), ERROR),  # the beginning is cut off
        (("ERROR: no revision", "FAILED: can't locate b1"),) * 2,
        ((*STACK, "   "), STACK),
        ((), ()),
    ],
)
def test_the_error_is_told_and_the_stack_is_left_in_the_log(
    tail: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert gist(tail) == told


def test_a_long_error_is_cut() -> None:
    assert len(gist((*STACK, *(f"line {number}" for number in range(50))))) == 8
