"""All detectors of one home behind three calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edge.detectors.base import Detection, ReadingDetector
from edge.detectors.contact import ContactDetector
from edge.detectors.fall import FallDetector
from edge.detectors.vitals import VitalsDetector
from edge.readings import Device, DeviceRole, Reading, SignalFrame


class Detectors:
    """Hands readings and frames to the detectors they concern."""

    def __init__(self, falls: dict[str, FallDetector], readings: tuple[ReadingDetector, ...]) -> None:
        self._falls = falls
        self._readings = readings

    @property
    def counts(self) -> Counter[str]:
        """What the detectors looked at and left out."""
        total: Counter[str] = Counter()
        for device, fall in self._falls.items():
            total.update({f"{device}_{name}": n for name, n in fall.counts.items()})
        return total

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; `now` is the gateway's time in Unix seconds."""
        return [found for detector in self._readings for found in detector.on_reading(reading, now)]

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one signal frame; frames of devices that are no wearable are ignored."""
        detector = self._falls.get(frame.device)
        return detector.on_frame(frame) if detector is not None else []

    def on_tick(self, now: float) -> list[Detection]:
        """Call about once a second."""
        return [found for detector in self._readings for found in detector.on_tick(now)]


def build(devices: Iterable[Device], *, spo2_scale_2: bool = False) -> Detectors:
    """The detectors a home with these devices needs."""
    falls = {d.id: FallDetector(d.id, d.position) for d in devices if d.role is DeviceRole.WEARABLE}
    return Detectors(falls, (ContactDetector(), VitalsDetector(spo2_scale_2=spo2_scale_2)))
