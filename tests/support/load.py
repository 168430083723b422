"""Clients that ask without a pause while something is changed, and remember every answer that was no good."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

PAUSE = 0.02  # seconds between two requests of a client
TIMEOUT = 30  # seconds for an answer

Ask = Callable[[int], urllib.request.Request]  # number of the request → what is asked


@dataclass
class Load:
    """One thread for each of ``asks``, each with a connection of its own for each request."""

    asks: Sequence[Ask]
    answers: Counter[str] = field(default_factory=Counter)  # method → good ones
    bodies: set[bytes] = field(default_factory=set)
    bad: list[str] = field(default_factory=list)
    keep_bodies: bool = False

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client, args=(ask,)) for ask in self.asks]

    def _client(self, ask: Ask) -> None:
        number = 0
        while not self._stop.wait(PAUSE):
            number += 1
            request = ask(number)
            method = request.get_method()
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                    body = answer.read()
            except urllib.error.HTTPError as error:
                with error:
                    self.bad.append(f"{method} {error.code} {error.read()[:80]!r}")
            except OSError as error:
                self.bad.append(f"{method} {error!r}")
            else:
                self.answers[method] += 1
                if self.keep_bodies:
                    self.bodies.add(body)

    def at_least(self, more: int) -> None:
        """Wait until each client had so many more answers or failures, whatever the machine does besides."""
        goal = self.total + more * len(self.asks)
        deadline = time.monotonic() + 120
        while self.total < goal:
            assert time.monotonic() < deadline, "the clients get no answers"
            time.sleep(0.05)

    @property
    def total(self) -> int:
        return self.answers.total() + len(self.bad)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(TIMEOUT + 5)
