"""Who is told: a receiver on loopback that answers, fails, or hangs, and what answers as hooks.slack.com does.

``Slack`` is no Slack. It is a CONNECT proxy whose every tunnel ends in its own TLS server with a certificate for
hooks.slack.com, signed by an authority made for the test: whoever posts to the real address through it, trusting that
authority, speaks TLS and HTTP as to Slack. It takes what Slack's documentation asks of an incoming webhook and answers
in its words: "ok", "invalid_payload", "no_text", "invalid_token", "no_service".
"""

from __future__ import annotations

import json
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import ClassVar, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "hooks.slack.com"
TOKENS = ("T0CANARY1", "B0CANARY2", "canary3tokencanary3token")
WEBHOOK = f"https://{HOST}/services/{'/'.join(TOKENS)}"


@dataclass
class Post:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, object]:
        return dict(json.loads(self.body))


@dataclass
class Receiver:
    """An HTTP server on loopback.

    ``how``: "ok", a status, "hangs" until it is closed, or "drips" a header without end; ``elsewhere`` is where a 302
    leads to.
    """

    how: str = "ok"
    elsewhere: str = ""
    posts: list[Post] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        handler = type("Handler", (_Handler,), {"owner": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.port = int(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

    @property
    def titles(self) -> list[str]:
        """The titles of what came in, by Apprise's JSON service."""
        return [str(post.document["title"]) for post in self.posts]

    @property
    def texts(self) -> list[str]:
        return [str(post.document["message"]) for post in self.posts]

    @property
    def url(self) -> str:
        """Its address as Apprise's plain JSON service."""
        return f"json://127.0.0.1:{self.port}/hook"

    def answer(self, post: Post) -> tuple[int, bytes]:
        self.posts.append(post)
        if self.how == "hangs":
            self.closed.wait()
        return (200, b"ok") if self.how in ("ok", "hangs", "drips") else (int(self.how), b"no")


class _Handler(BaseHTTPRequestHandler):
    owner: ClassVar[Receiver]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        status, said = self.owner.answer(Post(self.path, dict(self.headers), body))
        if self.owner.how == "drips":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not self.owner.closed.wait(0.1):
                self.wfile.write(b".")
            return
        self.send_response(status)
        if self.owner.elsewhere:
            self.send_header("Location", self.owner.elsewhere)
        self.send_header("Content-Length", str(len(said)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(said)

    def do_GET(self) -> None:
        """What a client that is led elsewhere asks."""
        self.do_POST()

    def do_CONNECT(self) -> None:
        assert isinstance(self.owner, Slack)
        self.owner.asked.append(self.path)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.close_connection = True
        with suppress(OSError, ssl.SSLError):
            tunnel = self.owner.context.wrap_socket(self.connection, server_side=True)
            self.connection = tunnel
            self.rfile: BufferedIOBase = tunnel.makefile("rb")
            self.wfile = tunnel.makefile("wb", buffering=0)  # type: ignore[assignment]
            self.handle_one_request()
            tunnel.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Slack(Receiver):
    """Answers as an incoming webhook of Slack; ``environ`` leads there."""

    def __init__(self, folder: Path, how: str = "ok") -> None:
        super().__init__(how)
        self.asked: list[str] = []  # the hosts that were to be reached
        self._folder = folder

    def __enter__(self) -> Self:
        self.context, authority = _certificates(self._folder)
        super().__enter__()
        self.environ = {
            "HTTPS_PROXY": f"http://127.0.0.1:{self.port}",
            "https_proxy": f"http://127.0.0.1:{self.port}",
            "NO_PROXY": "",
            "no_proxy": "",
            "REQUESTS_CA_BUNDLE": str(authority),
            "CURL_CA_BUNDLE": "",
        }
        return self

    def answer(self, post: Post) -> tuple[int, bytes]:
        status, said = super().answer(post)
        if status != 200:
            return status, said
        path = post.path.split("/")
        if post.headers.get("Content-Type", "").split(";")[0] != "application/json":
            return 400, b"invalid_payload"
        if path[1:4] != ["services", *TOKENS[:2]]:
            return 404, b"no_service"
        if path[4:] != [TOKENS[2]]:
            return 403, b"invalid_token"
        try:
            document = post.document
        except ValueError:
            return 400, b"invalid_payload"
        if not (document.get("text") or document.get("attachments") or document.get("blocks")):
            return 400, b"no_text"
        return 200, b"ok"


def _certificates(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for HOST, and the file with the authority that signed its certificate."""
    folder.mkdir(parents=True, exist_ok=True)
    top, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)

    def signed(name: x509.Name, public: ec.EllipticCurvePublicKey, *, above: bool) -> bytes:
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=above, path_length=None), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(top.public_key()), critical=False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if above:
            made = made.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    key_cert_sign=True,
                    crl_sign=True,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        else:
            names = x509.SubjectAlternativeName([x509.DNSName(HOST)])
            made = made.add_extension(names, critical=False)
        return made.sign(top, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(signed(issuer, top.public_key(), above=True))
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    chain.write_bytes(secret + signed(own, key.public_key(), above=False))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context, authority
