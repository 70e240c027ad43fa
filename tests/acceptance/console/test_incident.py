"""An incident from its arrival to its end, in both languages, and a server that goes away; screenshots are kept."""

from __future__ import annotations

import re

import httpx
import pytest
from playwright.sync_api import Browser, expect

from firmware_sim.demo import registry as people
from firmware_sim.demo.system import DemoSystem
from tests.support.chain import wait_for
from tests.support.console import OUTPUT, WAIT_MS, fits, open_console

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(240)]

WORDS = {
    "zh": {
        "fall": "跌倒", "claim": "接警", "dispatch": "派遣", "accepted": "已接单",
        "arrived": "已到场", "close": "结案", "outcome": "确为跌倒", "confirm": "确认结案并通知所有人",
        "empty": "目前没有未结警情", "lost": "连接已中断",
    },
    "en": {
        "fall": "Fall", "claim": "Claim", "dispatch": "Dispatch", "accepted": "accepted",
        "arrived": "arrived", "close": "Close", "outcome": "Real fall", "confirm": "Close and stand everyone down",
        "empty": "No open incident", "lost": "Connection to the server is lost",
    },
}  # fmt: skip


def _answer(system: DemoSystem, text: str) -> str:
    body = {"phone": people.NURSE_PHONE, "text": text}
    return str(httpx.post(f"{system.phones}/answers", json=body, timeout=20, trust_env=False).json()["result"])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_incident_in_the_console(browser: Browser, system: DemoSystem, lang: str) -> None:
    """It arrives without a reload, shows signal, vitals and place; claimed, dispatched, answered, closed."""
    words, problems = WORDS[lang], list[str]()
    page = open_console(browser, system, lang, problems)
    expect(page.get_by_text(words["empty"])).to_be_visible(timeout=WAIT_MS)
    page.screenshot(path=OUTPUT / f"console-{lang}-empty.png")
    system.order("go bathroom")
    page.wait_for_timeout(4000)
    system.order("fall")
    row = page.get_by_test_id("incident-row").filter(has_text=words["fall"])
    expect(row).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("spoken")).to_contain_text(words["fall"])
    page.screenshot(path=OUTPUT / f"console-{lang}-arrived.png")
    row.click()
    view = page.get_by_test_id("incident")
    expect(view.get_by_test_id("excerpt").locator("canvas")).to_be_visible(timeout=WAIT_MS)
    expect(view.get_by_test_id("vitals").locator(".vital").first).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_test_id("map").locator(".pin-selected")).to_be_visible(timeout=WAIT_MS)
    view.get_by_role("button", name=words["claim"], exact=True).click()
    expect(page.get_by_test_id("spoken")).to_be_empty(timeout=WAIT_MS)
    nurse = view.get_by_test_id("dispatching").locator("li", has_text="周模拟")
    nurse.get_by_role("button", name=words["dispatch"], exact=True).click()
    expect(view.get_by_test_id("timeline")).to_contain_text("周模拟", timeout=WAIT_MS)
    wait_for("the nurse's SMS", lambda: _answer(system, "1") == "accepted")
    expect(view.get_by_test_id("dispatching")).to_contain_text(words["accepted"], timeout=WAIT_MS)
    page.screenshot(path=OUTPUT / f"console-{lang}-dispatched.png")
    assert _answer(system, "3") == "arrived"
    expect(view.get_by_test_id("dispatching")).to_contain_text(words["arrived"], timeout=WAIT_MS)
    _pages(browser, system, lang)
    view.get_by_role("button", name=words["close"], exact=True).click()
    view.get_by_label(words["outcome"]).check()
    page.screenshot(path=OUTPUT / f"console-{lang}-close.png")
    view.get_by_role("button", name=words["confirm"]).click()
    expect(page.get_by_text(words["empty"])).to_be_visible(timeout=WAIT_MS)
    expect(view).to_contain_text(re.compile(r":\d\d 结案|Closed at \d\d:"))
    for name in ("homes", "responders"):
        page.click(f"a[href='#{name}']")
        page.wait_for_timeout(800)
        assert fits(page), f"{name} is wider than the window"
        page.screenshot(path=OUTPUT / f"console-{lang}-{name}.png")
    system.order("stand-up")
    assert problems == []
    page.close()


def _pages(browser: Browser, system: DemoSystem, lang: str) -> None:
    """Family and responder pages at phone width."""
    found = httpx.get(f"{system.phones}/messages", trust_env=False).json()
    phone = browser.new_page(viewport={"width": 390, "height": 844})
    for number, kind in ((people.FAMILY_PHONE, "f"), (people.NURSE_PHONE, "r")):
        texts = [m["text"] for m in found[number] if m["incoming"]]
        code = next(m[1] for text in reversed(texts) if (m := re.search(r"码([2-9A-Z]{6})", text)))
        phone.goto(f"{system.console}/s")
        phone.fill("[name=code]", code)
        phone.click("button")
        phone.wait_for_url(f"**/{kind}/{code}")
        phone.goto(f"{system.console}/{kind}/{code}?lang={lang}")
        assert fits(phone), f"{kind} is wider than a phone"
        phone.screenshot(path=OUTPUT / f"page-{lang}-{kind}.png", full_page=True)
    phone.close()


def test_a_lost_server_is_shown(browser: Browser, system: DemoSystem) -> None:
    """When the server is gone the operator sees it, and when it is back the view is live again by itself."""
    page = open_console(browser, system, "zh", [])
    command = next(p.args for name, p in system.processes.running if name == "cloud")
    cloud = next(p for name, p in system.processes.running if name == "cloud")
    cloud.kill()
    cloud.wait()
    expect(page.get_by_text(WORDS["zh"]["lost"])).to_be_visible(timeout=WAIT_MS)
    page.screenshot(path=OUTPUT / "console-zh-lost.png")
    system.processes.running = [entry for entry in system.processes.running if entry[1] is not cloud]
    assert isinstance(command, list)
    system.processes.start("cloud", command)
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"), timeout=WAIT_MS)
    expect(page.get_by_text(WORDS["zh"]["lost"])).to_be_hidden(timeout=WAIT_MS)
    page.close()
