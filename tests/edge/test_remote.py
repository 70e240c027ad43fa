"""What the cloud may set and what only the installer may; a version is judged whole and is seen in the status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.fallback.contacts import Contact
from edge.remote import RemoteConfig, forbidden
from protocols.wire import Configure, ReplyStatus

_LOCAL = """
[gateway]
id = "gw-1"
[cloud_broker]
host = "broker"
[fallback]
phones = ["10000000001"]
modem = { port = "/dev/ttyUSB0" }
"""


def _remote(folder: Path) -> RemoteConfig:
    (folder / "gateway.toml").write_text(_LOCAL)
    return RemoteConfig(folder / "gateway.toml", folder / "remote.json", SystemClock(), lambda: None)


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
    """A list with one wrong number changes nothing; a good one replaces the local list whole and has a version."""
    remote = _remote(tmp_path)
    good = [{"name": "女儿", "phone": "13800000001"}, {"name": "Li", "phone": "13800000002", "after_s": 60}]
    wrong = remote.apply(_command(1, {"fallback": {"contacts": [*good, {"name": "x", "phone": "abc"}]}}))
    assert wrong is not None
    assert (wrong.status, "fallback.contacts.2.phone" in wrong.detail) == (ReplyStatus.REFUSED, True)
    assert remote.version() is None
    assert remote.present().fallback.people() == (Contact("…0001", "10000000001"),)
    assert remote.apply(_command(2, {"fallback": {"phones": [], "contacts": good}})) is None
    remote.restarted()
    await remote.reached()
    assert remote.version() == 2
    present = remote.present().fallback
    assert [c.name for c in present.people()] == ["女儿", "Li"]
    assert present.modem is not None
