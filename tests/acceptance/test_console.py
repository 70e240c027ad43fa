"""The console and the pages in a real browser, in both languages; screenshots go to test-output/."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import update

from cloud.config import load
from cloud.context import Context
from cloud.db.engine import Database
from cloud.db.schema import gateways
from cloud.incidents.technical import open_technical
from cloud.ingest import quarantine
from cloud.registry.importer import import_registry
from cloud.registry.models import Registry
from cloud.supervision.platform import ensure_platform
from firmware_sim.demo import registry as people
from firmware_sim.demo.processes import Processes, free_port
from firmware_sim.demo.system import DemoOptions, DemoSystem, sign_in, wait_for_gateway
from firmware_sim.fleet import batches
from firmware_sim.fleet.registry import fleet_registry
from protocols.errors import ProtocolError, Reason
from tests.support.chain import wait_for

OUTPUT = Path(__file__).resolve().parents[2] / "test-output"
pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(240)]
_WAIT_MS = 25_000

WORDS = {
    "zh": {
        "start": "开始值班", "fall": "跌倒", "claim": "接警", "dispatch": "派遣", "accepted": "已接单",
        "arrived": "已到场", "close": "结案", "outcome": "确为跌倒", "confirm": "确认结案并通知所有人",
        "empty": "目前没有未结警情", "lost": "连接已中断",
    },
    "en": {
        "start": "Start shift", "fall": "Fall", "claim": "Claim", "dispatch": "Dispatch", "accepted": "accepted",
        "arrived": "arrived", "close": "Close", "outcome": "Real fall", "confirm": "Close and stand everyone down",
        "empty": "No open incident", "lost": "Connection to the server is lost",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSystem]:
    folder = tmp_path_factory.mktemp("console")
    demo = DemoSystem(
        DemoOptions(folder=folder, port=free_port(), question_s=1.5, light_homes=4), Processes(folder / "logs")
    )
    try:
        demo.start()
        api = sign_in(demo)
        wait_for_gateway(demo, api)
        api.close()
        yield demo
    finally:
        demo.processes.stop()


def _open(browser: Browser, system: DemoSystem, lang: str, problems: list[str]) -> Page:
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.set_default_timeout(_WAIT_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(system.console)
    if lang == "en":
        page.get_by_role("button", name="English").click()
    page.screenshot(path=OUTPUT / f"console-{lang}-sign-in.png")
    page.fill("[name=login]", people.OPERATOR)
    page.fill("[name=password]", "not-the-password")
    page.click("button[type=submit]")
    expect(page.get_by_role("alert")).to_be_visible(timeout=_WAIT_MS)
    page.fill("[name=password]", system.password)
    page.click("button[type=submit]")
    page.get_by_role("button", name=WORDS[lang]["start"]).click()
    end = {"zh": "结束值班", "en": "End shift"}[lang]
    expect(page.get_by_role("button", name=end)).to_be_visible(timeout=_WAIT_MS)  # the sound runs
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"), timeout=_WAIT_MS)
    return page


def _answer(system: DemoSystem, text: str) -> str:
    body = {"phone": people.NURSE_PHONE, "text": text}
    return str(httpx.post(f"{system.phones}/answers", json=body, timeout=20, trust_env=False).json()["result"])


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_an_incident_in_the_console(browser: Browser, system: DemoSystem, lang: str) -> None:
    """It arrives without a reload, shows signal, vitals and place; claimed, dispatched, answered, closed."""
    OUTPUT.mkdir(exist_ok=True)
    words, problems = WORDS[lang], list[str]()
    page = _open(browser, system, lang, problems)
    expect(page.get_by_text(words["empty"])).to_be_visible(timeout=_WAIT_MS)
    page.screenshot(path=OUTPUT / f"console-{lang}-empty.png")
    system.order("go bathroom")
    page.wait_for_timeout(4000)
    system.order("fall")
    row = page.get_by_test_id("incident-row").filter(has_text=words["fall"])
    expect(row).to_be_visible(timeout=_WAIT_MS)
    page.screenshot(path=OUTPUT / f"console-{lang}-arrived.png")
    row.click()
    view = page.get_by_test_id("incident")
    expect(view.get_by_test_id("excerpt").locator("canvas")).to_be_visible(timeout=_WAIT_MS)
    expect(view.get_by_test_id("vitals").locator(".vital").first).to_be_visible(timeout=_WAIT_MS)
    expect(page.get_by_test_id("map").locator(".pin-selected")).to_be_visible(timeout=_WAIT_MS)
    view.get_by_role("button", name=words["claim"], exact=True).click()
    nurse = view.get_by_test_id("dispatching").locator("li", has_text="周模拟")
    nurse.get_by_role("button", name=words["dispatch"], exact=True).click()
    expect(view.get_by_test_id("timeline")).to_contain_text("周模拟", timeout=_WAIT_MS)
    wait_for("the nurse's SMS", lambda: _answer(system, "1") == "accepted")
    expect(view.get_by_test_id("dispatching")).to_contain_text(words["accepted"], timeout=_WAIT_MS)
    page.screenshot(path=OUTPUT / f"console-{lang}-dispatched.png")
    assert _answer(system, "3") == "arrived"
    expect(view.get_by_test_id("dispatching")).to_contain_text(words["arrived"], timeout=_WAIT_MS)
    _pages(browser, system, lang)
    view.get_by_role("button", name=words["close"], exact=True).click()
    view.get_by_label(words["outcome"]).check()
    page.screenshot(path=OUTPUT / f"console-{lang}-close.png")
    view.get_by_role("button", name=words["confirm"]).click()
    expect(page.get_by_text(words["empty"])).to_be_visible(timeout=_WAIT_MS)
    for name in ("homes", "responders"):
        page.click(f"a[href='#{name}']")
        page.wait_for_timeout(800)
        assert _fits(page), f"{name} is wider than the window"
        page.screenshot(path=OUTPUT / f"console-{lang}-{name}.png")
    system.order("stand-up")
    assert problems == []
    page.close()


def _fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


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
        assert _fits(phone), f"{kind} is wider than a phone"
        phone.screenshot(path=OUTPUT / f"page-{lang}-{kind}.png", full_page=True)
    phone.close()


def test_a_lost_server_is_shown(browser: Browser, system: DemoSystem) -> None:
    """When the server is gone the operator sees it, and when it is back the view is live again by itself."""
    page = _open(browser, system, "zh", [])
    command = next(p.args for name, p in system.processes.running if name == "cloud")
    cloud = next(p for name, p in system.processes.running if name == "cloud")
    cloud.kill()
    cloud.wait()
    expect(page.get_by_text(WORDS["zh"]["lost"])).to_be_visible(timeout=_WAIT_MS)
    page.screenshot(path=OUTPUT / "console-zh-lost.png")
    system.processes.running = [entry for entry in system.processes.running if entry[1] is not cloud]
    assert isinstance(command, list)
    system.processes.start("cloud", command)
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"), timeout=_WAIT_MS)
    expect(page.get_by_text(WORDS["zh"]["lost"])).to_be_hidden(timeout=_WAIT_MS)
    page.close()


async def _open_technical(config: Path, causes: dict[str, str]) -> None:
    """These causes, and twelve homes of one sub-district gone at once, which the running cloud finds by itself."""
    loaded = load(config)
    context = Context(loaded, Database(loaded.database.url))
    district = fleet_registry(12)
    for home in district["homes"]:
        home["sub_district"] = "lianhua"
    try:
        await import_registry(context, Registry.model_validate(district))
        async with context.work() as work:
            await ensure_platform(work)
            for cause, home in causes.items():
                await open_technical(work, home, cause, "system")
            gone = update(gateways).where(gateways.c.id.like("gw-f%"), gateways.c.offline_since.is_(None))
            await work.run(gone.values(online=False, offline_since=work.now))
    finally:
        await context.database.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_technical_incidents_say_what_is_wrong(browser: Browser, system: DemoSystem, lang: str) -> None:
    """Each names its cause in the operator's language, with the device or district it is about."""
    words = {
        "area_outage:lianhua": {"zh": "片区断线 · 莲花", "en": "Area offline · Lianhua"},
        "alarm_rejected": {"zh": "报警无法读取", "en": "Alarm unreadable"},
        "sensor_battery:door-1": {"zh": "传感器电量耗尽 · door-1", "en": "Sensor battery empty · door-1"},
    }
    opened = [cause for cause in words if not cause.startswith("area_outage")]
    homes = {cause: "h-demo" if cause.startswith("sensor") else "h-n001" for cause in opened}
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(_open_technical(system.options.folder / "cloud.toml", homes))).result()
    problems: list[str] = []
    page = _open(browser, system, lang, problems)
    for texts in words.values():
        expect(page.get_by_test_id("incident-row").filter(has_text=texts[lang]).first).to_be_visible(timeout=_WAIT_MS)
    page.get_by_test_id("incident-row").filter(has_text=words["area_outage:lianhua"][lang]).first.click()
    expect(page.get_by_role("heading", level=1).filter(has_text=words["area_outage:lianhua"][lang])).to_be_visible()
    listed = page.get_by_test_id("outage-homes")
    expect(
        listed.get_by_text({"zh": "12 户中仍有 12 户断线", "en": "12 of 12 homes still offline"}[lang])
    ).to_be_visible()
    expect(listed.locator("li")).to_have_count(12)
    page.screenshot(path=OUTPUT / f"console-{lang}-technical.png")
    assert _fits(page)
    assert problems == []
    page.close()


