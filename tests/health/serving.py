"""A real HTTP server that answers as a test says, and a clock that only sleeping moves."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Application:
    """A real HTTP server whose n-th answer is what `answer(n)` says: a status, or a way to fail."""

    answer: Callable[[int], int | str]
    body: bytes = b"checking"
    asked: int = 0
    paths: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serve(answer: Callable[[int], int | str], body: bytes = b"not yet") -> Iterator[Application]:
    application = Application(answer, body)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            application.asked += 1
            application.paths.append(self.path)
            what = application.answer(application.asked)
            if what == "break":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if what == "hang":
                threading.Event().wait(1.5)
                return
            if what == "garbage":
                self.wfile.write(b"\x00\x01 this is no HTTP\r\n\r\n")
                return
            if what == "drip":
                self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                with contextlib.suppress(OSError):
                    while not threading.Event().wait(0.05):
                        self.wfile.write(b"x")
                return
            assert isinstance(what, int)
            self.send_response(what)
            if what == 302:
                self.send_header("Location", "http://u:canary@elsewhere/login")
            self.send_header("Content-Length", str(len(application.body)))
            self.end_headers()
            self.wfile.write(application.body)

        def log_message(self, *arguments: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        application.url = f"http://127.0.0.1:{server.server_port}/health"
        try:
            yield application
        finally:
            server.shutdown()
            thread.join()


@dataclass
class Time:
    """A clock that only sleeping moves."""

    seconds: float = 0.0
    slept: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    def now(self) -> datetime:
        return datetime(2026, 2, 18, tzinfo=UTC) + timedelta(seconds=self.seconds)
