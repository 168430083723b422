"""What a program wrote: cut into lines, cleaned of secrets, and kept."""

import codecs
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

HIDDEN: Final = "***"


class Redactor:
    """Replaces each secret in a text with ``***``; longer secrets first, empty ones ignored.

    A secret that is a plain word is replaced where it stands alone, not inside longer names: a password "note" must
    not turn the table "footnotes" into another one.
    """

    __slots__ = ("_secrets",)

    def __init__(self, secrets: Sequence[str] = ()) -> None:
        known = sorted({s for s in secrets if s}, key=len, reverse=True)
        self._secrets = tuple(re.compile(_pattern(secret)) for secret in known)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = secret.sub(HIDDEN, text)
        return text

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"


def _pattern(secret: str) -> str:
    word = secret.isalpha() and secret.isascii()
    alone = rf"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])){secret}(?![A-Za-z0-9_])"  # also behind an escaped line end
    return alone if word else re.escape(secret)


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. ``stdout`` and ``stderr`` are redacted text; ``seconds`` is wall time.

    ``code`` is the exit status, or minus the number of the signal that ended it.
    """

    code: int
    stdout: str
    stderr: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out

    def why(self) -> str:
        """Why it failed, in one line: the last line it wrote, or how it ended."""
        if self.timed_out:
            return f"it ran longer than {self.seconds:.0f} seconds and was stopped"
        lines = (self.stderr.strip() or self.stdout.strip()).splitlines()
        said = f": {lines[-1].strip()}" if lines else ""
        if self.code < 0:
            return f"it was ended by signal {-self.code}{said}"
        return f"exit code {self.code}{said}"


class Lines:
    """Collects one stream: decodes, cuts into lines, redacts, hands on, keeps."""

    def __init__(self, redact: Redactor, on_line: Callable[[str], None] | None) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._redact, self._on_line = redact, on_line
        self._rest = ""
        self._kept: list[str] = []

    def feed(self, data: bytes, *, final: bool = False) -> None:
        self._rest += self._decoder.decode(data, final)
        *lines, self._rest = self._rest.split("\n")
        for line in lines:
            self._hand_on(line, "\n")
        if final and self._rest:
            self._hand_on(self._rest, "")

    def _hand_on(self, line: str, end: str) -> None:
        clean = self._redact(line)
        self._kept.append(clean + end)
        if self._on_line is not None:
            self._on_line(clean.rstrip("\r"))

    def text(self) -> str:
        return "".join(self._kept)
