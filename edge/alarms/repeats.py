"""What one device says again and again of one alarm: counted on it, and told ever more rarely. Pure.

Each repetition that is told is a piece of evidence with its own time and `times`, how often the device has said it by
then: at the second, fourth, eighth time and so on, so that a device without end neither fills the flash nor the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from edge.alarms.moments import SAME_KIND
from edge.alarms.states import Alarm
from edge.detectors.base import Detection
from protocols.wire import MAX_EVIDENCE, Evidence

CRYING = 4
"""So many alarms of one kind and device open at once, and the device is reported. Own choice, as many as are reported
when they were answered with "nothing is wrong" (edge.supervision.supervisor)."""


def counts_repeats(detection: Detection) -> bool:
    """Whether a repetition of this kind is something that happened again, and not a condition that goes on."""
    known = SAME_KIND.get(detection.kind)
    return known is not None and known.most_s is not None


def row(alarms: Iterable[Alarm], detection: Detection) -> int:
    """How many open alarms of this kind its device has opened."""
    return sum((a.kind, a.device) == (detection.kind, detection.device) for a in alarms)


def times(alarm: Alarm, device: str) -> int:
    """How often a device has reported this alarm."""
    said = [e.numbers["times"] for e in alarm.evidence if e.device == device and "times" in e.numbers]
    return round(said[0]) if said else 1


def seen_again(alarm: Alarm, detection: Detection) -> tuple[Alarm, bool]:
    """The alarm with one repetition more, and whether it is to be told."""
    n = times(alarm, detection.device) + 1
    numbers = {"times": float(n), "confidence": round(detection.confidence, 3)}
    of = detection.evidence[0].detector if detection.evidence else "repeats"
    newest = Evidence(detector=of, device=detection.device, at=detection.at, reason=detection.reason, numbers=numbers)
    others = [e for e in alarm.evidence if not (e.device == detection.device and "times" in e.numbers)]
    return replace(alarm, evidence=(*others[: MAX_EVIDENCE - 1], newest)), n & (n - 1) == 0


def crying(alarms: Iterable[Alarm]) -> set[str]:
    """Devices of which too many alarms of one kind are open for all of them to be likely."""
    opened = Counter((a.kind, a.device) for a in alarms if a.kind in SAME_KIND and SAME_KIND[a.kind].most_s is not None)
    return {device for (_, device), n in opened.items() if n >= CRYING}
