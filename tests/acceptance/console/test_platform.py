"""Faults, area outages and refused messages in the console, in both languages."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
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
from firmware_sim.demo.system import DemoSystem
from firmware_sim.fleet import batches
from firmware_sim.fleet.registry import fleet_registry
from protocols.errors import ProtocolError, Reason
from tests.support.console import OUTPUT, WAIT_MS, fits, open_console

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(240)]


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
    page = open_console(browser, system, lang, problems)
    for texts in words.values():
        expect(page.get_by_test_id("incident-row").filter(has_text=texts[lang]).first).to_be_visible(timeout=WAIT_MS)
    page.get_by_test_id("incident-row").filter(has_text=words["area_outage:lianhua"][lang]).first.click()
    expect(page.get_by_role("heading", level=1).filter(has_text=words["area_outage:lianhua"][lang])).to_be_visible()
    listed = page.get_by_test_id("outage-homes")
    expect(
        listed.get_by_text({"zh": "12 户中仍有 12 户断线", "en": "12 of 12 homes still offline"}[lang])
    ).to_be_visible()
    expect(listed.locator("li")).to_have_count(12)
    grew = page.get_by_test_id("timeline").locator(".event-outage_grew").last
    expect(grew).to_contain_text({"zh": "断线住户增加 共 12 户断线", "en": "More homes offline 12 offline"}[lang])
    page.screenshot(path=OUTPUT / f"console-{lang}-technical.png")
    expect(page.locator(".map .pin-selected")).to_have_count(0)  # an area is a part of the map, not a place on it
    page.get_by_test_id("incident-row").filter(has_text=words["sensor_battery:door-1"][lang]).first.click()
    expect(page.locator(".map .pin-technical.pin-selected")).to_be_visible()
    assert fits(page)
    assert problems == []
    page.close()


async def _put_operator(config: Path, sub_district: str, password: str) -> None:
    """The operator of one sub-district, or of another from now on."""
    user = {"id": "u-area", "login": "area", "name": "街道 演示", "role": "operator"}
    user |= {"sub_district": sub_district, "password": password}
    loaded = load(config)
    context = Context(loaded, Database(loaded.database.url))
    try:
        await import_registry(context, Registry.model_validate({"users": [user]}))
    finally:
        await context.database.close()


def test_an_operator_of_one_sub_district(browser: Browser, system: DemoSystem) -> None:
    """The console says which, and shows its homes, its outage and its minutes, and no messages of the district. Given
    another one, it shows what is open there, though nothing happens and nobody loads the page again.
    """
    config = system.options.folder / "cloud.toml"
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(_open_technical(config, {"sensor_battery:door-1": "h-demo"}))).result()
        aside.submit(lambda: asyncio.run(_put_operator(config, "lianhua", system.password))).result()
    problems: list[str] = []
    page = open_console(browser, system, "zh", problems, login="area")
    expect(page.locator(".user")).to_have_text("街道 演示 · 莲花")
    rows = page.get_by_test_id("incident-row")
    expect(rows.filter(has_text="片区断线 · 莲花").first).to_be_visible(timeout=WAIT_MS)
    expect(rows.filter(has_text="传感器电量耗尽")).to_have_count(0)
    page.click("a[href='#homes']")
    expect(page.locator(".homes-page .row").first).to_be_visible()
    expect(page.locator(".homes-page .row", has_text="林虚构")).to_have_count(0)
    page.click("a[href='#platform']")
    expect(page.get_by_test_id("unprotected")).to_be_visible()
    expect(page.get_by_test_id("quarantine")).to_have_count(0)
    page.screenshot(path=OUTPUT / "console-zh-sub-district.png")
    page.click("a[href='#queue']")
    with ThreadPoolExecutor(1) as aside:
        aside.submit(lambda: asyncio.run(_put_operator(config, "meilin", system.password))).result()
    expect(page.locator(".user")).to_have_text("街道 演示 · 梅林", timeout=WAIT_MS)
    expect(rows.filter(has_text="传感器电量耗尽").first).to_be_visible(timeout=WAIT_MS)
    expect(rows.filter(has_text="片区断线 · 莲花")).to_have_count(0)
    assert problems == []
    page.close()


async def _refuse(config: Path, lang: str) -> None:
    """Four messages in quarantine: one that is good by now, two that will never be, and rubbish."""
    loaded = load(config)
    context = Context(loaded, Database(loaded.database.url))
    number = {"zh": 3, "en": 4}[lang]
    topic = f"anju/v1/gw-f{number:06d}/up/telemetry"
    good = batches.batch("ab" * 8, "live", number, 1, round(context.now() * 1000))
    never = [good.replace(b'"n":"weight"', b'"n":"mood"').replace(b'"seq":1', b'"seq":%d' % seq) for seq in (2, 3)]
    try:
        await import_registry(context, Registry.model_validate(fleet_registry(12)))
        async with context.work() as work:
            for payload, reason, where, what in (
                (good, Reason.UNKNOWN_GATEWAY, "topic", f"gw-f{number:06d} is not registered"),
                (never[0], Reason.UNKNOWN_METRIC, "records[7].n", "mood is no metric"),
                (never[1], Reason.UNKNOWN_METRIC, "records[7].n", "mood is no metric"),
                (b"\xff\xfe rubbish <b>of " * 200, Reason.MALFORMED, "telemetry", "JSON is malformed"),
            ):
                error = ProtocolError(reason, where, what)
                await quarantine.put(work, topic, f"gw-f{number:06d}", payload, error, quarantine.Place())
            for home, minutes in ((1, 205), (2, 90), (7, 31)):
                away = update(gateways).where(gateways.c.id == f"gw-f{home:06d}")
                await work.run(away.values(online=False, offline_since=work.now - minutes * 60))
    finally:
        await context.database.close()


def _on_a_phone(page: Page, choose_all: str) -> None:
    """The box that chooses all says so, and a home's minutes stand beside their bar."""
    wide = page.viewport_size
    assert wide is not None
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_test_id("quarantine").get_by_text(choose_all, exact=True)).to_be_visible()
    longest = page.get_by_test_id("unprotected").locator("li").first
    bar, minutes = longest.locator("meter").bounding_box(), longest.locator(".minutes").bounding_box()
    assert bar is not None
    assert minutes is not None
    assert minutes["y"] < bar["y"] + bar["height"] < minutes["y"] + minutes["height"] + bar["height"]
    assert fits(page)
    page.set_viewport_size(wide)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_refused_messages(browser: Browser, system: DemoSystem, lang: str) -> None:
    """Read one, store again what is good by now, discard the rest with a reason; the month's report beside it."""
    words = {
        "replay": {"zh": "重新入库（4）", "en": "Store again (4)"},
        "again": {"zh": "1 条已重新入库", "en": "1 stored again"},
        "still": {"zh": "3 条仍被拒收", "en": "3 still refused"},
        "most": {"zh": "未知指标：2 条", "en": "unknown metric: 2"},
        "least": {"zh": "格式错误：1 条", "en": "malformed: 1"},
        "malformed": {"zh": "格式错误", "en": "malformed"},
        "show": {"zh": "查看报文", "en": "Show message"},
        "hide": {"zh": "收起报文", "en": "Hide message"},
        "discard": {"zh": "丢弃…", "en": "Discard…"},
        "sure": {"zh": "丢弃（3）", "en": "Discard (3)"},
        "empty": {"zh": "没有拒收的报文", "en": "No refused messages"},
        "reason": {"zh": "未知指标", "en": "unknown metric"},
        "discarded": {"zh": "已丢弃", "en": "Discarded"},
        "state": {"zh": "状态", "en": "State"},
        "all": {"zh": "全选", "en": "Choose all"},
    }
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(_refuse(system.options.folder / "cloud.toml", lang))).result()
    problems: list[str] = []
    page = open_console(browser, system, lang, problems)
    page.click("a[href='#platform']")
    held = page.get_by_test_id("quarantine")
    held.get_by_role("searchbox").fill("gw-f000003" if lang == "zh" else "gw-f000004")
    expect(held.locator("tbody tr")).to_have_count(4)
    rubbish = held.locator("tbody tr").filter(has_text=words["malformed"][lang])
    expect(rubbish.locator("q")).to_have_text("telemetry: JSON is malformed")
    rubbish.get_by_role("button", name=words["show"][lang]).click()
    expect(held.locator(".payload")).to_contain_text("rubbish <b>of")
    page.screenshot(path=OUTPUT / f"console-{lang}-platform.png")
    assert fits(page)
    rubbish.get_by_role("button", name=words["hide"][lang]).click()
    _on_a_phone(page, words["all"][lang])
    held.get_by_label(words["all"][lang]).check()
    held.get_by_role("button", name=words["replay"][lang]).click()
    expect(held.get_by_role("status")).to_contain_text(words["again"][lang])
    expect(held.get_by_role("status")).to_contain_text(words["still"][lang])
    reasons = held.get_by_role("status").locator("li")
    expect(reasons).to_contain_text([words["most"][lang], words["least"][lang]])
    expect(reasons.first.locator("q")).to_contain_text("mood")
    page.screenshot(path=OUTPUT / f"console-{lang}-platform-replayed.png")
    expect(held.locator("tbody tr")).to_have_count(3)
    expect(held.locator("tbody tr").filter(has_text=words["reason"][lang])).to_have_count(2)
    held.get_by_label(words["all"][lang]).check()
    held.get_by_role("button", name=words["discard"][lang]).click()
    expect(held.get_by_role("button", name=words["sure"][lang])).to_be_disabled()
    held.locator(".discarding input").fill("a test device")
    held.get_by_role("button", name=words["sure"][lang]).click()
    expect(held.get_by_text(words["empty"][lang])).to_be_visible()
    held.get_by_label(words["state"][lang]).select_option("discarded")
    expect(held.locator("tbody tr").filter(has_text="a test device")).to_have_count(3)
    expect(held.locator("tbody tr").filter(has_text="值班员 演示")).to_have_count(3)
    expect(held.get_by_text("user:")).to_have_count(0)
    page.screenshot(path=OUTPUT / f"console-{lang}-platform-settled.png")
    expect(page.get_by_test_id("unprotected").locator("li").first).to_be_visible()
    assert problems == []
    page.close()
