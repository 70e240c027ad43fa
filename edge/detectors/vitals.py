"""Vital signs that ask for help: NEWS2 over the freshest readings, held long enough to be believed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from edge.detectors.base import Detection
from edge.detectors.news2 import Observation, Risk, Score, Sign, score
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Priority

CONTINUOUS_MAX_AGE_S = 300.0
SPOT_MAX_AGE_S = 4 * 3600.0
"""A blood pressure or temperature stands for this long; a pulse or saturation only for five minutes."""

_SIGNS: dict[str, tuple[Sign, float, float, float]] = {
    "respiration_rate": (Sign.RESPIRATION, CONTINUOUS_MAX_AGE_S, 3, 70),
    "spo2": (Sign.SPO2, CONTINUOUS_MAX_AGE_S, 50, 100),
    "heart_rate": (Sign.PULSE, CONTINUOUS_MAX_AGE_S, 20, 250),
    "systolic": (Sign.SYSTOLIC, SPOT_MAX_AGE_S, 50, 300),
    "body_temperature": (Sign.TEMPERATURE, SPOT_MAX_AGE_S, 28, 43),
}
"""Metric → sign, how long it stands, and what a living person's sensor can plausibly report."""

_LEVELS = {Risk.LOW_MEDIUM: Priority.MEDIUM, Risk.MEDIUM: Priority.MEDIUM, Risk.HIGH: Priority.HIGH}
_REASONS = {
    Risk.LOW_MEDIUM: "news2_single_sign_3",
    Risk.MEDIUM: "news2_5_or_more",
    Risk.HIGH: "news2_7_or_more",
}
_ORDER = (Risk.LOW, Risk.LOW_MEDIUM, Risk.MEDIUM, Risk.HIGH)


@dataclass(slots=True)
class _Latest:
    value: float | bool | str
    at: float
    device: str


class VitalsDetector:
    """Alarms when the score that is certain (NEWS2 with missing signs at their best) stays at a level for `dwell_s`.

    The level must be confirmed by a second reading within the dwell, so that one slipped finger raises nothing. A
    higher level is a new detection; the condition clears when the score has been low for `clear_s`. `counts` names
    readings left out: `implausible`, `stale`.
    """

    def __init__(self, *, spo2_scale_2: bool = False, dwell_s: float = 60.0, clear_s: float = 120.0) -> None:
        self._scale2 = spo2_scale_2
        self._dwell_s = dwell_s
        self._clear_s = clear_s
        self._latest: dict[Sign, _Latest] = {}
        self._since: dict[Risk, tuple[float, int]] = {}
        self._level = Risk.LOW
        self._low_since: float | None = None
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what is no vital sign is ignored."""
        if reading.metric == "oxygen_therapy":
            sign, max_age = Sign.OXYGEN, SPOT_MAX_AGE_S
        elif reading.metric == "consciousness" and reading.value in ("A", "C", "V", "P", "U"):
            sign, max_age = Sign.CONSCIOUSNESS, SPOT_MAX_AGE_S
        elif reading.metric in _SIGNS:
            sign, max_age, low, high = _SIGNS[reading.metric]
            if isinstance(reading.value, bool | str) or not low <= reading.value <= high:
                self.counts["implausible"] += 1
                return []
        else:
            return []
        held = self._latest.get(sign)
        if now - reading.at > max_age or (held is not None and reading.at < held.at <= now):
            self.counts["stale"] += 1
            return []
        self._latest[sign] = _Latest(reading.value, reading.at, reading.device)
        return self._evaluate(now, fresh=True)

    def on_tick(self, now: float) -> list[Detection]:
        """Signs grow stale by themselves."""
        return self._evaluate(now, fresh=False)

    def low_score(self, now: float) -> int:
        """The NEWS2 total that is certain at `now`."""
        return score(self.observation(now)).low

    def observation(self, now: float) -> Observation:
        """The signs that still stand at `now`."""
        ages = {sign: max_age for sign, max_age, _, _ in _SIGNS.values()}
        fresh = {s: v for s, v in self._latest.items() if now - v.at <= ages.get(s, SPOT_MAX_AGE_S)}

        def number(sign: Sign) -> float | None:
            return float(fresh[sign].value) if sign in fresh else None

        oxygen = bool(fresh[Sign.OXYGEN].value) if Sign.OXYGEN in fresh else None
        mind = str(fresh[Sign.CONSCIOUSNESS].value) if Sign.CONSCIOUSNESS in fresh else None
        return Observation(
            respiration=number(Sign.RESPIRATION),
            spo2=number(Sign.SPO2),
            oxygen=oxygen,
            systolic=number(Sign.SYSTOLIC),
            pulse=number(Sign.PULSE),
            consciousness=mind,
            temperature=number(Sign.TEMPERATURE),
            scale2=self._scale2,
        )

    def _evaluate(self, now: float, *, fresh: bool) -> list[Detection]:
        total = score(self.observation(now))
        level = total.risk
        for risk in _ORDER[1:]:
            if _ORDER.index(risk) > _ORDER.index(level):
                self._since.pop(risk, None)
            else:
                since, readings = self._since.get(risk, (now, 0))
                self._since[risk] = (since, readings + fresh)
        held = [r for r, (since, n) in self._since.items() if now - since >= self._dwell_s and n >= 2]
        reached = max(held, key=_ORDER.index, default=Risk.LOW)
        if _ORDER.index(reached) > _ORDER.index(self._level):
            self._level = reached
            return [self._detection(now, total, reached)]
        return self._clear(now, level, total)

    def _clear(self, now: float, level: Risk, total: Score) -> list[Detection]:
        if level is not Risk.LOW or self._level is Risk.LOW:
            self._low_since = None
            return []
        self._low_since = now if self._low_since is None else self._low_since
        if now - self._low_since < self._clear_s:
            return []
        self._level, self._low_since = Risk.LOW, None
        return [self._detection(now, total, Risk.LOW)]

    def _detection(self, now: float, total: Score, level: Risk) -> Detection:
        worst = max(self._latest, key=lambda sign: total.signs[sign][0])
        device = self._latest[worst].device
        numbers = {"news2_low": float(total.low), "news2_high": float(total.high), "missing": float(len(total.missing))}
        numbers |= {f"{s}_score": float(low) for s, (low, high) in total.signs.items() if low == high}
        numbers |= {str(s): float(v.value) for s, v in self._latest.items() if not isinstance(v.value, str)}
        cleared = level is Risk.LOW
        reason = "condition_ended" if cleared else _REASONS[level]
        evidence = Evidence(detector="news2", device=device, at=now, reason=reason, numbers=numbers)
        priority = _LEVELS.get(level, Priority.LOW)
        return Detection(AlarmKind.VITALS, priority, now, device, reason, 1.0, (evidence,), cleared)
