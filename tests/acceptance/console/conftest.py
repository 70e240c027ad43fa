"""One browser and one running demo for all tests of the console."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from firmware_sim.demo.processes import Processes, free_port
from firmware_sim.demo.system import DemoOptions, DemoSystem, sign_in, wait_for_gateway
from tests.support.console import OUTPUT


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or "/usr/bin/chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoSystem]:
    OUTPUT.mkdir(exist_ok=True)
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
