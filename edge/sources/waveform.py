"""Waveform frames from the home broker: decoded, checked, in order, each once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterable

import numpy as np

from edge.readings import Device, SignalFrame
from edge.sources.senml import device_of
from edge.sources.timing import ArrivalClock, TimeLimits, check_time
from protocols.errors import ProtocolError, Reason
from protocols.topics import HomeUp
from protocols.waveform import WaveFrame, decode_wave

RECENT_FRAMES = 64

_CHECKSUM_BYTES = 4


class _Order:
    """Which frames of one device have been seen; the device may start again from a low number at any time."""

    def __init__(self) -> None:
        self.clock = ArrivalClock()
        self.newest: int | None = None
        self.recent: OrderedDict[int, bytes] = OrderedDict()


class WaveformSource:
    """Turns waveform payloads of configured devices into signal frames, in order and each once.

    `counts` holds what was dropped or lost on the way: `duplicate`, `late` (overtaken by a newer frame), `missing`
    (numbers never seen), `restarted` (the device counts anew), `retimed` (an impossible time replaced while the
    gateway's own is not trusted).
    """

    def __init__(self, devices: Iterable[Device], limits: TimeLimits | None = None) -> None:
        self._devices = frozenset(device.id for device in devices)
        self._limits = limits or TimeLimits(max_age_s=3600.0)
        self._orders: dict[str, _Order] = {}
        self.counts: Counter[str] = Counter()

    def read(self, topic: str, payload: bytes, arrival: float, *, clock_trusted: bool = True) -> SignalFrame | None:
        """The frame of one message that arrived at `arrival`, None if it is no news; raises ProtocolError."""
        device = device_of(topic, HomeUp.WAVE, self._devices)
        wave = decode_wave(payload)
        if wave.device != device:
            raise ProtocolError(Reason.WRONG_TOPIC, "frame.device", f"{wave.device[:80]!r} is not the topic's {device}")
        has_clock = wave.start != 0
        if has_clock:
            try:
                check_time(wave.start, arrival, self._limits, "frame.start")
            except ProtocolError:
                if clock_trusted:
                    raise
                self.counts["retimed"] += 1
                has_clock = False
        order = self._orders.setdefault(device, _Order())
        newest = order.newest
        if not self._is_next(order, wave.seq, payload[-_CHECKSUM_BYTES:]):
            return None
        duration = len(wave.samples) / wave.rate_hz
        at = wave.start if has_clock else order.clock.start_of(arrival, duration, newest is not None)
        return _signal(wave, at)

    def _is_next(self, order: _Order, seq: int, checksum: bytes) -> bool:
        newest = order.newest
        if newest is not None and seq <= newest:
            known = order.recent.get(seq)
            if known == checksum:
                self.counts[Reason.DUPLICATE] += 1
                return False
            if known is None and newest - seq < RECENT_FRAMES:
                self.counts["late"] += 1
                return False
            self.counts["restarted"] += 1
            order.recent.clear()
        elif newest is not None:
            self.counts["missing"] += seq - newest - 1
        order.newest = seq
        order.recent[seq] = checksum
        while len(order.recent) > RECENT_FRAMES:
            order.recent.popitem(last=False)
        return True


def _signal(wave: WaveFrame, at: float) -> SignalFrame:
    """Samples in g and degrees a second (the photoplethysmogram stays in steps)."""
    scales = {"a": wave.scale, "g": wave.gyro_scale}
    factors = np.array([scales.get(name[0], 1.0) for name in wave.channels], np.float32)
    samples = wave.samples.astype(np.float32) * factors
    return SignalFrame(wave.device, wave.seq, at, wave.rate_hz, wave.channels, samples, wave.full_scale_g)
