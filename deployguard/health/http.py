"""An address that answers as it should: status, body, a value in its JSON, and in time."""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from deployguard.config.health import json_steps
from deployguard.errors import UsageError
from deployguard.health.base import Answer

if TYPE_CHECKING:
    import httpx

SHOWN: Final = 120  # characters of an unexpected answer's body that are shown
READ: Final = 4096  # bytes of it that are read
LARGEST: Final = 1_048_576  # bytes of a body in which something is looked for


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """A redirect is an answer like any other and is not followed. ``timeout`` and ``latency`` in seconds, 0 is none.

    ``body`` must occur in the answer's text; the value at ``json_path`` must be ``json_value``, written as text or
    as JSON.
    """

    url: str
    timeout: float
    status: int = 200
    body: str = ""
    json_path: str = ""
    json_value: str = ""
    latency: float = 0.0

    def __post_init__(self) -> None:
        """Raises UsageError for a URL that cannot be asked."""
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"[health]: {self.url!r} is not an http:// or https:// address.")

    def ask(self) -> Answer:
        import httpx

        shown, began = without_credentials(self.url), time.monotonic()
        try:
            with self._client() as client, client.stream("GET", self.url) as response:
                spent = time.monotonic() - began
                wrong = self._wrong(response, spent, began)
        except httpx.TimeoutException:
            return Answer(False, f"{shown} did not answer within {self.timeout:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(False, f"{shown} could not be asked: {error or type(error).__name__}")
        if wrong:
            return Answer(False, f"{shown} {wrong}")
        return Answer(True, f"{shown} answered {self.status} in {spent * 1000:.0f} ms")

    def _client(self) -> "httpx.Client":
        import httpx

        return httpx.Client(
            timeout=self.timeout,
            follow_redirects=False,
            # Each question on a connection of its own: one that was kept may lead to the version that is going.
            limits=httpx.Limits(max_keepalive_connections=0),
            headers={"User-Agent": "deployguard", "Cache-Control": "no-cache"},
            # This machine is not asked by way of a proxy.
            mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
        )

    def _wrong(self, response: "httpx.Response", spent: float, began: float) -> str:
        """What is not as it should be; "" when all is well."""
        if response.status_code != self.status:
            return f"answered {response.status_code} and not {self.status}{_more(response, began + self.timeout)}"
        if self.latency and spent > self.latency:
            return (
                f"answered {self.status}, but took {spent:.2f} s and not at most {self.latency:g} s"
            )
        if not self.body and not self.json_path:
            return ""
        raw = _read(response, LARGEST + 1, began + self.timeout)
        if raw is None:
            return f"answered {self.status}, but the body was not there within {self.timeout:g} s"
        if len(raw) > LARGEST:
            return f"answered {self.status}, but with more than {LARGEST} bytes"
        content = raw.decode(errors="replace")
        if self.body and self.body not in content:
            return f"answered {self.status}, but without {self.body!r}{_line(content)}"
        return self._wrong_json(content) if self.json_path else ""

    def _wrong_json(self, content: str) -> str:
        try:
            found = json.loads(content)
        except ValueError:
            return f"answered {self.status}, but no JSON{_line(content)}"
        for step in json_steps(self.json_path):
            inside = isinstance(found, list) if isinstance(step, int) else isinstance(found, dict)
            try:
                found = found[step] if inside else None
            except (KeyError, IndexError):
                inside = False
            if not inside:
                return f"answered {self.status}, but without a value at {self.json_path}"
        text = found if isinstance(found, str) else json.dumps(found)
        if text == self.json_value:
            return ""
        return f"answered {self.status}, but {self.json_path} is {text[:SHOWN]!r} and not {self.json_value!r}"


def _read(response: "httpx.Response", most: int, until: float) -> bytes | None:
    """The first ``most`` bytes of the body; None when they were not there by ``until`` (monotonic)."""
    begun = b""
    for piece in response.iter_bytes():
        begun += piece
        if len(begun) >= most:
            break
        if time.monotonic() > until:
            return None
    return begun[:most]


def _more(response: "httpx.Response", until: float) -> str:
    """Where a redirect leads, or how an unexpected answer begins."""
    if "location" in response.headers:
        return f" (it redirects to {without_credentials(response.headers['location'])})"
    return _line((_read(response, READ, until) or b"").decode(errors="replace"))


def _line(content: str) -> str:
    line = " ".join(content.split())
    return f": {line[:SHOWN]}" if line else ""


def without_credentials(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()
