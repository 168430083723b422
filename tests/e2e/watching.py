"""What is looked at while a command runs: the application as its users see it, and every command line."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Self

PATIENCE = 180  # seconds


class Visitors:
    """Two threads that ask the application through nginx, one looks at bookings, and keep every bad answer."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers = 0
        self.bad: list[str] = []
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._visit, args=(path,)) for path in ("/health", "/bookings")
        ]

    def _visit(self, path: str) -> None:
        while not self._stop.wait(0.1):
            status, said = ask(self.url + path)
            self.answers += 1
            if status != 200:
                self.bad.append(f"{path}: {status} {said}")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(10)


class Eavesdropper:
    """Reads every command line of this machine, again and again, and keeps those that hold a secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()
        self.looks = 0
        self.seen: set[str] = set()
        self.heard: set[str] = set()  # programs that ran meanwhile, to show that something was read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen)

    def _listen(self) -> None:
        while not self._stop.wait(0.01):
            self.looks += 1
            for entry in os.scandir("/proc"):
                if not entry.name.isdigit():
                    continue
                try:
                    line = Path(entry.path, "cmdline").read_bytes()
                except OSError:
                    continue  # it has ended
                text = line.replace(b"\0", b" ").decode(errors="replace")
                if self.secret in line:
                    self.seen.add(text)
                self.heard.update(word for word in ("pg_dump", "docker compose") if word in text)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)


def ask(url: str) -> tuple[int, str]:
    """(status, the version that answered); (0, why) when nobody did."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            said = json.loads(answer.read())
            return answer.status, str(said.get("version", "")) if isinstance(said, dict) else ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")[:200]
    except OSError as error:
        return 0, repr(error)


def until(condition: Callable[[], bool], what: str, pause: float = 0.1) -> None:
    """Wait for something; AssertionError when it does not come. A busy machine gets its time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE} s until {what}"
        time.sleep(pause)
