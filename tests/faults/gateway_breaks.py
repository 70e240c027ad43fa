"""What can go wrong around a gateway, each as a context: broken when it is entered, mended when it is left."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from edge.memory import URGENT_NAME
from firmware_sim.devices import pack
from protocols.wire import Configure
from tests.edge.detectors import fall_physics
from tests.faults.gateway_bed import Bed
from tests.support.chain import wait_for

FAULTS = (
    "kill_gateway", "restart_home_broker", "restart_cloud_broker", "cut_link", "half_open_link", "packet_loss",
    "slow_link", "disk_full", "clock_step", "no_time_at_start", "damaged_spool", "rough_sensors", "configuration",
    "kill_in_a_fall",
)  # fmt: skip
_ALONE = frozenset({"damaged_spool", "clock_step", "no_time_at_start", "disk_full", "kill_in_a_fall"})
"""At most one of these in a round: what each of them may cost is judged by its own rule."""
_AT_HOME = frozenset({"restart_home_broker", "kill_gateway", "rough_sensors", "configuration"})
"""Not with a fall: its signal must reach the gateway until the impact, and the gateway be there to keep it."""
_TWO_FAULTS = 0.35
_STEPS_S = (-7_200.0, -40.0, 30.0, 3_600.0, 200_000.0)


def draw(rng: random.Random, faults: tuple[str, ...]) -> list[str]:
    """The faults of one round: one, or two that overlap."""
    first = rng.choice(faults)
    others = [f for f in faults if f != first and not (first in _ALONE and f in _ALONE)]
    others = [f for f in others if "kill_in_a_fall" not in (first, f) or not {first, f} & _AT_HOME]
    return [first, rng.choice(others)] if others and rng.random() < _TWO_FAULTS else [first]


class Breaker:
    """Breaks a bed; all chances are the round's own."""

    def __init__(self, bed: Bed, rng: random.Random) -> None:
        self._bed = bed
        self._rng = rng
        self._afterwards: list[Callable[[], None]] = []

    def run(self, faults: list[str], play_s: float) -> None:
        """Break one after the other, wait, and mend them in reverse order, within about `play_s`."""
        with ExitStack() as stack:
            for name in faults:
                self._pause(0.05, play_s / 4)
                action: Callable[[], AbstractContextManager[None]] = getattr(self, f"_{name}")
                stack.enter_context(action())
            self._pause(0.1, play_s / 2)
        for wait in self._afterwards:
            wait()

    def _pause(self, least: float, most: float) -> None:
        """Wait, while somebody looks after the gateway as systemd does."""
        end = time.monotonic() + self._rng.uniform(least, most)
        while time.monotonic() < end:
            self._bed.tend()
            time.sleep(0.02)

    @contextmanager
    def _kill_gateway(self) -> Iterator[None]:
        self._bed.end_gateway(kill=True)
        self._pause(0.0, 0.6)
        self._bed.start_gateway()
        yield
        if self._rng.random() < 0.3:  # once more, perhaps while it starts
            self._bed.end_gateway(kill=True)
            self._bed.start_gateway()

    @contextmanager
    def _kill_in_a_fall(self) -> Iterator[None]:
        """The gateway is killed when the impact is on flash; up to four seconds of the signal that follows are lost."""
        bed, rng = self._bed, self._rng
        signal, impact = fall_physics.fall(after_s=12)
        frames = fall_physics.frames(signal, at=time.time() - len(signal) / 50, seq=bed.wave_seq)
        hit, lost = int(impact * 2) + 1, rng.randrange(9)
        bed.wave_seq += len(frames) + lost + 1_000
        bed.wear(frames[:hit])
        wait_for("impact on flash", (bed.data / URGENT_NAME).exists, 20)
        self._pause(0.0, 0.5)
        bed.end_gateway(kill=True)
        self._pause(0.0, 0.6)
        bed.start_gateway()
        yield
        bed.wear([replace(f, at=f.at + lost / 2, seq=f.seq + lost) for f in frames[hit:]])

    @contextmanager
    def _restart_home_broker(self) -> Iterator[None]:
        self._bed.stop("home")
        yield
        self._bed.start_broker("home")

    @contextmanager
    def _restart_cloud_broker(self) -> Iterator[None]:
        self._bed.stop("cloud")
        yield
        self._bed.start_broker("cloud")

    @contextmanager
    def _cut_link(self) -> Iterator[None]:
        self._bed.proxy.refuses = True
        self._bed.proxy.cut()
        yield
        self._bed.proxy.refuses = False

    @contextmanager
    def _half_open_link(self) -> Iterator[None]:
        self._bed.proxy.freeze()
        yield

    @contextmanager
    def _packet_loss(self) -> Iterator[None]:
        self._bed.proxy.rng = random.Random(self._rng.random())
        self._bed.proxy.loss = 0.1
        yield
        self._pause(0.5, 1.0)
        self._bed.proxy.loss = 0.0

    @contextmanager
    def _slow_link(self) -> Iterator[None]:
        self._bed.proxy.delay_s = self._rng.choice((0.1, 0.4, 1.5))
        yield
        self._bed.proxy.delay_s = 0.0

    @contextmanager
    def _disk_full(self) -> Iterator[None]:
        disk = self._bed.disk
        assert disk is not None
        filler = disk / "filler"
        _fill(filler)
        stop = threading.Event()

        def again() -> None:
            while not stop.wait(0.1):
                _fill(filler)  # what the gateway gave up is taken as well

        thread = threading.Thread(target=again, daemon=True)
        if self._rng.random() < 0.5:
            thread.start()
        yield
        self._pause(0.5, 1.5)
        stop.set()
        if thread.is_alive():
            thread.join()
        filler.unlink()

    @contextmanager
    def _clock_step(self) -> Iterator[None]:
        self._bed.set_clock(self._rng.choice(_STEPS_S))
        yield
        self._pause(0.0, 2.0)  # beyond a second the step is believed
        self._bed.set_clock(0.0)

    @contextmanager
    def _no_time_at_start(self) -> Iterator[None]:
        self._bed.end_gateway(kill=False)
        self._bed.set_clock(self._rng.uniform(0, 1e6) - time.time(), synced=False)
        self._bed.start_gateway()
        yield
        self._pause(0.5, 1.5)
        self._bed.set_clock(0.0)

    @contextmanager
    def _damaged_spool(self) -> Iterator[None]:
        """What waits for the cloud is in the file when it is damaged."""
        with self._cut_link():
            self._pause(0.2, 1.0)
            self._bed.end_gateway(kill=self._rng.random() < 0.5)
            damage(self._bed.data / "spool.db", self._rng)
            self._bed.start_gateway()
            yield

    @contextmanager
    def _rough_sensors(self) -> Iterator[None]:
        stop = threading.Event()
        rng = random.Random(self._rng.random())
        thread = threading.Thread(target=_rubbish, args=(self._bed, rng, stop), daemon=True)
        thread.start()
        yield
        self._pause(0.5, 1.0)
        stop.set()
        thread.join()

    @contextmanager
    def _configuration(self) -> Iterator[None]:
        """A good one, and before it perhaps one that must be refused whole; sent until it is answered."""
        bed, rng = self._bed, self._rng
        bed.config_version += 2
        settings = {"status": {"heartbeat_s": round(rng.uniform(1, 3), 2)}, "telemetry": {"max_records": 400}}
        good = Configure(1, f"c-{bed.config_version}", time.time() + 600, bed.config_version, settings, 30.0)
        bad = Configure(1, f"c-{bed.config_version - 1}", time.time() + 600, bed.config_version - 1, {"spool": {}})
        if rng.random() < 0.5:
            bed.cloud.command(bad)
        bed.cloud.command(good)

        def until_answered() -> None:
            end = time.monotonic() + 30
            while not bed.cloud.replied(good.id) and time.monotonic() < end:
                bed.cloud.command(good)
                self._pause(0.3, 0.3)

        self._afterwards.append(until_answered)
        yield


