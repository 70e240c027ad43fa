"""The priority of a detection: what its detector says, weighed by its confidence and by who lives in the home."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from edge.alarms.states import Alarm
from edge.detectors.base import Detection
from protocols.wire import AlarmKind, Priority


class Risk(StrEnum):
    """What makes a danger greater for this resident."""

    DEMENTIA = "dementia"
    FALLS = "falls"
    HEART_OR_LUNG = "heart_or_lung"
    FRAIL = "frail"


_K = AlarmKind
RAISES: dict[Risk, frozenset[AlarmKind]] = {
    Risk.DEMENTIA: frozenset({_K.WANDERING, _K.GEOFENCE, _K.STOVE}),
    Risk.FALLS: frozenset({_K.INACTIVITY, _K.BED_EXIT}),
    Risk.HEART_OR_LUNG: frozenset({_K.VITALS, _K.HEAT, _K.COLD}),
    Risk.FRAIL: frozenset({_K.INACTIVITY, _K.HEAT, _K.COLD}),
}
"""Kinds that a risk raises by one step."""

LOWERED = frozenset({_K.WANDERING, _K.GEOFENCE, _K.INACTIVITY, _K.BED_EXIT})
"""Kinds that a doubt lowers by one step; never a fall, a call, a vital sign or a danger of the home."""
DOUBT = 0.5
_ORDER = (Priority.LOW, Priority.MEDIUM, Priority.HIGH)


def weighed(detection: Detection, risks: Iterable[Risk], confidence: float) -> Detection:
    """The detection with the priority that it has here, given how sure all that was seen makes it (0 to 1)."""
    step = _ORDER.index(detection.priority)
    step += any(detection.kind in RAISES[risk] for risk in risks)
    step -= detection.kind in LOWERED and confidence < DOUBT
    return replace(detection, priority=_ORDER[min(max(step, 0), 2)], confidence=confidence)


def joint(alarm: Alarm, detection: Detection) -> float:
    """How sure an alarm is with what another detector or device saw besides; the same one again makes it no surer."""
    known = {(e.detector, e.device) for e in alarm.evidence}
    if all((e.detector, e.device) in known for e in detection.evidence):
        return max(alarm.confidence, detection.confidence)
    return 1 - (1 - alarm.confidence) * (1 - detection.confidence)
