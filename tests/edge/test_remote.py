"""What the cloud may set and what only the installer may; a version is judged whole and is seen in the status."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.fallback.contacts import Contact
from edge.remote import RemoteConfig, forbidden
from protocols.wire import Configure, Reply, ReplyStatus
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud

_LOCAL = """
[gateway]
id = "gw-1"
[cloud_broker]
host = "broker"
[fallback]
phones = ["10000000001"]
modem = { port = "/dev/ttyUSB0" }
"""


def _remote(folder: Path, reload: Callable[[], None] = lambda: None, kept: str = "remote.json") -> RemoteConfig:
    (folder / "gateway.toml").write_text(_LOCAL)
    return RemoteConfig(folder / "gateway.toml", folder / kept, SystemClock(), reload)


def _command(version: int, settings: dict[str, Any]) -> Configure:
    return Configure(1, f"c-{version}", 4e9, version, settings, 60.0)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"fallback": {"modem": {"port": "/dev/sda"}}}, ["fallback.modem"]),
        ({"fallback": {"sms_url": "http://elsewhere"}}, ["fallback.sms_url"]),
        ({"fallback": {"secret_file": "/etc/shadow"}}, ["fallback.secret_file"]),
        ({"cloud_broker": {"host": "elsewhere"}}, ["cloud_broker"]),
        ({"fallback": {"contacts": [{"name": "a", "phone": "10086"}], "after_s": 30}}, []),
    ],
)
def test_what_the_cloud_may_set(settings: dict[str, Any], names: list[str]) -> None:
    """People and delays; never a device, an address, a secret or a broker."""
    assert forbidden(settings) == names


async def test_contacts_from_the_cloud(tmp_path: Path) -> None:
    """A list with one wrong number changes nothing; a good one replaces the local list whole and has a version. The
    cloud hears once that it is in force, also where the first try breaks.
    """
    remote = _remote(tmp_path)
    good = [{"name": "女儿", "phone": "13800000001"}, {"name": "Li", "phone": "13800000002", "after_s": 60}]
    wrong = await remote.apply(_command(1, {"fallback": {"contacts": [*good, {"name": "x", "phone": "abc"}]}}))
    assert wrong is not None
    assert (wrong.status, "fallback.contacts.2.phone" in wrong.detail) == (ReplyStatus.REFUSED, True)
    assert remote.version() is None
    assert remote.present().fallback.people() == (Contact("…0001", "10000000001"),)
    assert await remote.apply(_command(2, {"fallback": {"phones": [], "contacts": good}})) is None
    remote.restarted()
    told: list[Reply] = []

    async def broken(_reply: Reply) -> None:
        raise ConnectionError

    async def answer(reply: Reply) -> None:
        told.append(reply)

    with pytest.raises(ConnectionError):
        await remote.reached(broken)
    await remote.reached(answer)
    await remote.reached(answer)
    assert [(r.id, r.status, r.detail) for r in told] == [("c-2", ReplyStatus.DONE, "version 2 in force")]
    assert remote.version() == 2
    present = remote.present().fallback
    assert [c.name for c in present.people()] == ["女儿", "Li"]
    assert present.modem is not None


async def test_a_card_that_stalls_holds_up_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a trial goes to a slow card everything else runs; a stop in the middle leaves memory and file the same, and
    the reload that belongs to it is asked for.
    """
    stalled, goes_on, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(handle: int) -> None:
        stalled.set()
        assert goes_on.wait(20)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", slow)
    reloads: list[int] = []
    remote = _remote(tmp_path, lambda: reloads.append(1))
    applying = asyncio.create_task(remote.apply(_command(1, {"telemetry": {"batch_interval_s": 2}})))
    assert await asyncio.to_thread(stalled.wait, 20)
    assert remote.version() is None
    applying.cancel()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await applying
    assert (remote.version(), _remote(tmp_path).version(), reloads) == (1, 1, [1])


async def test_a_full_disk_undoes_no_decision(tmp_path: Path) -> None:
    """What cannot be written is in force all the same, ends no part of the gateway, and is kept when there is room."""
    (tmp_path / "data").mkdir()
    remote = _remote(tmp_path, kept="data/remote.json")
    assert await remote.apply(_command(1, {"telemetry": {"batch_interval_s": 2}})) is None
    (tmp_path / "data").rename(tmp_path / "away")
    with pytest.raises(OSError, match="data"):
        await _remote(tmp_path, kept="data/other.json").apply(_command(1, {}))
    remote.restarted()

    async def answer(_reply: Reply) -> None:
        """The cloud hears it."""

    await remote.reached(answer)
    await remote.tick()
    assert remote.describe()["trying_since"] is None
    (tmp_path / "away").rename(tmp_path / "data")
    assert _remote(tmp_path, kept="data/remote.json").state.trial is not None
    await remote.tick()
    assert _remote(tmp_path, kept="data/remote.json").state == remote.state


def test_outcomes_are_told_without_being_asked_again(tmp_path: Path) -> None:
    """Each command is sent once. Its outcome comes by itself, after the reload that it caused and the cloud's first
    acknowledgement: in force, or undone because the cloud was silent.
    """
    with home_and_cloud(tmp_path, more="[uplink]\nresend_after_s = 0.3\nbackoff_first_s = 0.1\n") as (gateway, cloud):
        gateway.start()
        wait_for("connected", lambda: gateway.log("uplink_connected"))

        def outcome(command: Configure, *, confirmed: bool) -> tuple[ReplyStatus, str]:
            cloud.answers = confirmed
            cloud.command(command)
            wait_for("trial", lambda: gateway.log("remote_config_trying")[-1:])
            if not confirmed:
                wait_for("rolled back", lambda: gateway.log("remote_config_rolled_back"))
            cloud.answers = True

            def told() -> list[Reply]:
                gateway.measure(21.5)
                return [r for r in list(cloud.replies) if r.id == command.id]

            reply = wait_for(f"outcome of {command.id}", told)[0]
            return reply.status, reply.detail

        good = Configure(1, "c-1", time.time() + 600, 1, {"telemetry": {"batch_interval_s": 0.5}}, 60.0)
        assert outcome(good, confirmed=True) == (ReplyStatus.DONE, "version 1 in force")
        silent = Configure(1, "c-2", time.time() + 600, 2, {"telemetry": {"batch_interval_s": 0.6}}, 1.0)
        words = "version 2 rolled back: the cloud was not reached within 1 s"
        assert outcome(silent, confirmed=False) == (ReplyStatus.REFUSED, words)
        assert [len([r for r in cloud.replies if r.id == c]) for c in ("c-1", "c-2")] == [1, 1]