def damage(path: Path, rng: random.Random) -> None:
    """Cut off the end, or flip one to forty bits anywhere."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        if size == 0 or rng.random() < 0.4:
            file.truncate(rng.randrange(size + 1))
            return
        for _ in range(rng.choice((1, 3, 40))):
            place = rng.randrange(size)
            file.seek(place)
            byte = file.read(1)[0]
            file.seek(place)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))


def _fill(path: Path) -> None:
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65_536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"\0" * 512)
        except OSError:
            pass


def _rubbish(bed: Bed, rng: random.Random, stop: threading.Event) -> None:
    """A hundred messages a second that hold nothing new: twice, out of order, too large, malformed."""
    old: list[tuple[str, bytes]] = []
    while not stop.wait(0.01):
        kind = rng.randrange(6)
        topic = "home/v1/light/senml"
        if kind == 0 and old:
            bed.rough.publish(*rng.choice(old), qos=1)
        elif kind == 1:
            bed.rough.publish(topic, os.urandom(rng.randrange(1, 200)), qos=1)
        elif kind == 2:
            bed.rough.publish(topic, b'[{"n":"x","v":' + b"1" * 70_000 + b"}]", qos=rng.randrange(2))
        elif kind == 3:
            bed.rough.publish(topic, b'[{"bn":"light/","n":"illuminance","v":"bright"}]', qos=1)
        elif kind == 4:
            bed.rough.publish("home/v1/nobody/senml", b'[{"bn":"nobody/","n":"motion","vb":true}]', qos=1)
        else:
            # Out of order: a reading of up to a minute ago, told twice. Its kind of value is not counted.
            message = pack("light", round(time.time() - rng.uniform(0, 60), 3), battery=(50.0, "%EL"))
            old.append(message)
            bed.rough.publish(*message, qos=1)
