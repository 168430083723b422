"""A real Chromium, without a window and without a network, for the pages that deployguard writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from tests.support.required import missing

_NAMES = ("chromium", "chromium-browser", "google-chrome")
# As root it has no sandbox; the other switches keep it from dialling out by itself.
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The machine's own Chromium, driven by Playwright."""
    program = next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        missing("there is no Chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(_ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()
