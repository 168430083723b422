"""Leaves the stacks of Python's tracebacks out of a migration's log on the terminal: the kept log has them."""

from typing import Final

_BEGINS: Final = "Traceback (most recent call last):"
_JOINTS: Final = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
INSTEAD: Final = "Traceback: the kept log has the stack"


class Stack:
    """Takes line after line of one log."""

    def __init__(self) -> None:
        self._inside = False
        self._told = False

    def shown(self, line: str) -> str | None:
        """What people are shown of the line; None is nothing."""
        if line.strip() == _BEGINS:
            self._inside, told, self._told = True, self._told, True
            return None if told else INSTEAD
        if self._inside and (not line.strip() or line[:1].isspace() or line in _JOINTS):
            return None
        self._inside = self._inside and line in _JOINTS
        left_out = line in _JOINTS or (self._told and not line.strip())
        return None if left_out else line
