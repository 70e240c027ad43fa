"""Inactivity: a home that is quiet for longer than it ever is at this hour, judged against its own rhythm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from edge.detectors.base import Detection
from edge.detectors.places import Place
from edge.detectors.presence import Presence
from edge.detectors.rhythm import UNKNOWN, Rhythm, Verdict
from edge.readings import Device, Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
FIXED_LIMIT_H = 12.0
"""Without a model, nobody is quiet at home for longer than this."""
JUDGE_EVERY_S = 60.0
LONGEST_TICK_GAP_S = 900.0
"""Ticks further apart mean that the gateway was off or the clock was set: that time was not observed."""
FIXED_SURE = 0.6
"""How sure the fixed limit is by itself (own choice): nobody knows yet how this home lives."""
LEAST_HEARD = 0.5
"""With less of the home's usual activity audible, silence says nothing."""
_CONTEXTS = ("bed", "seat", "bathroom", "bedroom", "other", "out")
_DOOR_SILENCE_S = 5400.0
_DOOR_TIMES = 5
_DOOR_SHARE = 0.6
_DOOR_SPANS_KEPT = 100
_DAY_H = (7, 22)
_WAKING_H = (5, 14)
_BEDTIME_H = 20
"""A silence begun between this hour and the first waking one is taken for sleep, wherever its last sign came from."""


@dataclass(frozen=True, slots=True)
class RoutineProfile:
    """Who lives here. With several residents a closed door does not mean that the home is empty; with pets, motion
    alone is no sign of a person where other sensors exist.
    """

    zone: tzinfo
    residents: int = 1
    pets: bool = False
    false_alarms_per_30_days: float = 1.0


