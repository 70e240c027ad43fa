"""Every page at phone width in both languages, by keyboard, in the operator's zone, and without a connection."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, StorageState, ViewportSize, expect

from cloud.config import load
from cloud.context import Context
from cloud.db.engine import Database
from cloud.registry.importer import import_registry
from cloud.registry.models import Registry
from firmware_sim.demo import registry as people
from firmware_sim.demo.system import DemoSystem, sign_in
from firmware_sim.fleet.registry import fleet_registry
from tests.support.chain import wait_for
from tests.support.console import OUTPUT, WAIT_MS, fits
from tests.support.texts import WEB, texts_of

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(240)]
PHONE: ViewportSize = {"width": 390, "height": 844}
KEY = re.compile("|".join(re.escape(key) for key in texts_of("zh") if "." in key))
OUTLINES = WEB / "map" / "sub-districts.json"
LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff" * 3
LONG_ADDRESS = "香蜜湖街道示范新村第二十八栋附属裙楼西侧单元一千二百零三号" * 4


async def _long_names(config: Path) -> None:
    """A home where every text is as long as nobody expects."""
    district = fleet_registry(1)
    district["homes"][0] |= {"id": "h-long", "address": LONG_ADDRESS}
    district["gateways"][0] |= {"id": "gw-long", "home_id": "h-long"}
    resident = {"id": "r-long", "home_id": "h-long", "name": LONG_NAME, "birth_year": 1940, "sex": "female"}
    district["residents"] = [resident]
    loaded = load(config)
    context = Context(loaded, Database(loaded.database.url))
    try:
        await import_registry(context, Registry.model_validate(district))
    finally:
        await context.database.close()


@pytest.fixture(scope="module")
def signed_in(browser: Browser, system: DemoSystem) -> Iterator[StorageState]:
    """The session of an operator, with a fall open and a home of long names."""
    with ThreadPoolExecutor(1) as aside:  # Playwright has a loop of its own in this thread
        aside.submit(lambda: asyncio.run(_long_names(system.options.folder / "cloud.toml"))).result()
    system.order("stand-up")  # whoever has fallen in the test before
    system.order("go bathroom")
    time.sleep(4)
    system.order("fall")
    with closing(sign_in(system)) as api:
        wait_for("the fall", lambda: any(i["class"] == "life" for i in api.get("/api/v1/incidents?state=open").json()))
    context = browser.new_context()
    page = context.new_page()
    page.goto(system.console)
    page.fill("[name=login]", people.OPERATOR)
    page.fill("[name=password]", system.password)
    page.click("button[type=submit]")
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"), timeout=WAIT_MS)
    yield context.storage_state()
    context.close()
    system.order("stand-up")


def _context(browser: Browser, state: StorageState | None, lang: str, zone: str = "Asia/Shanghai") -> BrowserContext:
    context = browser.new_context(viewport=PHONE, storage_state=state, timezone_id=zone)
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(f"localStorage.setItem('anju.lang', '{lang}')")
    return context


def _look(page: Page, name: str) -> None:
    """Nothing sticks out, no key of a text shows, and the screen is kept for people to look at."""
    page.wait_for_timeout(300)  # for fonts and charts
    page.screenshot(path=OUTPUT / f"phone-{name}.png", full_page=True)
    assert fits(page), f"{name} is wider than a phone"
    assert KEY.search(page.inner_text("body")) is None


def _too_small(page: Page) -> list[str]:
    """What is pressed on this page and lower than a thumb (44 px)."""
    pressed = page.locator(
        "main button:visible, main select:visible, main a[href^='tel:']:visible, main .choice:visible"
    )
    return [e.inner_text() for e in pressed.all() if (box := e.bounding_box()) is not None and box["height"] < 44]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_page_fits_a_phone(browser: Browser, system: DemoSystem, signed_in: StorageState, lang: str) -> None:
    """Sign-in, queue, incident, homes, a home of long names, responders, platform."""
    outside = _context(browser, None, lang)
    page = outside.new_page()
    page.goto(system.console)
    page.wait_for_selector("[name=login]")
    _look(page, f"{lang}-sign-in")
    outside.close()
    context = _context(browser, signed_in, lang)
    page = context.new_page()
    page.goto(system.console)
    row = page.get_by_test_id("incident-row").first
    expect(row).to_be_visible()
    _look(page, f"{lang}-queue")
    row.click()
    view = page.get_by_test_id("incident")
    assert _too_small(page) == []
    expect(view.get_by_test_id("excerpt").locator("canvas")).to_be_visible()
    expect(row).to_be_hidden()  # the list gives way; a button leads back
    _look(page, f"{lang}-incident")
    view.locator(".back").click()
    expect(row).to_be_visible()
    page.click("a[href='#homes']")
    page.get_by_role("searchbox").fill("h-long")
    page.locator(".row", has_text=LONG_NAME).click()
    expect(page.get_by_test_id("home")).to_contain_text(LONG_ADDRESS)
    _look(page, f"{lang}-home-long")
    page.get_by_test_id("home").locator(".back").click()
    _look(page, f"{lang}-homes")
    page.click("a[href='#responders']")
    expect(page.locator("tbody tr").first).to_be_visible()
    _look(page, f"{lang}-responders")
    page.click("a[href='#platform']")
    expect(page.get_by_test_id("quarantine")).to_be_visible()
    _look(page, f"{lang}-platform")
    context.close()


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_systolic_before_diastolic(browser: Browser, system: DemoSystem, signed_in: StorageState, lang: str) -> None:
    """One card "120/80", and in the table of the latest values the systolic one first."""
    context = _context(browser, signed_in, lang)
    page = context.new_page()
    page.goto(f"{system.console}#homes")
    page.get_by_role("searchbox").fill(people.FULL_HOME)
    page.locator(".row", has_text="林虚构").click()
    card = page.locator(".vital[data-metric=blood_pressure]")
    # The demo's cuff measures once a minute.
    expect(card.locator("strong")).to_have_text(re.compile(r"^\d+/\d+ mmHg$"), timeout=75_000)
    systolic, diastolic = map(int, re.findall(r"\d+", card.locator("strong").inner_text()))
    assert systolic > diastolic
    expect(page.locator(".vital[data-metric=diastolic]")).to_have_count(0)
    latest = page.get_by_test_id("latest")
    words = {"zh": ("收缩压", "舒张压"), "en": ("Systolic", "Diastolic")}[lang]
    expect(latest).to_contain_text(words[1], timeout=75_000)
    table = latest.inner_text()
    assert 0 < table.index(words[0]) < table.index(words[1])
    _look(page, f"{lang}-home")
    context.close()


def test_the_queue_by_keyboard(browser: Browser, system: DemoSystem, signed_in: StorageState) -> None:
    """Tab reaches each row, the focus is seen, Enter opens the incident and leads there, not to the next row."""
    context = _context(browser, signed_in, "zh")
    page = context.new_page()
    page.goto(system.console)
    row = page.get_by_test_id("incident-row").first
    expect(row).to_be_visible()
    for _ in range(20):
        page.keyboard.press("Tab")
        if row.evaluate("row => row === document.activeElement"):
            break
    expect(row).to_be_focused()
    width = row.evaluate("row => getComputedStyle(row).outlineStyle === 'solid' && getComputedStyle(row).outlineWidth")
    assert width == "2px"
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("incident").locator(".incident-head")).to_be_focused()
    context.close()


def _crowd(route: Route) -> None:
    """The list of incidents, with one more in the middle of each sub-district, where its name would be written."""
    answer = route.fetch()
    newest = next(i for i in answer.json() if i["class"] == "life")
    places = {d["properties"]["code"]: d["properties"] for d in json.loads(OUTLINES.read_text())["features"]}
    crowd = [
        newest | {"id": f"in-{code}", "home": newest["home"] | {"lat": place["lat"], "lon": place["lon"]}}
        for code, place in places.items()
    ]
    route.fulfill(json=[*answer.json(), *crowd])


_UNREADABLE = """() => {
  const pins = [...document.querySelectorAll(".map .pin")].map((pin) => pin.getBoundingClientRect());
  const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
  const names = [...document.querySelectorAll(".map .district-name span")];
  const boxes = names.map((name) => name.getBoundingClientRect());
  const map = document.querySelector(".map").getBoundingClientRect();
  const cut = (box) => box.left < map.left || box.right > map.right || box.top < map.top || box.bottom > map.bottom;
  return names.flatMap((name, i) => {
    const clear = [...pins, ...boxes.toSpliced(i, 1)].every((other) => apart(boxes[i], other));
    return clear && !cut(boxes[i]) ? [] : [name.textContent];
  });
}"""


@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_names_on_the_map_stand_beside_the_pins(
    browser: Browser, system: DemoSystem, signed_in: StorageState, lang: str, width: int
) -> None:
    """With an incident in the middle of each sub-district no name lies on a pin or on another name or is cut off,
    and what lies on others is the name.
    """
    context = _context(browser, signed_in, lang)
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": 844})
    page.route("**/api/v1/incidents?state=open", _crowd)
    page.goto(system.console)
    expect(page.locator("[data-incident=in-futian]")).to_be_visible()
    page.get_by_test_id("map").scroll_into_view_if_needed()
    expect(page.locator(".map .district-name")).to_have_count(10)
    page.screenshot(path=OUTPUT / f"map-{lang}-{width}.png")
    assert page.evaluate(_UNREADABLE) == []
    above = page.evaluate(
        "[...document.querySelectorAll('.leaflet-pane')].map((p) => [p.className, +getComputedStyle(p).zIndex])"
    )
    order = {re.sub(r".*leaflet-(\w+)-pane$", r"\1", name): z for name, z in above}
    assert order["names"] > order["marker"]
    context.close()


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/New_York"])
def test_times_are_local(browser: Browser, system: DemoSystem, signed_in: StorageState, zone: str) -> None:
    """The time of the alarm on the screen is that of the operator's own zone."""
    api = sign_in(system)
    newest = next(i for i in api.get("/api/v1/incidents?state=open").json() if i["class"] == "life")
    at = api.get(f"/api/v1/incidents/{newest['id']}").json()["events"][0]["at"]
    api.close()
    context = _context(browser, signed_in, "en", zone)
    page = context.new_page()
    page.goto(system.console)
    page.locator(f"[data-incident='{newest['id']}']").click()
    shown = page.get_by_test_id("timeline").locator("time").last
    expect(shown).to_have_text(re.compile(datetime.fromtimestamp(at, ZoneInfo(zone)).strftime("%H:%M:%S") + "$"))
    context.close()


