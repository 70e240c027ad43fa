"""A gateway that loses its power around a fall: the fall is raised once, not twice and not never."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edge.app import remembering
from edge.clock import KeptClock
from edge.clock.timeline import Observed
from edge.config import GatewayConfig
from edge.messages import restored_alarm
from edge.wiring import Gateway, wire
from protocols.waveform import WaveFrame, encode_wave
from protocols.wire import AlarmKind, AlarmState, Lane, decode_alarm
from tests.edge.detectors import fall_physics as physics
from tests.support.mosquitto import free_port

_NOW = 1_795_000_000.0
_SIGNAL, _IMPACT = physics.fall(after_s=12)
_FRAMES = physics.frames(_SIGNAL, at=_NOW)
_JUDGED = round((_IMPACT + 3.5) * 2) + 1
"""So many frames hold what the detector waits for."""


class Home:
    """One folder over which a gateway is wired again and again; at a run's end nothing is kept, as by a power cut."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._wired: list[Gateway] = []
        self.now = _NOW

    def start(self) -> Gateway:
        self.close()
        config = GatewayConfig.model_validate(
            {
                "gateway": {"id": "gw-1", "data_dir": self._folder},
                "cloud_broker": {"host": "127.0.0.1", "port": free_port(), "tls": False},
                "home_broker": {"port": free_port()},
                "metrics": {"port": 0},
                "devices": [{"id": "w", "role": "wearable", "position": "waist"}],
            }
        )
        clock = KeptClock(self._folder / "last-time", lambda: Observed(self.now, self.now - _NOW + 20, True))
        self._wired.append(wire(config, clock=clock))
        self._wired[-1].memory.load()
        return self._wired[-1]

    async def wear(self, gateway: Gateway, first: int, stop: int) -> None:
        """The wearable sends some of its frames, each when it is complete."""
        for frame in _FRAMES[first:stop]:
            self.now = frame.at + 0.5
            steps = np.round(frame.samples * 1000).astype(np.int16)
            wave = WaveFrame("w", frame.seq, frame.at, 50.0, 0.001, 16.0, 0.0, ("ax", "ay", "az"), steps)
            await gateway.pipeline.take("home/v1/w/wave", encode_wave(wave))
            await gateway.pipeline.tick()

    async def silence(self, gateway: Gateway, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            await gateway.pipeline.tick()

    def close(self) -> None:
        for gateway in self._wired:
            gateway.executor.shutdown()
            gateway.spool.close()
        self._wired.clear()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def _remembers(gateway: Gateway) -> AsyncIterator[Callable[[], bool]]:
    """The gateway's own task beside what the test does."""
    task = asyncio.create_task(remembering(gateway))
    await asyncio.sleep(0)
    yield lambda: gateway.memory.counts["saved"] > 0
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _falls(gateway: Gateway) -> list[AlarmState]:
    spool = gateway.spool
    events = [decode_alarm(spool.body(Lane.ALARM, seq) or b"") for seq in spool.after(Lane.ALARM, 0, 1_000)]
    return [event.state for event in events if event.kind is AlarmKind.FALL]


@pytest.mark.parametrize("known_s", [0.1, 1.0, 2.0, 3.0])
async def test_a_restart_between_impact_and_judgement(home: Home, known_s: float) -> None:
    """What was known goes on in the next run, and the fall is raised once."""
    cut = round((_IMPACT + known_s) * 2)
    gateway = home.start()
    await home.wear(gateway, 0, cut)
    assert _falls(gateway) == []
    assert gateway.memory.save(gateway.memory.take())
    gateway = home.start()
    await home.wear(gateway, cut, len(_FRAMES))
    await home.silence(gateway, 10)
    assert _falls(gateway) == [AlarmState.PENDING]


async def test_a_fall_that_was_answered_is_not_raised_again(home: Home) -> None:
    """The file on flash is of before the judgement, the power goes after the resident's answer: nobody asks again."""
    cut = round((_IMPACT + 2.0) * 2)
    gateway = home.start()
    await home.wear(gateway, 0, cut)
    assert gateway.memory.save(gateway.memory.take())
    gateway = home.start()
    async with _remembers(gateway) as saved:
        await home.wear(gateway, cut, _JUDGED)
        assert _falls(gateway) == [AlarmState.PENDING]
        for _ in range(1000):
            if saved():
                break
            await asyncio.sleep(0.01)
        assert saved()
    await gateway.pipeline.apply(gateway.alarms.press("cancel", gateway.clock.now()))
    gateway = home.start()
    await home.silence(gateway, 10)
    await home.wear(gateway, _JUDGED, len(_FRAMES))
    assert _falls(gateway) == [AlarmState.PENDING, AlarmState.CANCELLED_BY_RESIDENT]


async def test_the_power_goes_before_the_memory_is_kept(home: Home) -> None:
    """The alarm was on flash first, so that what is judged again joins it."""
    cut = round((_IMPACT + 2.0) * 2)
    gateway = home.start()
    await home.wear(gateway, 0, cut)
    assert gateway.memory.save(gateway.memory.take())
    await home.wear(gateway, cut, _JUDGED)
    gateway = home.start()
    restored = [restored_alarm(body) for body in gateway.spool.open_alarms()]
    await gateway.pipeline.apply(gateway.alarms.restore(restored, gateway.clock.now()))
    await home.silence(gateway, 10)
    assert set(_falls(gateway)) == {AlarmState.PENDING}
    assert len(gateway.alarms.open) == 1


async def test_an_alarm_does_not_wait_for_the_memory(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the file of the memories goes to a card that stalls, a call for help is on flash."""
    gateway = home.start()
    stalled, goes_on = threading.Event(), threading.Event()

    def slow(_handle: int) -> None:
        stalled.set()
        goes_on.wait(20)

    monkeypatch.setattr(os, "fsync", slow)
    async with _remembers(gateway) as saved:
        gateway.pipeline.detected.set()
        assert await asyncio.to_thread(stalled.wait, 20)
        await gateway.pipeline.apply(gateway.alarms.press("help", gateway.clock.now()))
        assert (len(gateway.spool.after(Lane.ALARM, 0, 10)), saved()) == (1, False)
        goes_on.set()