class RoutineDetector:
    """Learns when the home is quiet, and for how long; alarms once per silence that exceeds its budget.

    `counts`: `deaf` (judgements left out because too few sensors are alive), `unobserved` (holes in time), `late`.
    """

    def __init__(self, devices: Iterable[Device], profile: RoutineProfile) -> None:
        self._profile = profile
        self._presence = Presence(devices, pets=profile.pets)
        self._rhythm = Rhythm(
            profile.zone,
            _CONTEXTS,
            budget_per_30_days=profile.false_alarms_per_30_days,
            fixed_h=FIXED_LIMIT_H,
            apart=frozenset({"out"}),
        )
        self._seen: float | None = None
        self._judged = float("-inf")
        self._alarm: str | None = None
        self._bracketed: dict[str, list[tuple[float, float]]] = {}
        self._long_silences = 0
        self.counts: Counter[str] = Counter()

    @property
    def days(self) -> int:
        """Whole days the present model rests on."""
        return self._rhythm.days

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what shows no life only tells that its sensor is alive."""
        self._pass_time(now)
        if not self._presence.shows_life(reading, now):
            return []
        at = min(reading.at, now)
        last = self._presence.last_at
        if last is not None and at < last:
            self.counts["late"] += 1
            return []
        if last is not None:
            self._learn(last, at, reading.device)
        self._presence.enter(reading, at)
        if self._alarm is None or at == last:
            return []
        device, self._alarm = self._alarm, None
        evidence = Evidence(detector="routine", device=device, at=at, reason="condition_ended")
        kind = AlarmKind.INACTIVITY
        return [Detection(kind, Priority.MEDIUM, at, device, evidence.reason, 1.0, (evidence,), cleared=True)]

    def on_tick(self, now: float) -> list[Detection]:
        """Judge the present silence, once a minute."""
        self._pass_time(now)
        if 0 <= now - self._judged < JUDGE_EVERY_S:
            return []
        self._judged = now
        last, context = self._presence.last_at, self._context()
        if last is None or context == UNKNOWN or self._alarm is not None:
            return []
        heard = self._presence.share_heard(now)
        if heard < LEAST_HEARD:
            self.counts["deaf"] += 1
            return []
        verdict = self._rhythm.judge(last, context, now, heard)
        if not verdict.too_long:
            return []
        self._alarm = self._presence.last_device
        return [self._detection(now, context, verdict, heard)]

    def state(self) -> dict[str, Any]:
        """All memory; under 60 KB after 40 days."""
        return {
            "v": VERSION,
            "seen": self._seen,
            "alarm": self._alarm,
            "presence": self._presence.state(),
            "silences": self._rhythm.state(),
            "bracketed": {d: [list(s) for s in spans] for d, spans in sorted(self._bracketed.items())},
            "long_silences": self._long_silences,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"routine: state of version {state.get('v')!r}, this is {VERSION}")
        before = self.state()
        try:
            self._take(state)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            self._take(before)
            raise ValueError(f"routine: not a state: {error!r}") from error

    def _take(self, state: dict[str, Any]) -> None:
        self._presence.restore(state["presence"])
        self._rhythm.restore(state["silences"])
        spans = {str(d): [(float(a), float(b)) for a, b in rows] for d, rows in state["bracketed"].items()}
        seen, alarm = state["seen"], state["alarm"]
        self._bracketed, self._long_silences = spans, int(state["long_silences"])
        self._seen = None if seen is None else float(seen)
        self._alarm = None if alarm is None else str(alarm)

    def _context(self) -> str:
        if self._presence.away:
            return "out" if self._profile.residents > 1 else UNKNOWN
        place = self._presence.place.value
        return place if place in _CONTEXTS else "other"

    def _pass_time(self, now: float) -> None:
        """Hours in which nobody looked, and steps of the clock, are no silence: the silence moves along with them."""
        seen, self._seen = self._seen, now
        if seen is None or 0 <= now - seen <= LONGEST_TICK_GAP_S:
            return
        self.counts["unobserved"] += 1
        if now > seen:
            self._rhythm.learn(seen, now, UNKNOWN)
        self._presence.shift(now - seen)
        self._judged = float("-inf")

    def _learn(self, start: float, end: float, device: str) -> None:
        self._rhythm.learn(start, end, self._context())
        if end - start >= _DOOR_SILENCE_S and not self._presence.doors:
            self._learn_door(start, end, device)

    def _learn_door(self, start: float, end: float, device: str) -> None:
        """Where no name says which door leads outside: it is the one that most long silences of the day begin and
        end with.
        """
        begin, stop = (datetime.fromtimestamp(t, UTC).astimezone(self._profile.zone) for t in (start, end))
        if begin.date() != stop.date() or begin.hour < _DAY_H[0] or stop.hour >= _DAY_H[1]:
            return
        self._long_silences += 1
        if device != self._presence.last_device or device not in self._presence.candidates():
            return
        spans = self._bracketed.setdefault(device, [])
        spans.append((start, end))
        del spans[:-_DOOR_SPANS_KEPT]
        if len(spans) >= max(_DOOR_TIMES, _DOOR_SHARE * self._long_silences):
            self._presence.doors.add(device)
            self._rhythm.forget(spans)
            self._bracketed.clear()

    def _detection(self, now: float, context: str, verdict: Verdict, heard: float) -> Detection:
        numbers = {
            "quiet_h": round(verdict.quiet_h, 2),
            "usual_h": round(verdict.usual_h, 2),
            "excess": round(verdict.excess, 2),
            "limit": round(verdict.limit, 2),
            "share_heard": round(heard, 2),
            "days_known": float(self.days),
        }
        if verdict.chance is not None:
            numbers["chance_per_day"] = round(verdict.chance, 5)
        confidence = numbers["confidence"] = self._confidence(verdict, heard)
        reason = self._reason(now, context, verdict)
        device = self._presence.last_device
        evidence = Evidence(detector="routine", device=device, at=now, reason=reason, numbers=numbers)
        return Detection(AlarmKind.INACTIVITY, Priority.MEDIUM, now, device, reason, confidence, (evidence,))

    def _confidence(self, verdict: Verdict, heard: float) -> float:
        """How sure a silence is no usual one: its chance a day by the model, but no rarer than the days known can show
        (rule of succession, Laplace 1812: one in days + 2), for as much of the home as can be heard.
        """
        if verdict.chance is None:
            return round(FIXED_SURE * heard, 4)
        return round((1 - max(verdict.chance, 1 / (self.days + 2))) * heard, 4)

    def _reason(self, now: float, context: str, verdict: Verdict) -> str:
        if verdict.chance is None:
            return "quiet_beyond_fixed_limit"
        if context == Place.BATHROOM:
            return "bathroom_too_long"
        began, hour = (
            datetime.fromtimestamp(t, UTC).astimezone(self._profile.zone).hour
            for t in (self._presence.last_at or now, now)
        )
        asleep = context in (Place.BED, Place.BEDROOM) or not _WAKING_H[0] <= began < _BEDTIME_H
        return "not_up_yet" if asleep and _WAKING_H[0] <= hour < _WAKING_H[1] else "too_quiet"
