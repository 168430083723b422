"""A real HTTP stand-in for AWS: moto in a process of its own, behind a proxy of ours that makes it less kind.

moto makes a snapshot available at once and never fails. The proxy delays, throttles, answers 500 and 503, resets
connections (before the request arrived, or after), and shows a status that AWS would show meanwhile.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from tests.support.postgres import free_port

ACCOUNT = "123456789012"
REGION = "eu-central-1"
SECRET = "canary/SECRET+access+key/0123456789abcd"
KEY = "AKIACANARY0123456789"
TOKEN = "canary-session-token-0123456789"
_HOP = ("connection", "transfer-encoding", "content-length", "server", "date", "keep-alive")

_ERROR = """<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
<RequestId>r-1</RequestId></ErrorResponse>"""
FAULTS: dict[str, tuple[int, str]] = {
    "throttle": (400, _ERROR.format(code="Throttling", message="Rate exceeded")),
    "500": (500, _ERROR.format(code="InternalFailure", message="try again")),
    "503": (503, "<html>Service Unavailable</html>"),
    "denied": (
        403,
        _ERROR.format(
            code="AccessDenied",
            message="User: arn:aws:iam::123456789012:user/ci is not authorized to perform this",
        ),
    ),
    "expired": (403, _ERROR.format(code="ExpiredToken", message=f"The token {TOKEN} is expired")),
    "signature": (
        403,
        _ERROR.format(
            code="SignatureDoesNotMatch",
            message=f"Credential={KEY}/20260218/x, Signature=0123456789abcdef0123, secret {SECRET}",
        ),
    ),
}


@dataclass
class Aws:
    """The stand-in: ``url`` is the proxy's. What it was asked is in ``calls``, by the names of the API's actions."""

    url: str
    direct: str  # moto itself, for what a test prepares
    calls: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    _faults: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    _shown: dict[str, deque[tuple[str, int | None]]] = field(
        default_factory=lambda: defaultdict(deque)
    )
    busy: list[str] = field(default_factory=list)  # what is being handed on now
    before: dict[str, Callable[[dict[str, str]], None]] = field(default_factory=dict)
    edits: dict[str, Callable[[str], str]] = field(default_factory=dict)

    def fault(self, action: str, *faults: str) -> None:
        """What happens to the next requests for ``action``.

        A name of FAULTS, "reset" (it never arrives), "lost" (it is done, and the answer is lost) or "pass".
        """
        self._faults[action].extend(faults)

    def show(self, action: str, *statuses: tuple[str, int | None]) -> None:
        """The next answers to ``action`` say these statuses and percents; then what moto says."""
        self._shown[action].extend(statuses)

    def edit(self, action: str, pattern: str, text: str) -> None:
        """From now on every answer to ``action`` has ``text`` where ``pattern`` matches."""
        former = self.edits.get(action, lambda body: body)
        self.edits[action] = lambda body: re.sub(pattern, text, former(body))

    def settle(self) -> None:
        """Wait until nothing is being handed on any more, also not for somebody who was killed."""
        while self.busy:
            time.sleep(0.02)

    def asked(self, action: str) -> list[dict[str, str]]:
        return [arguments for name, arguments in self.calls if name == action]

    def reset(self) -> None:
        """Forget everything, as a new account."""
        for mine in (self.calls, self._faults, self._shown, self.before, self.edits):
            mine.clear()
        host = self.direct.removeprefix("http://")
        link = http.client.HTTPConnection(host, timeout=30)
        link.request("POST", "/moto-api/reset")
        assert link.getresponse().status == 200
        link.close()

    def client(self, service: str = "rds", region: str = REGION, account: str = ACCOUNT) -> Any:
        """A boto3 client that asks moto itself: what a test does behind the program's back."""
        import boto3

        return boto3.session.Session().client(
            service,
            region_name=region,
            endpoint_url=self.direct,
            aws_access_key_id="test" if account == ACCOUNT else account,
            aws_secret_access_key="test",
        )

    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_SESSION_TOKEN": TOKEN,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def next_fault(self, action: str) -> str:
        waiting = self._faults.get(action)
        return waiting.popleft() if waiting else "pass"

    def shown(self, action: str, body: str) -> str:
        waiting = self._shown.get(action)
        if waiting:
            status, percent = waiting.popleft()
            body = re.sub(r"<(Status|DBInstanceStatus)>[a-z-]*</\1>", rf"<\1>{status}</\1>", body)
            body = re.sub(r"<PercentProgress>\d*</PercentProgress>", "", body)
            if percent is not None:
                tag = f"<PercentProgress>{percent}</PercentProgress>"
                body = re.sub(r"(</(?:Status|DBInstanceStatus)>)", rf"\1{tag}", body)
        return self.edits.get(action, lambda text: text)(body)


@contextmanager
def serve() -> Iterator[Aws]:
    """Moto and the proxy before it, until the block ends."""
    port = free_port()
    moto = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT},
    )
    aws = Aws("", f"http://127.0.0.1:{port}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(aws, port))
    server.daemon_threads = True
    aws.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        _answers(moto, port)
        yield aws
    finally:
        server.shutdown()
        server.server_close()
        moto.send_signal(signal.SIGKILL)
        moto.wait()


def _answers(moto: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(1200):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        assert moto.poll() is None, "moto did not start"
        time.sleep(0.1)
    raise AssertionError("moto does not answer")


def _handler(aws: Aws, port: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            aws.busy.append(self.command)
            try:
                with suppress(ConnectionError):  # who asked was killed
                    self._one()
            finally:
                aws.busy.pop()

        def _one(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(size) if size else b""
            form = {key: values[0] for key, values in parse_qs(body.decode("latin-1")).items()}
            action = form.get("Action", f"{self.command} {self.path.partition('?')[0]}")
            aws.calls.append((action, form))
            if action in aws.before:
                aws.before[action](form)
            fault = aws.next_fault(action)
            if fault == "reset":
                return self._break()
            if fault in FAULTS:
                status, text = FAULTS[fault]
                return self._answer(status, text.encode(), {"Content-Type": "text/xml"})
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP}
            link.request(self.command, self.path, body=body or None, headers=headers)
            answer = link.getresponse()
            content, kept = answer.read(), dict(answer.getheaders())
            link.close()
            if fault == "lost":
                return self._break()
            if b"<" in content[:1] and answer.status == 200:
                content = aws.shown(action, content.decode()).encode()
            return self._answer(answer.status, content, kept)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _any  # noqa: N815 - the library's names

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for key, value in headers.items():
                if key.lower() not in _HOP:
                    self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _break(self) -> None:
            """Close with RST instead of a goodbye."""
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            with suppress(OSError):
                self.connection.close()

        def log_message(self, *args: object) -> None:
            pass

    return Handler