@pytest.mark.parametrize(
    ("lang", "words"), [("zh", "无法连接服务器，请重试"), ("en", "The server cannot be reached, please try again")]
)
def test_a_failed_request_is_no_empty_list(
    browser: Browser, system: DemoSystem, signed_in: StorageState, lang: str, words: str
) -> None:
    """Without a connection a page says so; it does not say that there is nothing."""
    context = _context(browser, signed_in, lang)
    page = context.new_page()
    page.goto(system.console)
    expect(page.get_by_test_id("incident-row").first).to_be_visible()
    context.set_offline(True)
    for name in ("homes", "responders", "platform"):
        page.click(f"a[href='#{name}']")
        expect(page.locator("main").get_by_text(words).first).to_be_visible()
        expect(page.locator("main .empty:not(.pick)")).to_have_count(0)
    context.close()


def test_a_late_list_hides_nothing_newer(browser: Browser, system: DemoSystem, signed_in: StorageState) -> None:
    """What the stream told while the list of incidents was on its way stays, though the list is older."""
    context = _context(browser, signed_in, "zh")
    page = context.new_page()
    held: list[Route] = []
    page.route("**/api/v1/incidents?state=open", lambda route: held.append(route))
    page.goto(system.console)
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"))
    late = held[0].fetch()
    with closing(sign_in(system)) as api:
        newest = next(i for i in late.json() if i["class"] == "life" and i["state"] == "new")
        path = f"/api/v1/incidents/{newest['id']}"
        claimed = api.post(f"{path}/claim", json={"version": newest["version"]})
        assert claimed.status_code == 200
        row = page.locator(f"[data-incident='{newest['id']}']")
        expect(row).to_contain_text("处理中")
        mark = newest | {"id": "only-in-this-list", "class": "technical", "cause": "test"}
        held[0].fulfill(json=[*late.json(), mark])
        expect(page.locator("[data-incident='only-in-this-list']")).to_be_visible()
        expect(row).to_contain_text("处理中")
        assert api.post(f"{path}/release", json={"version": claimed.json()["version"]}).status_code == 200
    context.close()


@pytest.mark.parametrize(("lang", "words"), [("zh", "正在载入…"), ("en", "Loading…")])
def test_a_list_that_cannot_be_had_is_not_empty(
    browser: Browser, system: DemoSystem, signed_in: StorageState, lang: str, words: str
) -> None:
    """The queue does not say that nothing is open before it knows, and asks again by itself."""
    context = _context(browser, signed_in, lang)
    page = context.new_page()
    page.route("**/api/v1/incidents?state=open", lambda route: route.abort())
    page.goto(system.console)
    expect(page.get_by_test_id("stream")).to_have_class(re.compile("stream-live"))
    expect(page.locator(".queue .empty")).to_have_text([words, words])
    page.unroute("**/api/v1/incidents?state=open")
    # asked for again at the next ping, 5 s away at most
    expect(page.get_by_test_id("incident-row").first).to_be_visible(timeout=20_000)
    context.close()
