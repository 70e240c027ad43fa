"""What is about the same moment, kind by kind: whether a detection is more of an open alarm or an alarm of its own.

Theory of operation. What comes while the home asks belongs to the question. After that a detection joins an open alarm
if it happened within `within_s` of what opened the alarm, before or after; the time does not slide along, so that a
row of falls cannot hide in the first. A condition that has not ended and grows worse joins at any time: it is the same
one, and joining is heard sooner than asking anew. Everything else is an alarm of its own, which the cloud attaches to
the home's open incident: it stands in the log, opens a resolved incident again and renews the escalation
(docs/decisions/same-moment.md).

Of a device that reports again and again while its alarms are open, each that is open doubles the time up to `most_s`: a
second fall is an alarm of its own after two minutes, a third after four more, and a watch that cries all day asks once
an hour. What falls in between is counted on the newest (edge.alarms.repeats).
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.alarms.states import RANK, Alarm, S
from edge.detectors.base import Detection
from protocols.wire import AlarmKind, Priority


@dataclass(frozen=True, slots=True)
class Moment:
    """How far apart two detections may be and still be about one thing, in seconds; `source` says why so far. `most_s`
    is how far it may become in a row of one device; None where repetitions are one condition that goes on.
    """

    within_s: float
    source: str
    most_s: float | None = None

    def in_row_s(self, row: int) -> float:
        """The time for a device of which `row` alarms are open."""
        if self.most_s is None:
            return self.within_s
        return min(self.within_s * 2.0 ** min(max(row - 1, 0), 30), self.most_s)


_K = AlarmKind
_DAY_S = 86_400.0
SAME_KIND: dict[AlarmKind, Moment] = {
    _K.FALL: Moment(
        120.0, "own choice: a tumble, the try to rise, and a radar that confirms after up to a minute", most_s=3600.0
    ),
    _K.SOS: Moment(60.0, "own choice: presses in one breath; a press later says that nobody has come"),
    _K.VITALS: Moment(3600.0, "NEWS2 (RCP 2017): at a score of 5 or more the next observation is due within the hour"),
    _K.INACTIVITY: Moment(3600.0, "own choice: one silence, as the rhythm, the bathroom and the bed each see it"),
    _K.WANDERING: Moment(3600.0, "own choice: the door that nobody came back by, and the way walked since"),
    _K.GEOFENCE: Moment(1800.0, "own choice: the longest gap between fixes of one stay outside"),
    _K.BED_EXIT: Moment(3600.0, "own choice: the longest usual exit of a night"),
    _K.SMOKE: Moment(300.0, "own choice: smoke in the next room within minutes is one fire; later it has spread"),
    _K.GAS: Moment(300.0, "own choice: as smoke"),
    _K.CO: Moment(300.0, "own choice: as smoke"),
    _K.FLOOD: Moment(1800.0, "own choice: water takes its time from one sensor to the next"),
    _K.HEAT: Moment(6 * 3600.0, "own choice: the rooms of a home warm up together; as long as the lowest level holds"),
    _K.COLD: Moment(6 * 3600.0, "own choice: as heat"),
    _K.STOVE: Moment(2700.0, "own choice: from the first notice to the second of one stove"),
    _K.UNUSUAL: Moment(3600.0, "own choice: as long as a stretch must be usual again to be over"),
}
"""Detections of one kind. Technical causes are each for themselves and not here."""

TAKES_UP: dict[AlarmKind, dict[AlarmKind, Moment]] = {
    _K.FALL: {
        _K.BED_EXIT: Moment(2 * 3600.0, "own choice: the longest exit that the bed's detector waits for"),
        _K.INACTIVITY: Moment(_DAY_S / 2, "own choice: the fixed limit of a silence; who lies on the floor is still"),
    },
    _K.GEOFENCE: {_K.WANDERING: Moment(2 * 3600.0, "own choice: who has left and has not been brought back walks on")},
    _K.SMOKE: {_K.STOVE: Moment(2700.0, "own choice: the stove that it comes from")},
    _K.GAS: {_K.STOVE: Moment(2700.0, "own choice: as smoke")},
}
"""Kind of an open alarm → what else is further evidence of it: who has fallen is out of bed and still."""


def moment(open_kind: AlarmKind, kind: AlarmKind) -> Moment | None:
    """The moment of a detection of `kind` and an open alarm of `open_kind`; None if the two have nothing in common."""
    return SAME_KIND.get(kind) if open_kind is kind else TAKES_UP.get(open_kind, {}).get(kind)


def same_moment(alarm: Alarm, detection: Detection, priority: Priority, row: int = 1) -> bool:
    """Whether a detection, of this priority in this home, is more of an open alarm of the resident; of its kind its
    device has opened `row` that are open.
    """
    known = moment(alarm.kind, detection.kind)
    if known is None:
        return False
    within_s = known.in_row_s(row if alarm.device == detection.device else 1)
    if alarm.state is S.PENDING or abs(detection.at - alarm.at) <= within_s:
        return True
    return RANK[priority] > RANK[alarm.priority] and _goes_on(alarm, detection)


def takes_up(detection: Detection, alarm: Alarm) -> bool:
    """Whether an open alarm of another kind would have been evidence of this detection, had it come after it."""
    known = TAKES_UP.get(detection.kind, {}).get(alarm.kind)
    return known is not None and abs(detection.at - alarm.at) <= known.within_s


def _goes_on(alarm: Alarm, detection: Detection) -> bool:
    """The same detector of the same device, which has not said that it is over."""
    told = {(e.detector, e.device) for e in alarm.evidence}
    return detection.device in alarm.sources and any((e.detector, e.device) in told for e in detection.evidence)
