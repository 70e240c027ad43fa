"""Anju's own devices on `home/v1/…`: SenML packs and waveform frames."""

from __future__ import annotations

from collections.abc import Iterable

from edge.readings import Device
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.senml import SenmlSource
from edge.sources.waveform import WaveformSource
from protocols.topics import HomeUp, home_up_filter, parse_home_up


class AnjuSource:
    """Both channels of `home/v1` as one dialect."""

    name = "anju"

    def __init__(self, devices: Iterable[Device]) -> None:
        own = tuple(d for d in devices if d.source == self.name)
        self._devices = own
        self.senml = SenmlSource(own)
        self.waves = WaveformSource(own)

    def filters(self) -> frozenset[str]:
        """Both channels of all devices."""
        return frozenset(home_up_filter(channel) for channel in HomeUp)

    def wants(self, topic: str) -> bool:
        """Whatever begins with home/v1/."""
        return topic.startswith("home/v1/")

    def read(self, message: Message) -> Heard:
        """Readings of a pack, or one frame."""
        m = message
        if parse_home_up(m.topic).channel is HomeUp.WAVE:
            frame = self.waves.read(m.topic, m.payload, m.arrival, clock_trusted=m.clock_trusted)
            if frame is None or m.retained:
                return NOTHING
            return Heard(frames=(frame,), alive=frozenset({frame.device}))
        readings = self.senml.read(m.topic, m.payload, m.arrival, retained=m.retained, clock_trusted=m.clock_trusted)
        alive = frozenset() if m.retained else frozenset(r.device for r in readings)
        return Heard(tuple(readings), alive=alive, refused=tuple(self.senml.take_refused()))

    def seen(self) -> Iterable[Seen]:
        """The configured ones; others are counted by the pipeline."""
        return [Seen(self.name, d.id, d.id, d.role, interval_s=d.interval_s, id=d.id) for d in self._devices]
