"""A TCP proxy before PostgreSQL that resets one connection at a chosen moment of its talk."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST instead of FIN


class ResettingProxy:
    """Forwards to a server on this machine.

    Once a client has said ``after`` (bytes, as they go over the wire), the next message that holds ``at`` is the
    moment: its connection is reset at both ends. ``when``: "before" it reaches the server, "during" (the server has
    it, and may go on), or "after" (the server has answered, and the client never learns).
    """

    def __init__(self, port: int, *, at: bytes, when: str, after: bytes = b"") -> None:
        self._target, self._at, self._when, self._after = port, at, when, after
        self._said = not after
        self.resets = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
                threading.Thread(target=self._answer, args=(near, far), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := near.recv(65536):
                if self._moment(data):
                    self._reset(near, far, data)
                    return
                far.sendall(data)
            far.shutdown(socket.SHUT_WR)

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while data := far.recv(65536):
                near.sendall(data)
            near.shutdown(socket.SHUT_WR)

    def _moment(self, data: bytes) -> bool:
        here = self._said and not self.resets and self._at in data
        self._said = self._said or self._after in data
        return here

    def _reset(self, near: socket.socket, far: socket.socket, data: bytes) -> None:
        self.resets += 1
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        if self._when == "before":
            far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            near.shutdown(socket.SHUT_RDWR)  # nothing of an answer gets through any more
            far.sendall(data)
        if self._when == "after":
            far.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while far.recv(65536):  # until the server has done it and hung up
                    pass
        near.close()
        far.close()
