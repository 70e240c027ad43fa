"""Falls from the acceleration of one wearable: an impact, a changed posture, then stillness."""

from __future__ import annotations

from collections import Counter

import numpy as np

from edge.detectors.base import Detection
from edge.detectors.fall_model import AFTER, BEFORE, RATE_HZ, SHORTEST_BEFORE, WAIST, WRIST, FallFeatures, features
from edge.readings import BodyPosition, SignalFrame
from edge.windows import StreamingWindow
from protocols.wire import AlarmKind, Evidence, Excerpt, Priority

LOWEST_RATE_HZ = 15.0
HIGHEST_RATE_HZ = 1_000.0
AXES = ("ax", "ay", "az")
REFRACTORY_S = 10.0
"""After a fall was reported, impacts of the same tumble are not reported again for this long."""

_NEIGHBOURHOOD = 50
_WINDOW_S = 12.0


class FallDetector:
    """Looks at every impact of one wearable 2.5 s after it happened, however the signal is cut into frames.

    An impact is the largest magnitude within a second either side. `counts` holds what was looked at: `impact`,
    `broken` (signal missing around it), and frames that could not be used: `unusable_rate`, `unusable_channels`.
    """

    def __init__(self, device: str, position: BodyPosition) -> None:
        self._device = device
        self._position = position
        self._model = WAIST if position is BodyPosition.WAIST else WRIST
        self._window = StreamingWindow(RATE_HZ, _WINDOW_S, AXES)
        self._next = 0
        self._quiet_until = float("-inf")
        self.counts: Counter[str] = Counter()

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one frame; returns the falls whose two and a half seconds after the impact are now complete."""
        if not LOWEST_RATE_HZ <= frame.rate_hz <= HIGHEST_RATE_HZ:
            self.counts["unusable_rate"] += 1
            return []
        if not set(AXES) <= set(frame.channels):
            self.counts["unusable_channels"] += 1
            return []
        self._window.push(frame)
        first = max(self._next, self._window.first + SHORTEST_BEFORE)
        stop = self._window.total - AFTER
        self._next = max(stop, self._next)
        if stop <= first:
            return []
        return [found for i in self._impacts(first, stop) if (found := self._judge(i)) is not None]

    def _impacts(self, first: int, stop: int) -> list[int]:
        start = max(self._window.first, first - _NEIGHBOURHOOD)
        rows = self._window.view(start, stop + _NEIGHBOURHOOD)
        magnitude = np.linalg.norm(rows, axis=1)
        magnitude[np.isnan(magnitude)] = 0.0
        high = np.flatnonzero(magnitude >= self._model.lowest_peak_g) + start
        found: list[int] = []
        for i in high[(high >= first) & (high < stop)]:
            around = magnitude[max(0, i - start - _NEIGHBOURHOOD) : i - start + _NEIGHBOURHOOD + 1]
            if magnitude[i - start] == around.max() and not (found and i - found[-1] <= _NEIGHBOURHOOD):
                found.append(int(i))
        return found

    def _judge(self, impact: int) -> Detection | None:
        start = max(self._window.first, impact - BEFORE)
        rows = self._window.view(start, impact + AFTER)
        at = float(self._window.times(impact, impact + 1)[0])
        self.counts["impact"] += 1
        if bool(np.isnan(rows).any()):
            self.counts["broken"] += 1
            return None
        figures = features(rows, impact - start)
        probability = self._model.probability(figures)
        if probability < self._model.threshold or at < self._quiet_until:
            return None
        self._quiet_until = at + REFRACTORY_S
        excerpt = Excerpt(
            at=float(self._window.times(start, start + 1)[0]),
            rate_hz=float(RATE_HZ),
            unit="g",
            channels=list(AXES),
            samples=np.round(rows, 3).tolist(),
        )
        return self._detection(at, probability, figures, excerpt)

    def _detection(self, at: float, probability: float, figures: FallFeatures, excerpt: Excerpt) -> Detection:
        numbers = {
            "peak_g": round(float(np.exp(figures.peak)), 2),
            "lowest_before_g": round(figures.dip, 2),
            "posture_change_deg": round(figures.posture * 90, 0),
            "spread_after_g": round(float(np.exp(figures.stillness)) - 0.01, 3),
            "confidence": round(probability, 3),
        }
        evidence = Evidence(
            detector=f"fall_{self._position}",
            device=self._device,
            at=at,
            reason="impact_posture_stillness",
            numbers=numbers,
            excerpt=excerpt,
        )
        return Detection(AlarmKind.FALL, Priority.HIGH, at, self._device, evidence.reason, probability, (evidence,))
