"""A fall behind whose impact the gateway lost its power: kept at once, and judged by what comes after the restart."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from edge.detectors.base import Detection
from edge.detectors.fall import FallDetector
from edge.detectors.fall_features import NAMES
from edge.detectors.fall_model import LEAF, FallModel
from edge.detectors.fall_power_cut import MOST_AWAY_S, SOONEST_REST
from edge.readings import BodyPosition, Sensitivity, SignalFrame
from tests.edge.detectors import fall_physics as physics

_SIGNAL, _IMPACT = physics.fall(after_s=12)
_FRAMES = physics.frames(_SIGNAL)


def _fed(detector: FallDetector, frames: list[SignalFrame]) -> list[Detection]:
    return [d for frame in frames for d in detector.on_frame(frame)]


def _until_urgent(frames: list[SignalFrame]) -> tuple[FallDetector, int]:
    """A detector that has heard the frames up to the one with which it has something to keep, and their number."""
    detector = FallDetector("w", BodyPosition.WAIST)
    for n, frame in enumerate(frames):
        assert detector.on_frame(frame) == []
        if detector.urgent() is not None:
            return detector, n + 1
    raise AssertionError("nothing to keep")


def _restarted(detector: FallDetector) -> FallDetector:
    again = FallDetector("w", BodyPosition.WAIST)
    again.restore(json.loads(json.dumps(detector.state(), allow_nan=False)))
    assert again.urgent() is not None
    return again


def _later(frames: list[SignalFrame], seconds: float, lost: int = 6) -> list[SignalFrame]:
    """The frames as they come when the gateway is back: so much later, `lost` of their numbers never heard."""
    return [replace(f, at=f.at + seconds, seq=f.seq + lost) for f in frames]


def test_an_impact_is_urgent_until_it_is_judged() -> None:
    """From the frame that holds it; a stronger one in the same tumble is another."""
    detector, n = _until_urgent(_FRAMES)
    assert (n - 1) / 2 <= _IMPACT < n / 2
    known = detector.urgent()
    found = _fed(detector, _FRAMES[n : n + 5])
    assert (found, detector.urgent()) == ([], known)
    assert len(_fed(detector, _FRAMES[n + 5 :])) == 1
    assert detector.urgent() is None
    stronger = np.concatenate((_SIGNAL[: round((_IMPACT + 0.4) * 50)], physics.impact(50, physics.LYING, 9.0)))
    frames = physics.frames(stronger, frame_s=0.1)
    detector, n = _until_urgent(frames)
    first = detector.urgent()
    _fed(detector, frames[n:])
    assert detector.urgent() not in (None, first)


@pytest.mark.parametrize("movement", [physics.walking_on, physics.lying_down, physics.bent_to_the_floor])
def test_what_is_no_strong_impact_is_not_kept(movement: Callable[[], physics.Signal]) -> None:
    """Steps and going to bed write nothing to flash; neither does a device in other units."""
    detector = FallDetector("w", BodyPosition.WAIST)
    for signal in (movement(), _SIGNAL * 9.80665):
        for frame in physics.frames(signal, scale_g=1e9):
            detector.on_frame(frame)
            assert detector.urgent() is None


@pytest.mark.parametrize("away_s", [2.5, 20.0, MOST_AWAY_S - 5, -3_000.0])
def test_who_still_lies_after_the_restart_has_fallen(away_s: float) -> None:
    """The seconds after the restart stand in for those that are lost, also when the clock came back older; the alarm
    says so, and is less sure.
    """
    detector, n = _until_urgent(_FRAMES)
    (found,) = _fed(_restarted(detector), _later(_FRAMES[n:], away_s))
    assert found.at == pytest.approx(1e9 + _IMPACT, abs=0.1)
    (sure,) = _fed(FallDetector("w", BodyPosition.WAIST), _FRAMES)
    assert found.reason == "impact_before_power_cut"
    assert found.evidence[0].numbers.get("away_s") == (pytest.approx(away_s, 0.1) if away_s > 0 else None)
    assert 0.2 < found.confidence <= 0.5 < sure.confidence


def test_stillness_of_the_join_is_no_watch_put_down() -> None:
    """A model that takes what is still at once for a device alone: across a cut nobody knows, so it does not say so."""
    only = FallModel(
        feature=np.array([NAMES.index("still_after"), LEAF, LEAF], dtype=np.uint8),
        limit=np.array([SOONEST_REST - 1, -1, 1], dtype=np.float32),
        left=np.array([1, 1, 2], dtype=np.uint16),
        roots=np.zeros(1, dtype=np.uint32),
        depth=1,
        base=0.0,
        thresholds=dict.fromkeys(Sensitivity, 0.5),
    )
    assert _fed(FallDetector("w", BodyPosition.WRIST, models=[only]), _FRAMES) == []
    cut = _FRAMES[: round(_IMPACT * 2) + 1]
    kept = FallDetector("w", BodyPosition.WRIST, models=[only])
    assert _fed(kept, cut) == []
    again = FallDetector("w", BodyPosition.WRIST, models=[only])
    again.restore(json.loads(json.dumps(kept.state())))
    (found,) = _fed(again, _later(_FRAMES[len(cut) :], 20.0))
    assert found.reason == "impact_before_power_cut"


@pytest.mark.parametrize("away_s", [600.0, -100_000.0])
def test_who_is_back_too_late_is_not_judged(away_s: float) -> None:
    """What somebody does ten minutes later says nothing of the impact."""
    detector, n = _until_urgent(_FRAMES)
    again = _restarted(detector)
    assert _fed(again, _later(_FRAMES[n:], away_s)) == []
    assert (again.counts["broken"], again.urgent()) == (1, None)


def test_who_walks_after_the_restart_has_not_fallen_badly() -> None:
    """Up and about again: nothing is raised."""
    detector, n = _until_urgent(_FRAMES)
    walking = physics.frames(physics.walking_on(), at=_FRAMES[n].at + 30, seq=n + 60)
    assert _fed(_restarted(detector), walking) == []


@pytest.mark.parametrize("movement", [physics.sitting_down, physics.jumping], ids=lambda m: m.__name__)
@pytest.mark.parametrize("position", [BodyPosition.WAIST, BodyPosition.WRIST])
def test_what_is_no_fall_is_none_across_a_power_cut(
    movement: Callable[[], physics.Signal], position: BodyPosition
) -> None:
    """Wherever the power goes, for four seconds, a bump into a chair or a jump raises nothing."""
    frames = physics.frames(movement())
    for cut in range(10, len(frames) - 10, 3):
        first, second = FallDetector("w", position), FallDetector("w", position)
        assert _fed(first, frames[:cut]) == []
        second.restore(json.loads(json.dumps(first.state())))
        assert _fed(second, frames[cut + 8 :]) == []


def test_a_second_power_cut_before_the_judgement() -> None:
    """Again before enough signal came: the fall is still judged, once, by what comes after the second."""
    detector, n = _until_urgent(_FRAMES)
    again = _restarted(detector)
    assert _fed(again, _later(_FRAMES[n : n + 3], 15.0)) == []
    found = _fed(_restarted(again), _later(_FRAMES[n + 3 :], 40.0, 70))
    assert [d.at for d in found] == pytest.approx([1e9 + _IMPACT], abs=0.1)


def test_what_the_wearable_sends_again_is_judged_as_ever() -> None:
    """Frames that waited in the broker or in the wearable continue the kept signal: no doubt is added."""
    detector, n = _until_urgent(_FRAMES)
    (found,) = _fed(_restarted(detector), _FRAMES[n:])
    assert found.reason == "impact_posture_stillness"


def test_a_hole_without_a_restart_is_not_bridged() -> None:
    """Excerpts and lost radio have nothing to do with each other: as before, such an impact is given up."""
    detector, n = _until_urgent(_FRAMES)
    assert _fed(detector, _later(_FRAMES[n:], 20.0)) == []
    assert detector.counts["broken"] == 1


@pytest.mark.parametrize("wrong", [{"row": 10_000}, {"rows": [[1.0, None, 0.0]]}, {"times": [0.0]}, {"index": "x"}])
def test_a_foreign_cut_is_refused(wrong: dict[str, object]) -> None:
    """A broken part of a state leaves the detector as it was."""
    detector, n = _until_urgent(_FRAMES)
    again = _restarted(detector)
    _fed(again, _later(_FRAMES[n : n + 1], 15.0))
    state = again.state()
    state["signal"]["cut"] |= wrong
    fresh = FallDetector("w", BodyPosition.WAIST)
    with pytest.raises(ValueError):  # noqa: PT011 -- texts differ by what is wrong
        fresh.restore(state)
    assert len(_fed(fresh, _FRAMES)) == 1
