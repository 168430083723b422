"""A way to a server over TCP that can be cut at a chosen moment, as a network does it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum, auto


class Cut(Enum):
    """What happens to the connection whose request holds the marker."""

    BEFORE = auto()  # the request does not arrive
    AFTER = auto()  # it arrives and is answered; the answer does not
    SILENCE = auto()  # it does not arrive, and nobody is told
    LATE = auto()  # the connection is lost; the request arrives when the test says so


@dataclass
class Way:
    """Forwards ``port`` to the server's port while it is open; ``cut`` sets the trap for the next marker."""

    target: int
    listener: socket.socket
    pairs: list[tuple[socket.socket, socket.socket]] = field(default_factory=list)
    shut: bool = False
    trap: tuple[bytes, Cut] | None = None
    sprung: int = 0
    late: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)  # what was late
    threads: list[threading.Thread] = field(default_factory=list)
    delayed: socket.socket | None = None

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def cut(self, marker: bytes, how: Cut) -> None:
        self.trap = (marker, how)

    def close(self) -> None:
        """Break what is open, and let nobody in until ``open``."""
        self.shut = True
        for pair in self.pairs:
            _break(*pair)

    def open(self) -> None:
        self.shut = False

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                if self.shut:
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self.target))
                self.pairs.append((near, far))
                for work in (self._ask, self._answer):
                    self.begin(work, near, far)

    def begin(self, work: Callable[..., None], *ends: socket.socket) -> None:
        thread = threading.Thread(target=work, args=ends, daemon=True)
        self.threads.append(thread)
        thread.start()

    def end(self) -> None:
        self.late.set()
        self.close()
        _break(self.listener)  # wakes the thread that waits for somebody
        for thread in self.threads:
            thread.join()
        for end in (end for pair in self.pairs for end in pair):
            end.close()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if self.trap is not None and self.trap[0] in data:
                    how, self.trap = self.trap[1], None
                    self._spring(how, near, far, data)
                    if how is not Cut.SILENCE:
                        return
                    continue
                far.sendall(data)
        _break(near, far)

    def _spring(self, how: Cut, near: socket.socket, far: socket.socket, data: bytes) -> None:
        self.sprung += 1
        if how is Cut.BEFORE:
            _break(near, far)
        elif how is Cut.AFTER:
            near.shutdown(socket.SHUT_WR)  # from here on no answer gets through
            far.sendall(data)
            self.late.wait(1)  # the server answers meanwhile
            _break(near, far)
        elif how is Cut.LATE:
            self.delayed = far
            _break(near)
            self.late.wait(60)
            with suppress(OSError):
                far.sendall(data)

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                if far is self.delayed:
                    break
                near.sendall(data)
        if far is self.delayed:
            self.arrived.set()
        _break(near, far)


@contextmanager
def way(target: int) -> Iterator[Way]:
    """A way to the port ``target`` of this machine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Way(target, listener)
        made.begin(made.accept)
        try:
            yield made
        finally:
            made.end()


def _break(*ends: socket.socket) -> None:
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
