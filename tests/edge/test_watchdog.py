"""A gateway that does not truly move is not fed and does not stay: sd_notify, hung parts, tasks that die."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.clock import Instant, SystemClock
from edge.daemon import EXIT_BROKEN
from edge.watchdog import PartStoppedError, Pulses, Systemd, watch
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud

_LAUNCH = """
import asyncio, sys, time
from pathlib import Path
from edge import app, daemon
from edge.home.link import HomeLink
from edge.pipeline import Pipeline
from edge.spool.store import Spool
app.LIMITS_S |= {{"tick": 1.0, "spool": 1.0}}
async def dies(*_): raise RuntimeError("out of luck")
async def ends(*_): return None
async def hangs(*_): await asyncio.sleep(1e6)
def sleeps(*_): time.sleep(1e6)
{sabotage}
sys.exit(daemon.main(Path({path!r})))
"""


class _Told:
    """What systemd would be told."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All lines so far."""
        while True:
            try:
                self.lines += self._socket.recv(4096).decode().split("\n")
            except BlockingIOError:
                return self.lines

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()


@pytest.fixture
def told(tmp_path: Path) -> Iterator[_Told]:
    """A notification socket."""
    made = _Told(tmp_path)
    yield made
    made.close()


def test_systemd_hears_the_whole_life(told: _Told, tmp_path: Path) -> None:
    """Ready once everything is wired, fed while it moves, reloading and ready again, stopping; and exit 0."""
    with home_and_cloud(tmp_path) as (gateway, _):
        gateway.start(NOTIFY_SOCKET=told.address, WATCHDOG_USEC="3000000")
        wait_for("fed", lambda: told.heard().count("WATCHDOG=1") >= 2)
        assert told.lines.count("READY=1") == 1
        gateway.signal(signal.SIGHUP)
        wait_for("ready again", lambda: told.heard().count("READY=1") == 2)
        assert [line for line in told.lines if line == "RELOADING=1" or line.startswith("MONOTONIC_USEC=")]
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert "STOPPING=1" in told.heard()
        assert told.lines.index("RELOADING=1") < told.lines.index("STOPPING=1")


@pytest.mark.parametrize(
    ("sabotage", "words"),
    [
        ("HomeLink.run = dies", "home: RuntimeError('out of luck')"),
        ("HomeLink.run = ends", "home: it ended"),
        ("Pipeline.tick = hangs", "tick has not moved for"),
        ("Spool.last_seq = sleeps", "spool has not moved for"),
    ],
)
def test_a_part_that_dies_or_hangs_ends_the_process(sabotage: str, words: str, told: _Told, tmp_path: Path) -> None:
    """Exit code 70 within the deadline, the part's name in the log and to systemd, which then starts it anew."""
    with home_and_cloud(tmp_path) as (gateway, _):
        code = _LAUNCH.format(sabotage=sabotage, path=str(gateway.path))
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "3000000"},
        )
    assert done.returncode == EXIT_BROKEN
    assert words in done.stderr
    assert any(line.startswith("STATUS=ended:") and words in line for line in told.heard())


class _Manual(SystemClock):
    """A monotonic clock that a test moves."""

    mono = 0.0

    def now(self) -> Instant:
        """As moved."""
        return Instant(1.8e9 + self.mono, self.mono)


async def test_a_suspended_machine_is_nobodys_fault(told: _Told) -> None:
    """After an hour's sleep nothing is late; a part that then stays still is."""
    clock = _Manual()
    pulses = Pulses({"tick": 10.0}, 0.0)
    systemd = Systemd({"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "30000"})

    async def look() -> None:
        """Nothing beats by being asked."""

    watching = asyncio.create_task(watch(pulses, systemd, clock, look))
    await _until(lambda: "WATCHDOG=1" in told.heard())
    clock.mono += 3_600.0
    fed = len(told.heard())
    await _until(lambda: len(told.heard()) > fed)
    for _ in range(30):
        clock.mono += 1.0
        await asyncio.sleep(0.02)
    with pytest.raises(PartStoppedError, match="tick has not moved"):
        await watching


async def test_a_systemd_that_does_not_read_holds_up_nothing(told: _Told) -> None:
    """Its socket full, telling returns at once."""
    systemd = Systemd({"NOTIFY_SOCKET": told.address})
    for _ in range(2_000):
        systemd.tell(WATCHDOG=1)
    assert 0 < len(told.heard()) < 2_000


async def _until(holds: Callable[[], bool]) -> None:
    for _ in range(4_000):
        if holds():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


def test_another_process_watchdog_is_not_ours() -> None:
    """WATCHDOG_PID of somebody else means that systemd does not watch us."""
    assert Systemd({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog_s == 0.0
    assert Systemd({"WATCHDOG_USEC": "3000000"}).watchdog_s == 3.0
