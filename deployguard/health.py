"""Poll the application until it is healthy, or until the deadline says that it is not."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from deployguard.config import HealthConfig
from deployguard.errors import UsageError
from deployguard.model import Health, HealthSample

if TYPE_CHECKING:
    import httpx

SHOWN: Final = 120  # characters of an unexpected answer's body that are shown
READ: Final = 4096  # bytes of it that are read


def poll(
    config: HealthConfig,
    *,
    on_sample: Callable[[HealthSample], None] = lambda _: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Health:
    """Ask every URL until all of them answered as expected ``successes`` times in a row, or until ``deadline``.

    One sample is one round over all URLs. A redirect is an answer like any other and is not followed. A connection
    that is refused, broken or too slow is a sample too. Raises UsageError when there is no URL, or one that is none.
    """
    check_urls(config.urls)
    began = monotonic()
    samples: list[HealthSample] = []
    row = 0
    with _client(config) as client:
        while True:
            detail, ok = _round(client, config)
            samples.append(HealthSample(clock(), ok, detail))
            on_sample(samples[-1])
            row = row + 1 if ok else 0
            spent = monotonic() - began
            if row >= config.successes:
                said = f"{detail}; {row} in a row after {spent:.0f} s"
                return Health(True, said, tuple(samples))
            if spent + config.interval > config.deadline:
                return Health(False, _verdict(config, samples, row), tuple(samples))
            sleep(config.interval)


def check_urls(urls: tuple[str, ...]) -> None:
    """Raises UsageError when there is nothing to ask, or something that cannot be asked."""
    if not urls:
        raise UsageError("[health] urls is empty, so nobody can say whether the application works.")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"[health] urls: {url!r} is not an http:// or https:// address.")


def _client(config: HealthConfig) -> "httpx.Client":
    import httpx

    return httpx.Client(
        timeout=config.timeout,
        follow_redirects=False,
        # Each question on a connection of its own: one that was kept may lead to the version that is going.
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": "deployguard", "Cache-Control": "no-cache"},
        # This machine is not asked by way of a proxy.
        mounts={f"all://{host}": None for host in ("localhost", "127.0.0.1", "[::1]")},
    )


def _round(client: "httpx.Client", config: HealthConfig) -> tuple[str, bool]:
    """One sample: what was seen, and whether it was as expected everywhere."""
    said = ""
    for url in config.urls:
        said, ok = _ask(client, url, config)
        if not ok:
            return said, False
    if len(config.urls) > 1:
        said = f"{len(config.urls)} urls answered {config.expect_status}"
    return said, True


def _ask(client: "httpx.Client", url: str, config: HealthConfig) -> tuple[str, bool]:
    import httpx

    shown, began = without_credentials(url), time.monotonic()
    try:
        with client.stream("GET", url) as response:
            status = response.status_code
            spent = (time.monotonic() - began) * 1000
            if status == config.expect_status:
                return f"{shown} answered {status} in {spent:.0f} ms", True
            more = _more(response)
    except httpx.TimeoutException:
        return f"{shown} did not answer within {config.timeout:g} s", False
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return f"{shown} could not be asked: {error or type(error).__name__}", False
    return f"{shown} answered {status} and not {config.expect_status}{more}", False


def _more(response: "httpx.Response") -> str:
    """Where a redirect leads, or how an unexpected answer begins."""
    if "location" in response.headers:
        return f" (it redirects to {without_credentials(response.headers['location'])})"
    begun = b""
    for piece in response.iter_bytes():
        begun += piece
        if len(begun) >= READ:
            break
    line = " ".join(begun[:READ].decode(errors="replace").split())
    return f": {line[:SHOWN]}" if line else ""


def without_credentials(url: str) -> str:
    """The URL as it may be shown."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


def _verdict(config: HealthConfig, samples: list[HealthSample], row: int) -> str:
    good = sum(sample.ok for sample in samples)
    last = next((s.detail for s in reversed(samples) if not s.ok), "")
    if row:
        now = f"the last {row} of them in a row, {config.successes} are needed"
    else:
        now = f"never {config.successes} in a row"
    because = f"; {last}" if last else ""
    return (
        f"{good} of {len(samples)} samples were good within {config.deadline:g} s, {now}{because}"
    )
