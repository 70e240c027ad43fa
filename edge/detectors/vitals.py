"""Vital signs that ask for help: NEWS2 over the freshest readings, held long enough to be believed.

Confidence: how likely the level is reached although a reading that scores may be false, with a chance that grows with
its age. So several signs that agree are surer than one, points to spare make it surer, and old readings less sure. What
is missing makes no level less sure, since it counts at its best; how much worse it may be is `news2_high`.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from edge.detectors.artefacts import SIGNAL_LOST, Artefact, Artefacts
from edge.detectors.base import Detection
from edge.detectors.news2 import ORDER, Observation, Risk, Score, Sign, holds, score
from edge.readings import Reading
from protocols.wire import AlarmKind, Evidence, Priority

VERSION = 1
CONTINUOUS_MAX_AGE_S = 300.0
SPOT_MAX_AGE_S = 4 * 3600.0
"""A blood pressure or temperature stands for this long: at a score of 1 to 4 the next is due after 4 to 6 hours (RCP
2017). A pulse or saturation only for five minutes. That, the dwell and the time to clear are own choice: at a bedside
the score is taken once and not held."""

_SIGNS: dict[str, tuple[Sign, bool]] = {
    "respiration_rate": (Sign.RESPIRATION, True),
    "spo2": (Sign.SPO2, True),
    "heart_rate": (Sign.PULSE, True),
    "systolic": (Sign.SYSTOLIC, False),
    "body_temperature": (Sign.TEMPERATURE, False),
}
"""Metric → sign, and whether it is measured continuously."""

_LEVELS = {Risk.LOW_MEDIUM: Priority.MEDIUM, Risk.MEDIUM: Priority.MEDIUM, Risk.HIGH: Priority.HIGH}
_REASONS = {
    Risk.LOW_MEDIUM: "news2_single_sign_3",
    Risk.MEDIUM: "news2_5_or_more",
    Risk.HIGH: "news2_7_or_more",
}
FALSE_NEW, FALSE_OLD = 0.05, 0.25
"""Chance that a believed reading is false: of a new one, and of one that is about to be stale. Own choice; of the
alarms on charted stays 0.6 % hang on an artefact (docs/results/vitals_charts.json), but at home no nurse looks."""


@dataclass(slots=True)
class _Latest:
    value: float | bool | str
    at: float
    device: str


class VitalsDetector:
    """Alarms when the score that is certain (NEWS2 with missing signs at their best) stays at a level for `dwell_s`.

    The level must be confirmed by a second reading within the dwell, so that one slipped finger raises nothing; a
    dropout of a sign begins the dwell anew. A
    higher level is a new detection; the condition clears when the score has been low for `clear_s` and the signs that
    scored are measured again: an oximeter that fell off is no recovery, though the next low value is a new detection.
    A continuous sign stands for `max_age_s`; raise it for charts that are kept by the hour. `counts` names readings
    left out: `stale`, and the artefacts of edge.detectors.artefacts.
    """

    def __init__(
        self,
        *,
        spo2_scale_2: bool = False,
        dwell_s: float = 60.0,
        clear_s: float = 120.0,
        max_age_s: float = CONTINUOUS_MAX_AGE_S,
    ) -> None:
        self._scale2 = spo2_scale_2
        self._dwell_s = dwell_s
        self._clear_s = clear_s
        self._ages = {sign: max_age_s if continuous else SPOT_MAX_AGE_S for sign, continuous in _SIGNS.values()}
        self._longest_gap_s = max_age_s
        self._artefacts = Artefacts()
        self._latest: dict[Sign, _Latest] = {}
        self._since: dict[Risk, tuple[float, int]] = {}
        self._level = Risk.LOW
        self._device = ""
        self._awaited: set[Sign] = set()
        self._low_since: float | None = None
        self._now: float | None = None
        self.counts: Counter[str] = Counter()

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; what is no vital sign is ignored."""
        self._pass_time(now)
        sign = self._sign(reading, now)
        if sign is None:
            return []
        held = self._latest.get(sign)
        max_age = self._ages.get(sign, SPOT_MAX_AGE_S)
        if not now - reading.at <= max_age or (held is not None and reading.at < held.at <= now):
            self.counts["stale"] += 1
            return []
        self._latest[sign] = _Latest(reading.value, min(reading.at, now), reading.device)
        return self._evaluate(now, fresh=True)

    def on_tick(self, now: float) -> list[Detection]:
        """Signs grow stale by themselves."""
        self._pass_time(now)
        return self._evaluate(now, fresh=False)

    def low_score(self, now: float) -> int:
        """The NEWS2 total that is certain at `now`."""
        return self.range_at(now).low

    def range_at(self, now: float) -> Score:
        """The range the NEWS2 total lies in at `now`."""
        return score(self.observation(now))

    def observation(self, now: float) -> Observation:
        """The signs that still stand at `now`."""
        fresh = {s: v.value for s, v in self._latest.items() if now - v.at <= self._ages.get(s, SPOT_MAX_AGE_S)}

        def number(sign: Sign) -> float | None:
            return float(fresh[sign]) if sign in fresh else None

        oxygen = bool(fresh[Sign.OXYGEN]) if Sign.OXYGEN in fresh else None
        mind = str(fresh[Sign.CONSCIOUSNESS]) if Sign.CONSCIOUSNESS in fresh else None
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

    def state(self) -> dict[str, Any]:
        """All memory, as plain values."""
        return {
            "v": VERSION,
            "artefacts": self._artefacts.state(),
            "latest": {s.value: [v.value, v.at, v.device] for s, v in sorted(self._latest.items())},
            "since": {r.value: list(since) for r, since in self._since.items()},
            "level": self._level.value,
            "device": self._device,
            "awaited": sorted(self._awaited),
            "low_since": self._low_since,
            "now": self._now,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none; then nothing changed."""
        if state.get("v") != VERSION:
            raise ValueError(f"vitals: state of version {state.get('v')!r}, this is {VERSION}")
        artefacts = Artefacts()
        try:
            artefacts.restore(state["artefacts"])
            latest = {Sign(s): _Latest(_value(v), _time(at), str(d)) for s, (v, at, d) in state["latest"].items()}
            since = {Risk(r): (_time(at), int(n)) for r, (at, n) in state["since"].items()}
            level, device = Risk(state["level"]), str(state.get("device", ""))
            awaited = {Sign(sign) for sign in state.get("awaited", ())}
            low, now = (None if t is None else _time(t) for t in (state["low_since"], state["now"]))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"vitals: not a state: {error!r}") from error
        self._artefacts, self._latest, self._since, self._level = artefacts, latest, since, level
        self._low_since, self._now, self._device, self._awaited = low, now, device, awaited

    def _sign(self, reading: Reading, now: float) -> Sign | None:
        """The sign a reading says something about; None if it is none, or not believed."""
        metric, value = reading.metric, reading.value
        if metric == "oxygen_therapy":
            return Sign.OXYGEN if isinstance(value, bool) else None
        if metric == "consciousness":
            return Sign.CONSCIOUSNESS if value in ("A", "C", "V", "P", "U") else None
        if metric not in _SIGNS and metric != "diastolic":
            self._artefacts.note(reading)
            self._distrust(reading)
            return None
        refused = self._artefacts.judge(reading, now)
        if refused is None:
            return _SIGNS[metric][0] if metric in _SIGNS else None
        self.counts[refused.value] += 1
        if refused in SIGNAL_LOST and metric in _SIGNS and _SIGNS[metric][0] in self._latest:
            self._since.clear()  # a signal that comes and goes proves no dwell
        held = self._latest.get(Sign.SYSTOLIC)
        if metric == "diastolic" and held is not None and held.device == reading.device and held.at == reading.at:
            del self._latest[Sign.SYSTOLIC]  # the same measurement failed
            self._since.clear()
        return None

    def _distrust(self, reading: Reading) -> None:
        """A perfusion that comes after its own saturation takes the saturation back."""
        held = self._latest.get(Sign.SPO2)
        if reading.metric != "perfusion_index" or held is None or held.device != reading.device:
            return
        if held.at == reading.at and self._artefacts.weak(reading.device, reading.at):
            self.counts[Artefact.PERFUSION.value] += 1
            del self._latest[Sign.SPO2]
            self._since.clear()

    def _pass_time(self, now: float) -> None:
        """A clock that stepped, or hours in which the gateway was off, prove no dwell: what waits begins anew."""
        before, self._now = self._now, now
        if before is None or 0 <= now - before <= self._longest_gap_s:
            return
        self._since.clear()
        self._low_since = None
        if now < before:
            self._latest = {s: _Latest(v.value, min(v.at, now), v.device) for s, v in self._latest.items()}

    def _evaluate(self, now: float, *, fresh: bool) -> list[Detection]:
        total = score(self.observation(now))
        level = total.risk
        for risk in ORDER[1:]:
            if ORDER.index(risk) > ORDER.index(level):
                self._since.pop(risk, None)
            else:
                since, readings = self._since.get(risk, (now, 0))
                self._since[risk] = (since, readings + fresh)
        held = [r for r, (since, n) in self._since.items() if now - since >= self._dwell_s and n >= 2]
        reached = max(held, key=ORDER.index, default=Risk.LOW)
        if ORDER.index(reached) > ORDER.index(self._level):
            self._level = reached
            self._awaited |= {s for s, (low, _) in total.signs.items() if low > 0 and s is not Sign.OXYGEN}
            return [self._detection(now, total, reached)]
        return self._clear(now, level, total)

    def _clear(self, now: float, level: Risk, total: Score) -> list[Detection]:
        """Low for long enough: the next danger is a new one. It has ended once every sign that scored is measured."""
        if level is not Risk.LOW or (self._level is Risk.LOW and not self._awaited):
            self._low_since = None
            return []
        self._low_since = now if self._low_since is None else self._low_since
        if now - self._low_since < self._clear_s:
            return []
        self._level, self._low_since = Risk.LOW, None
        self._awaited &= set(total.missing)
        return [] if self._awaited else [self._detection(now, total, Risk.LOW)]

    def _detection(self, now: float, total: Score, level: Risk) -> Detection:
        cleared = level is Risk.LOW
        if not cleared:
            worst = max(self._latest, key=lambda sign: (total.signs[sign][0], sign.value))
            self._device = self._latest[worst].device
        device, numbers, sure = self._device, self._numbers(now, total), 1.0
        if not cleared:
            numbers["confidence"] = sure = self._sure(now, total, level)
        evidence = Evidence(
            detector="news2",
            device=device,
            at=now,
            reason="condition_ended" if cleared else _REASONS[level],
            numbers=numbers,
        )
        priority = _LEVELS.get(level, Priority.LOW)
        return Detection(AlarmKind.VITALS, priority, now, device, evidence.reason, sure, (evidence,), cleared)

    def _sure(self, now: float, total: Score, level: Risk) -> float:
        """How likely the level is reached, of 1."""
        wrong = {}
        for sign, (low, _) in total.signs.items():
            if low > 0 and sign not in total.missing:
                age = (now - self._latest[sign].at) / self._ages.get(sign, SPOT_MAX_AGE_S)
                wrong[sign] = FALSE_NEW + (FALSE_OLD - FALSE_NEW) * min(max(age, 0.0), 1.0)
        return round(holds(self.observation(now), level, wrong), 3)

    def _numbers(self, now: float, total: Score) -> dict[str, float]:
        """The range, each sign's value and score; of the others, how old the last value is or that there is none."""
        numbers = {"news2_low": float(total.low), "news2_high": float(total.high), "missing": float(len(total.missing))}
        numbers |= {f"{s}_score": float(low) for s, (low, high) in total.signs.items() if low == high}
        for sign in Sign:
            held = self._latest.get(sign)
            if sign not in total.missing and held is not None and not isinstance(held.value, str):
                numbers[str(sign)] = float(held.value)
            elif sign in total.missing and held is not None:
                numbers[f"{sign}_stale_s"] = float(round(now - held.at))
            elif sign in total.missing:
                numbers[f"{sign}_missing"] = 1.0
        return numbers


def _value(value: Any) -> float | bool | str:
    return value if isinstance(value, bool | str) else _time(value)


def _time(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r:.40} is not a finite number")
    return float(value)