async def _refuse(config: Path, lang: str) -> None:
    """Three messages in quarantine: one that is good by now, one that will never be, and rubbish."""
    loaded = load(config)
    context = Context(loaded, Database(loaded.database.url))
    number = {"zh": 3, "en": 4}[lang]
    topic = f"anju/v1/gw-f{number:06d}/up/telemetry"
    good = batches.batch("ab" * 8, "live", number, 1, round(context.now() * 1000))
    never = good.replace(b'"n":"weight"', b'"n":"mood"').replace(b'"seq":1', b'"seq":2')
    try:
        await import_registry(context, Registry.model_validate(fleet_registry(12)))
        async with context.work() as work:
            for payload, reason, where, what in (
                (good, Reason.UNKNOWN_GATEWAY, "topic", f"gw-f{number:06d} is not registered"),
                (never, Reason.UNKNOWN_METRIC, "records[7].n", "mood is no metric"),
                (b"\xff\xfe rubbish <b>of " * 200, Reason.MALFORMED, "telemetry", "JSON is malformed"),
            ):
                error = ProtocolError(reason, where, what)
                await quarantine.put(work, topic, f"gw-f{number:06d}", payload, error, quarantine.Place())
            for home, minutes in ((1, 205), (2, 90), (7, 31)):
                away = update(gateways).where(gateways.c.id == f"gw-f{home:06d}", gateways.c.offline_since.is_(None))
                await work.run(away.values(online=False, offline_since=work.now - minutes * 60))
    finally:
        await context.database.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_refused_messages(browser: Browser, system: DemoSystem, lang: str) -> None:
    """Read one, store again what is good by now, discard the rest with a reason; the month's report beside it."""
    words = {
        "replay": {"zh": "重新入库（2）", "en": "Store again (2)"},
        "again": {"zh": "1 条已重新入库", "en": "1 stored again"},
        "still": {"zh": "1 条仍被拒收", "en": "1 still refused"},
        "discard": {"zh": "丢弃…", "en": "Discard…"},
        "sure": {"zh": "丢弃（2）", "en": "Discard (2)"},
        "empty": {"zh": "没有拒收的报文", "en": "No refused messages"},
        "reason": {"zh": "未知指标", "en": "unknown metric"},
        "discarded": {"zh": "已丢弃", "en": "Discarded"},
        "state": {"zh": "状态", "en": "State"},
        "all": {"zh": "全选", "en": "Choose all"},
    }
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(_refuse(system.options.folder / "cloud.toml", lang))).result()
    problems: list[str] = []
    page = _open(browser, system, lang, problems)
    page.click("a[href='#platform']")
    held = page.get_by_test_id("quarantine")
    held.get_by_role("searchbox").fill("gw-f000003" if lang == "zh" else "gw-f000004")
    expect(held.locator("tbody tr")).to_have_count(3)
    held.get_by_role("button", name=re.compile("rubbish|malformed")).click()
    expect(held.locator(".payload")).to_contain_text("rubbish <b>of")
    page.screenshot(path=OUTPUT / f"console-{lang}-platform.png")
    assert _fits(page)
    held.get_by_role("button", name=re.compile("malformed")).click()
    for place in (1, 2):
        held.locator("tbody tr").nth(place).get_by_role("checkbox").check()
    held.get_by_role("button", name=words["replay"][lang]).click()
    expect(held.get_by_role("status")).to_contain_text(words["again"][lang])
    expect(held.get_by_role("status")).to_contain_text(words["still"][lang])
    expect(held.locator("tbody tr")).to_have_count(2)
    expect(held.locator("tbody tr").filter(has_text=words["reason"][lang])).to_have_count(1)
    held.get_by_label(words["all"][lang]).check()
    held.get_by_role("button", name=words["discard"][lang]).click()
    expect(held.get_by_role("button", name=words["sure"][lang])).to_be_disabled()
    held.locator(".discarding input").fill("a test device")
    held.get_by_role("button", name=words["sure"][lang]).click()
    expect(held.get_by_text(words["empty"][lang])).to_be_visible()
    held.get_by_label(words["state"][lang]).select_option("discarded")
    expect(held.locator("tbody tr").filter(has_text="a test device")).to_have_count(2)
    page.screenshot(path=OUTPUT / f"console-{lang}-platform-settled.png")
    expect(page.get_by_test_id("unprotected").locator("li").first).to_be_visible()
    assert problems == []
    page.close()
