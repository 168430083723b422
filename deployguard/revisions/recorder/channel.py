"""What the recorder tells its parent: one JSON object a line, behind a nonce, on a private copy of stdout."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType


_EXIT = os._exit  # before it is refused to the revisions


class Limit(BaseException):
    """A revision ran too long or said too much. Not an Exception, so that revisions do not catch it."""


class Channel:
    """Events, and the revision that they belong to.

    `revision` is the identifier of the revision that runs now ("" outside of one) and `path` its file.
    `silent` is true while history is replayed only to know the schema: nothing is reported then.
    """

    def __init__(self, nonce: str, statements: int, secrets: tuple[str, ...] = ()) -> None:
        self._secrets = [json.dumps(secret)[1:-1] for secret in secrets]
        self._prefix = ("\n" + nonce).encode()
        self._fd = os.dup(1)
        # From here on a print goes where people read, not into the events.
        os.dup2(2, 1)
        self._most = statements
        self.revision = ""
        self.path = ""
        self.silent = False
        self.upgrading = False
        self.count = 0
        self.looking = 0
        self.standing = (
            0  # the line of a directive that was asked for before and is carried out now
        )

    def send(self, event: str, **values: Any) -> None:
        """Report one event. Values must be JSON."""
        values["e"] = event
        text = json.dumps(values, default=str)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        data = self._prefix + text.encode() + b"\n"
        while data:
            data = data[os.write(self._fd, data) :]

    def again(self) -> None:
        """End here, to be started anew with the whole history: somebody asked what it made."""
        self.send("again")
        _EXIT(0)

    def note(self, text: str) -> None:
        """Say something about the reading as a whole."""
        self.send("note", text=text)

    def enter(self, revision: str, path: str, direction: str, *, silent: bool) -> None:
        """From here on events belong to this revision."""
        self.revision, self.path, self.silent, self.count = revision, path, silent, 0
        self.upgrading = direction == "upgrade"
        if not silent:
            self.send("enter", revision=revision, direction=direction)

    def leave(self) -> None:
        """From here on events belong to no revision."""
        if self.revision and not self.silent:
            self.send("leave", revision=self.revision)
        self.revision, self.path, self.silent, self.upgrading = "", "", False, False

    @property
    def inside(self) -> bool:
        """A revision runs, and what it does is asked for."""
        return bool(self.revision) and not self.silent

    def tell(self, event: str, **values: Any) -> None:
        """Report an event of the running revision with its line; outside of a revision, nothing."""
        if not self.revision:
            return
        self.count += 1
        if self.count > self._most:
            raise Limit(f"more than {self._most} statements")
        if not self.silent:
            self.send(event, line=self.line(), **values)

    def line(self) -> int:
        """The line of the innermost frame that belongs to the revision's file; 0 when there is none."""
        if self.standing:
            return self.standing
        found = _line(sys._getframe(1), self.path)
        if found or "greenlet" not in sys.modules:
            return found
        # Asynchronous code runs in greenlets of its own; the op call waits in a parent.
        parent = sys.modules["greenlet"].getcurrent().parent
        while parent is not None and not found:
            found = _line(parent.gr_frame, self.path)
            parent = parent.parent
        return found


def _line(frame: FrameType | None, path: str) -> int:
    while frame is not None:
        if frame.f_code.co_filename == path:
            return frame.f_lineno
        frame = frame.f_back
    return 0


def failure_line(error: BaseException, path: str) -> int:
    """The last line of the revision's file on the way to where an exception was raised."""
    if isinstance(error, SyntaxError) and error.filename == path:
        return error.lineno or 0
    found = 0
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == path:
            found = step.tb_lineno
        step = step.tb_next
    return found


def describe(error: BaseException) -> str:
    """One line that says what went wrong, without parameters and background links."""
    if isinstance(error, Limit):
        return str(error)
    if isinstance(error, SystemExit):
        return f"it ends the process (sys.exit({error.code}))"
    text = str(getattr(error, "orig", None) or error).strip()
    first = text.splitlines()[0] if text else ""
    return (f"{type(error).__name__}: {first}")[:400] if first else type(error).__name__
