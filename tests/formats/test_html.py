"""The page for an approver, in a real browser: what it says, that everybody can read it, and that it is harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from deployguard.formats import written
from deployguard.formats.html import html
from deployguard.model import Risk
from tests.formats.reports import CRITICAL, DIGEST, NOTHING, finding, report, verdict
from tests.support.browser import chromium

LONG = "x" * 300
EVIL = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
ACCEPTED = finding(Risk.MEDIUM, "DG301", accepted="we know", accepted_at="deployguard.toml:7")
MANY = report(
    verdict(Risk.CRITICAL, finding()),
    verdict(Risk.MEDIUM, ACCEPTED, message="Then another"),
    verdict(Risk.LOW, message=LONG),
)
REPORTS = {"critical": CRITICAL, "nothing": NOTHING, "many": MANY}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def opened(browser: Browser, text: str, *, dark: bool = False, width: int = 1000) -> Page:
    page = browser.new_page(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
    )
    page.set_content(text)
    return page


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1000])
def test_nobody_is_kept_from_reading_it(
    browser: Browser, name: str, dark: bool, width: int
) -> None:
    page = opened(browser, html(REPORTS[name]), dark=dark, width=width)
    for details in page.locator("details").all():
        details.locator("summary").click()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    across = page.evaluate("document.documentElement.scrollWidth")
    assert across <= width  # nothing has to be pushed sideways to be read
    page.close()


def test_it_says_what_an_approver_decides_by(browser: Browser) -> None:
    page = opened(browser, html(CRITICAL))
    said = page.inner_text("main")
    assert page.title() == "production: critical - deployguard"
    assert "1 revision pending, b017 → b018" in said
    assert (
        "Critical needs an approval of this plan's digest; a verified backup is required." in said
    )
    assert "Does it drop anything?\nYes: guests.fax." in said
    assert "DG102 critical Drops the column guests.fax." in said
    assert "migrations/versions/b018_drop_guest_fax.py:16" in said
    assert "ACCESS EXCLUSIVE on guests: blocks reads and writes" in said
    assert "is not known to work on the new schema" in said
    assert "downgrade, but it loses data" in said
    assert "deployguard deploy --env production" in said
    assert DIGEST in said
    assert page.locator("pre", has_text="ALTER TABLE guests DROP COLUMN fax").first.is_visible()
    page.close()


def test_the_sql_is_a_click_away_and_always_printed(browser: Browser) -> None:
    page = opened(browser, html(CRITICAL))
    sql = page.get_by_label("SQL of b018", exact=True)
    assert not sql.is_visible()
    page.get_by_text("SQL of b018 (1)").click()
    assert sql.inner_text() == "ALTER TABLE guests DROP COLUMN fax;\n"
    page.get_by_text("SQL of b018 (1)").click()
    page.emulate_media(media="print")
    assert sql.is_visible()
    page.close()


def test_what_is_accepted_does_not_look_like_a_danger(browser: Browser) -> None:
    page = opened(browser, html(MANY))
    said = page.inner_text("main")
    assert "DG301 medium accepted" in said
    assert "Accepted: we know (deployguard.toml:7)" in said
    assert page.locator(".finding.medium").count() == 0
    page.close()


def test_nothing_of_the_project_is_taken_for_a_part_of_the_page(browser: Browser) -> None:
    evil = finding(message=EVIL, why=EVIL, instead=EVIL, path=EVIL)
    plan = report(verdict(Risk.CRITICAL, evil, message=EVIL)).plan
    answers = replace(plan.answers, drops=EVIL)
    plan = replace(plan, environment=EVIL, notes=(EVIL,), answers=answers, elsewhere=EVIL)
    asked: list[str] = []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.set_content(html(replace(CRITICAL, plan=plan, next_commands=(EVIL,))))
    assert page.title() != "taken"
    assert page.locator("img, script").count() == 0
    assert page.inner_text("main").count(EVIL) >= 9
    assert not asked
    page.close()


def test_the_page_needs_nothing_and_may_do_nothing() -> None:
    text = html(MANY)
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "default-src 'none'" in text
    assert written("html", MANY) == text
