"""`anju-cloud gateway configure` to a real gateway over real brokers: in force, refused, rolled back by itself."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from firmware_sim.devices import pack
from tests.support.chain import Chain, leave, wait_for

GATEWAY = "gw-demo"
_CONTACTS = """
[[fallback.contacts]]
name = "女儿"
phone = "13800000001"
[alarms]
question_s = 7
[uplink]
keepalive_s = 300
"""
"""The long keep-alive lets the test hold the gateway for a while without the broker taking it for dead."""


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    """Brokers, cloud and one gateway, running and connected, and a sensor that measures."""
    made = Chain(tmp_path)
    made.configure()
    made.start()
    try:
        wait_for("gateway at the cloud", lambda: made.log(GATEWAY, "uplink_connected"))
        stop = Event()
        measuring = Thread(target=_measuring, args=(made, stop))
        measuring.start()
        yield made
        stop.set()
        measuring.join()
    finally:
        made.stop()


def _cloud(chain: Chain, *arguments: str) -> str:
    command = [sys.executable, "-m", "cloud.cli", "gateway", *arguments, "--config", str(chain.folder / "cloud.toml")]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout


def _configure(chain: Chain, settings: str, confirm_s: float = 60.0) -> None:
    (chain.folder / "settings.toml").write_text(settings)
    said = _cloud(
        chain, "configure", GATEWAY, "--file", str(chain.folder / "settings.toml"), "--confirm-s", str(confirm_s)
    )
    assert "waits for it" in said


def _newest(chain: Chain, *words: str) -> str:
    """State and detail of the newest command once they hold one of `words`."""

    def found() -> str | None:
        with closing(sqlite3.connect(chain.folder / "anju.db")) as db:
            row = db.execute("SELECT state, detail FROM commands ORDER BY created_at DESC LIMIT 1").fetchone()
        line = " ".join(str(part) for part in row or ())
        return line if any(word in line for word in words) else None

    return str(wait_for(f"one of {words}", found))


def _measuring(chain: Chain, until: Event) -> None:
    """A home that lives: what it measures is acknowledged, and so the gateway sees that the cloud is there."""
    devices = chain.publisher()
    while not until.wait(0.2):
        devices.publish(*pack("oximeter-1", time.time(), heart_rate=(70.0, "beat/min")), qos=1)
    leave(devices)


def _status(chain: Chain) -> Any:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(chain.folder / GATEWAY / "status.sock"))
        return json.loads(b"".join(iter(lambda: connection.recv(65_536), b"")))


def _version(chain: Chain) -> int | None:
    """What is in force and no longer on trial; None while the gateway is between two lives."""
    with suppress(OSError):
        config = _status(chain)["config"]
        return None if config["trying_since"] is not None else config["version"]
    return None


@pytest.mark.timeout(400)
def test_in_force_refused_and_rolled_back(chain: Chain) -> None:
    """Contacts from the cloud are in force once the cloud was reached with them; a wrong value changes nothing and the
    operator reads the key; a version with which the cloud is not reached is undone, and the operator reads that too.
    """
    _configure(chain, _CONTACTS)
    assert "in force" in _newest(chain, "in force", "refused")
    first = wait_for("in force", lambda: _version(chain))

    _configure(chain, _CONTACTS.replace("13800000001", "no number"))
    assert "fallback.contacts.0.phone" in _newest(chain, "fallback.contacts")
    _configure(chain, '[fallback.modem]\nport = "/dev/sda"\n')
    assert "the cloud may not set fallback.modem" in _newest(chain, "may not set")
    assert _version(chain) == first

    gateway = chain.running[GATEWAY]
    gateway.send_signal(signal.SIGSTOP)
    _configure(chain, _CONTACTS.replace("= 7", "= 9"), confirm_s=3.0)
    _newest(chain, "sent")
    chain.kill("cloud")
    gateway.send_signal(signal.SIGCONT)
    wait_for("trial", lambda: len(chain.log(GATEWAY, "remote_config_trying")) == 2)
    wait_for("rolled back", lambda: chain.log(GATEWAY, "remote_config_rolled_back"))
    assert wait_for("first again", lambda: _version(chain)) == first
    chain.start("cloud")
    assert "the cloud was not reached within 3 s" in _newest(chain, "rolled back")
    assert "rolled back" in _cloud(chain, "configurations", GATEWAY).splitlines()[0]
