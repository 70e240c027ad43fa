"""Falls from the acceleration of one wearable: an impact, what came before, and what follows.

Theory of operation. ImpactFinder hands on every impact with the three seconds before and after it; `features` measures
them; the position's model scores them; a score at the threshold of the resident's sensitivity is a fall. Where the
position is unknown every model is asked, and one that says so is enough. Getting up
again within those three seconds lowers the score, so such an impact is withdrawn before anybody hears of it. A device
that falls silent after an impact is judged by what it had sent (`on_tick`). An impact behind which the gateway lost its
power is judged by what comes after the restart (edge.detectors.fall_power_cut), more readily and with less confidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.detectors.base import Detection
from edge.detectors.fall_features import NAMES, RATE_HZ, features
from edge.detectors.fall_impacts import AXES, Impact, ImpactFinder
from edge.detectors.fall_model import FallModel, models_for
from edge.detectors.fall_power_cut import rest_unseen
from edge.readings import BodyPosition, Sensitivity, SignalFrame
from protocols.wire import AlarmKind, Evidence, Excerpt, Priority

STATE_VERSION: Final = 1
REFRACTORY_S: Final = 15.0
"""After a fall was reported, impacts of the same tumble are not reported again for this much signal."""
APART_S: Final = 30.0
"""What comes later than this by the clock is reported, however little signal lay between: a wearable that sends
excerpts only can have sent two falls of different days one behind the other. Own choice."""
DOUBT_AFTER_CUT: Final = 0.5
"""Confidence in a fall that is judged across a power cut, as a share of what it would be otherwise. Own choice."""
AFTER_CUT: Final = Sensitivity.HIGH
"""What is judged across a power cut is judged at this step: such impacts are few, and the resident is asked."""
SILENT_S: Final = 4.0
"""A wearable that sent nothing for so long has broken off: what waited for more signal is judged without it."""


class FallDetector:
    """Judges every impact of one wearable 3.3 s after it happened, however the signal is cut into frames.

    `models` replace those that ship for `position`: one that says so is enough. `counts`: see
    ImpactFinder; and `quiet` (a fall so soon after another that it is the same).
    """

    def __init__(
        self,
        device: str,
        position: BodyPosition,
        sensitivity: Sensitivity = Sensitivity.NORMAL,
        models: Sequence[FallModel] | None = None,
    ) -> None:
        self._device = device
        self._position = position
        self.models = models_for(position) if models is None else tuple(models)
        self._sensitivity = sensitivity
        self._finder = ImpactFinder()
        self._quiet_until, self._reported_at = 0, math.inf
        self._strong = self._may_fall = -1
        self._silent_since: float | None = None
        self._waiting = False

    @property
    def counts(self) -> Counter[str]:
        """What was looked at and left out."""
        return self._finder.counts

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one frame; returns the falls that it makes certain."""
        self._waiting, self._silent_since = True, None
        found = self._judged(self._finder.push(frame))
        self._look_at_strong()
        return found

    def on_tick(self, now: float) -> list[Detection]:
        """Called several times a second; returns falls after which the wearable fell silent."""
        if not self._waiting:
            return []
        if self._silent_since is None or now < self._silent_since:
            self._silent_since = now
        if now - self._silent_since < SILENT_S:
            return []
        self._waiting = False
        return self._judged(self._finder.flush())

    def urgent(self) -> int | None:
        """A number while an impact that may be a fall waits for its judgement, another for another (base.Urgent)."""
        strong = self._finder.unjudged()
        return strong if strong is not None and (self._finder.cut or self._may_fall == strong) else None

    def state(self) -> dict[str, Any]:
        """The last seconds of signal and what was reported, so that a restart in the middle of a fall loses nothing."""
        reported_at = self._reported_at if math.isfinite(self._reported_at) else None
        signal = self._finder.state()
        return {"v": STATE_VERSION, "quiet_until": self._quiet_until, "reported_at": reported_at, "signal": signal}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up a state. Raises ValueError if it is none of this version; then nothing changed."""
        if state.get("v") != STATE_VERSION:
            raise ValueError(f"a state of version {state.get('v')!r}, this software reads {STATE_VERSION}")
        finder = ImpactFinder()
        try:
            quiet_until, reported_at = int(state["quiet_until"]), state.get("reported_at")  # older states have none
            reported_at = math.inf if reported_at is None else float(reported_at)
            finder.restore(state["signal"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"no state of a fall detector: {error}") from None
        self._finder, self._quiet_until, self._reported_at = finder, quiet_until, reported_at
        self._strong = self._may_fall = -1
        self._look_at_strong()
        self._waiting, self._silent_since = True, None

    def _look_at_strong(self) -> None:
        """Of a new strong impact: would it be a fall if the person lay still from now on?"""
        strong = self._finder.unjudged()
        if strong is None or strong == self._strong or self._finder.cut:
            return
        self._strong = strong
        lying = self._finder.lying(strong)
        if lying is not None and self._confidence(features(*lying), self._sensitivity) is not None:
            self._may_fall = strong

    def _confidence(self, figures: NDArray[np.float64], step: Sensitivity) -> float | None:
        """Of the surest model; None if none calls it a fall."""
        sure = [m.confidence(s) for m in self.models if (s := m.score(figures)) >= m.thresholds[step]]
        return max(sure, default=None)

    def _judged(self, impacts: Iterable[Impact]) -> list[Detection]:
        return [found for impact in impacts if (found := self._judge(impact)) is not None]

    def _judge(self, impact: Impact) -> Detection | None:
        figures, step = features(impact.rows, impact.row), self._sensitivity
        if impact.away_s is not None:
            figures, step = rest_unseen(figures), AFTER_CUT
        if (sure := self._confidence(figures, step)) is None:
            return None
        if impact.index < self._quiet_until and impact.at < self._reported_at + APART_S:
            self.counts["quiet"] += 1
            return None
        self._quiet_until, self._reported_at = impact.index + round(REFRACTORY_S * RATE_HZ), impact.at
        confidence = sure * (1.0 if impact.away_s is None else DOUBT_AFTER_CUT)
        return self._detection(impact, confidence, dict(zip(NAMES, figures, strict=True)))

    def _detection(self, impact: Impact, confidence: float, figures: dict[str, float]) -> Detection:
        numbers = {
            "peak_g": round(float(np.exp(figures["peak"])), 2),
            "lowest_before_g": round(float(figures["dip"]), 2),
            "posture_change_deg": round(float(figures["posture"]), 0),
            "spread_after_g": round(float(np.exp(figures["after_spread"])) - 0.01, 3),
            "confidence": round(confidence, 3),
        }
        if impact.away_s is not None and impact.away_s > 0:
            numbers["away_s"] = round(impact.away_s, 1)
        evidence = Evidence(
            detector=f"fall_{self._position}",
            device=self._device,
            at=impact.at,
            reason="impact_posture_stillness" if impact.away_s is None else "impact_before_power_cut",
            numbers=numbers,
            excerpt=_excerpt(impact.start_at, impact.rows),
        )
        return Detection(
            AlarmKind.FALL, Priority.HIGH, impact.at, self._device, evidence.reason, confidence, (evidence,)
        )


def _excerpt(start_at: float, rows: NDArray[np.float64]) -> Excerpt:
    return Excerpt(
        at=start_at,
        rate_hz=float(RATE_HZ),
        unit="g",
        channels=list(AXES),
        samples=np.round(rows, 3).tolist(),
    )
