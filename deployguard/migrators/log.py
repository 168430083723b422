"""The log of a migration that is kept: every line redacted before it reaches the disk, 0600."""

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from deployguard.process import Redactor


class KeptLog:
    """Writes and hands on lines. Begins anew each time: following a run begins with its first line too."""

    def __init__(self, path: Path, redact: Redactor, on_line: Callable[[str], None]) -> None:
        self._redact, self._on_line = redact, on_line
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def line(self, text: str) -> None:
        clean = self._redact(text)
        self._file.write(clean + "\n")
        self._file.flush()
        self._on_line(clean)
