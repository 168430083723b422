"""Real places for off-site copies: moto's S3 over HTTP behind a proxy with faults, an sshd, and an honest fake of GCS.

moto takes wrong checksums without a word, so the proxy can damage what goes by: whoever sends must notice.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.postgres import free_port
from tests.support.required import missing

ROOT = Path(__file__).resolve().parents[2]
CANARY = "canary/SECRET+offsite/0123456789abcdef"
TOKEN = "canary-session-token-offsite-0123456789"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIACANARYOFFSITE000",
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_SESSION_TOKEN": TOKEN,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
START_SECONDS = 60
_HOP = ("connection", "transfer-encoding", "server", "date", "keep-alive", "content-length")


# --- S3 -----------------------------------------------------------------------------------------


@contextmanager
def moto_server() -> Iterator[int]:
    """The port of a moto server in a process of its own."""
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await_port(port, server)
            yield port
        finally:
            server.kill()


@dataclass
class Fault:
    """What happens to the next ``times`` requests of this method whose path and query match."""

    kind: str  # "503", "denied", "drop", "drop-after", "half", "hang", "damage-up", "damage-down", "truncate"
    method: str
    path: str = ""  # a regular expression
    times: int = 1
    skip: int = 0  # so many that match go through first


@dataclass
class FaultProxy:
    """An HTTP proxy in front of ``target`` that does what its faults say, and remembers each request."""

    target: int
    faults: list[Fault] = field(default_factory=list)
    seen: list[tuple[str, str, int]] = field(
        default_factory=list
    )  # method, path, bytes of the body
    headers: list[Mapping[str, str]] = field(default_factory=list)
    port: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def fault(self, kind: str, method: str, path: str = "", times: int = 1, skip: int = 0) -> None:
        self.faults.append(Fault(kind, method, path, times, skip))

    def take(self, method: str, path: str) -> str:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method == method and re.search(fault.path, path):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault.kind
        return ""

    def count(self, method: str, path: str = "") -> int:
        return sum(1 for m, p, _ in self.seen if m == method and re.search(path, p))

    def clear(self) -> None:
        self.faults.clear()
        self.seen.clear()
        self.headers.clear()


@contextmanager
def fault_proxy(target: int) -> Iterator[FaultProxy]:
    proxy = FaultProxy(target)

    class Handler(_Handler):
        state = proxy

    with _serving(Handler) as port:
        proxy.port = port
        try:
            yield proxy
        finally:
            proxy.released.set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FaultProxy

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        kind = self.state.take(self.command, self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if kind == "half":
            self.rfile.read(length // 2)
            self._reset()
            return
        body = self.rfile.read(length)
        if (
            len(body) < length
        ):  # its sender went away: a store would not take the part of it that came
            self._reset()
            return
        with self.state.lock:
            self.state.seen.append((self.command, self.path, length))
            self.state.headers.append(dict(self.headers))
        if kind == "hang":
            self.state.released.wait(60)
            self._reset()
        elif kind == "drop":
            self._reset()
        elif kind in ("503", "denied"):
            self._refuse(*{"503": (503, "SlowDown"), "denied": (403, "AccessDenied")}[kind])
        else:
            self._forward(kind, body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _do  # noqa: N815 - the server's names

    def _forward(self, kind: str, body: bytes) -> None:
        if kind == "damage-up":
            body = _damaged(body)
        link = http.client.HTTPConnection("127.0.0.1", self.state.target, timeout=60)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in (*_HOP, "expect")}
        try:
            link.request(self.command, self.path, body or None, headers)
            answer = link.getresponse()
            content = answer.read()
            if kind == "drop-after":
                self._reset()
                return
            self.send_response(answer.status)
            for key, value in answer.getheaders():
                if key.lower() not in _HOP:
                    self.send_header(key, value)
            size = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
            self.send_header("Content-Length", str(size))
            self.end_headers()
            if kind == "damage-down":
                content = _damaged(content)
            if kind == "truncate":
                self.wfile.write(content[: len(content) // 2])
                self._reset()
                return
            self.wfile.write(content if self.command != "HEAD" else b"")
        finally:
            link.close()

    def _refuse(self, status: int, code: str) -> None:
        text = f"<Error><Code>{code}</Code><Message>Canary says {CANARY} {TOKEN}</Message></Error>"
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _reset(self) -> None:
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        with suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()
        self.close_connection = True


def _damaged(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :] if data else data


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that went away is what these tests are about."""


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _await_port(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if server.poll() is not None:
            raise RuntimeError(f"{server.args!r} ended with {server.returncode}")
        time.sleep(0.05)
    raise RuntimeError(f"{server.args!r} does not listen")


# --- SSH ----------------------------------------------------------------------------------------


@dataclass
class Sshd:
    """A running sshd on loopback. ``home`` has the client's .ssh; ``folder`` is where copies may go."""

    port: int
    user: str
    home: Path
    folder: Path
    pid_file: Path

    @property
    def url(self) -> str:
        return f"sftp://{self.user}@127.0.0.1:{self.port}{self.folder}"


@contextmanager
def sshd(folder: Path) -> Iterator[Sshd]:
    """Start the system's sshd with a host key and a user key of its own. Fails where CI must have one."""
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists():
        missing("no sshd: apt install openssh-server")
    if os.getuid() == 0:  # it insists on the empty folder that its package's service makes
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    home, server = folder / "home", folder / "server"
    for made in (home / ".ssh", server, folder / "nas"):
        made.mkdir(mode=0o700, parents=True)
    for key in (home / ".ssh" / "id_ed25519", server / "host_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shutil.copy(home / ".ssh" / "id_ed25519.pub", server / "authorized_keys")
    port = free_port()
    host = (server / "host_key.pub").read_text().split()
    (home / ".ssh" / "known_hosts").write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
    (home / ".ssh" / "config").write_text(
        f"Host *\n  IdentityFile {home}/.ssh/id_ed25519\n  UserKnownHostsFile {home}/.ssh/known_hosts\n"
    )
    config = server / "sshd_config"
    config.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {server}/host_key\nPidFile {server}/pid\n"
        f"AuthorizedKeysFile {server}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
        "Subsystem sftp internal-sftp\n"
    )
    argv = [program, "-D", "-e", "-f", str(config)]
    log = (server / "log").open("wb")
    with log, subprocess.Popen(argv, stdout=log, stderr=log) as running:
        try:
            _await_port(port, running)
            user = pwd.getpwuid(os.getuid()).pw_name
            yield Sshd(port, user, home, folder / "nas", server / "pid")
        finally:
            running.terminate()


# --- GCS ----------------------------------------------------------------------------------------


@dataclass
class FakeGcs:
    """Not Google: a server of ours that keeps the few promises of its JSON API that gcsfs asks for.

    An object appears when its upload is finished; ``ifGenerationMatch=0`` fails with 412 when there is one; each has
    its MD5; a range is answered with that range. ``damage`` flips a bit of what the next uploads store, silently as to
    their owner but with the MD5 of what is stored, as Google's is. ``fail`` is how many requests get a 503 first.
    """

    objects: dict[str, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[str, str], bytearray, bool]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    damage: int = 0
    fail: int = 0
    largest: int = 0  # body

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def store(
        self, name: str, data: bytes, metadata: dict[str, str], *, new: bool
    ) -> dict[str, object] | None:
        if new and name in self.objects:
            return None
        if self.damage:
            self.damage -= 1
            data = _damaged(data)
        self.objects[name] = (data, metadata)
        return self.document(name)

    def document(self, name: str) -> dict[str, object]:
        data, metadata = self.objects[name]
        return {
            "kind": "storage#object",
            "bucket": "bucket",
            "name": name,
            "size": str(len(data)),
            "md5Hash": base64.b64encode(hashlib.md5(data).digest()).decode(),
            "generation": "1",
            "updated": "2026-02-18T10:30:00Z",
            "timeCreated": "2026-02-18T10:30:00Z",
            "metadata": metadata,
        }


@contextmanager
def fake_gcs() -> Iterator[FakeGcs]:
    fake = FakeGcs()

    class Handler(_Gcs):
        state = fake

    with _serving(Handler) as port:
        fake.port = port
        yield fake


class _Gcs(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: FakeGcs

    def log_message(self, *_: object) -> None:
        pass

    def _do(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.requests.append((self.command, self.path))
        self.state.largest = max(self.state.largest, len(body))
        if self.state.fail:
            self.state.fail -= 1
            self._answer(503, {"error": {"code": 503, "message": "try again"}})
        elif parts.path.startswith("/upload/"):
            self._upload(query, body)
        elif found := re.fullmatch(r"/(?:download/)?storage/v1/b/bucket/o(?:/(.*))?", parts.path):
            self._object(unquote(found[1] or ""), query)
        else:
            self._missing()

    do_GET = do_PUT = do_POST = do_DELETE = _do  # noqa: N815 - the server's names

    def _object(self, name: str, query: Mapping[str, str]) -> None:
        if not name:
            begin = query.get("prefix", "")
            found = [n for n in sorted(self.state.objects) if n.startswith(begin)]
            self._answer(200, {"items": [self.state.document(n) for n in found]})
        elif name not in self.state.objects:
            self._missing()
        elif self.command == "DELETE":
            del self.state.objects[name]
            self._answer(204, None)
        elif query.get("alt") == "media" or self.path.startswith("/download/"):
            data = self.state.objects[name][0]
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked:
                data = data[int(asked[1]) : int(asked[2]) + 1 if asked[2] else None]
            self._answer(206 if asked else 200, data)
        else:
            self._answer(200, self.state.document(name))

    def _upload(self, query: Mapping[str, str], body: bytes) -> None:
        new = query.get("ifGenerationMatch") == "0"
        if query.get("uploadType") == "multipart":
            _, head, data = body.split(b"--==0==", 2)[0], *self._related(body)
            self._stored(head["name"], data, head.get("metadata", {}), new=new)
        elif "upload_id" not in query:
            head = json.loads(body)
            if new and head["name"] in self.state.objects:
                self._answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
                return
            name = f"u{len(self.state.uploads)}"
            self.state.uploads[name] = (head["name"], head.get("metadata", {}), bytearray(), new)
            where = f"{self.state.url}/upload/storage/v1/b/bucket/o?upload_id={name}"
            self._answer(200, {}, Location=where)
        else:
            name, metadata, grown, new = self.state.uploads[query["upload_id"]]
            grown += body
            whole = self.headers["Content-Range"].rpartition("/")[2]
            if whole == "*" or int(whole) != len(grown):
                self._answer(308, None, Range=f"bytes=0-{len(grown) - 1}")
            else:
                self._stored(name, bytes(grown), metadata, new=new)

    def _related(self, body: bytes) -> tuple[dict[str, object], bytes]:
        head, data = body.removesuffix(b"\n--==0==--").split(b"\n--==0==\n", 1)
        return json.loads(head.split(b"\n\n", 1)[1]), data.split(b"\n\n", 1)[1]

    def _stored(self, name: object, data: bytes, metadata: object, *, new: bool) -> None:
        document = self.state.store(str(name), data, dict(metadata), new=new)  # type: ignore[call-overload]
        if document is None:
            self._answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
        else:
            self._answer(200, document)

    def _missing(self) -> None:
        self._answer(404, {"error": {"code": 404, "message": "Not Found"}})

    def _answer(self, status: int, content: object, **headers: str) -> None:
        data = content if isinstance(content, bytes) else b""
        if content is not None and not isinstance(content, bytes):
            data = json.dumps(content).encode()
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
