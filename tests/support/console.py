"""The console in a browser, as an operator opens it."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from firmware_sim.demo import registry as people
from firmware_sim.demo.system import DemoSystem

OUTPUT = Path(__file__).resolve().parents[2] / "test-output"
"""Where screenshots go."""
WAIT_MS = 25_000
START = {"zh": "开始值班", "en": "Start shift"}
END = {"zh": "结束值班", "en": "End shift"}


def open_console(
    browser: Browser, system: DemoSystem, lang: str, problems: list[str], login: str = people.OPERATOR
) -> Page:
    """Signed in, after one wrong password, with the shift begun; page errors go to `problems`."""
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(system.console)
    if lang == "en":
        page.get_by_role("button", name="English").click()
    page.screenshot(path=OUTPUT / f"console-{lang}-sign-in.png")
    page.fill("[name=login]", login)
    page.fill("[name=password]", "not-the-password")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_be_visible(timeout=WAIT_MS)
    page.fill("[name=password]", system.password)
    page.click("button[type=submit]")
    page.get_by_role("button", name=START[lang]).click()
    expect(page.get_by_role("button", name=END[lang])).to_be_visible(timeout=WAIT_MS)  # the sound runs
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"), timeout=WAIT_MS)
    return page


def fits(page: Page) -> bool:
    """Whether nothing is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))
