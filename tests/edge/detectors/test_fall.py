"""The fall detector on physics and on recordings of real people, cut into frames as a wearable sends them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.detectors.fall import SILENT_S, FallDetector
from edge.readings import BodyPosition, Sensitivity, SignalFrame
from protocols.wire import Evidence
from tests.edge.detectors import fall_physics as physics

POSITIONS = list(BodyPosition)


def _found(frames: list[SignalFrame], position: BodyPosition = BodyPosition.WAIST) -> list[float]:
    detector = FallDetector("w", position)
    return [d.at for frame in frames for d in detector.on_frame(frame)]


def _turned(signal: physics.Signal, seed: int) -> physics.Signal:
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return np.asarray(signal @ (q * np.sign(np.diag(r))))


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize(("rate", "scale_g"), [(15.0, 16.0), (25.0, 4.0), (50.0, 2.0), (50.0, 8.0), (200.0, 16.0)])
def test_a_fall_is_found(position: BodyPosition, rate: float, scale_g: float) -> None:
    """Toppling, impact and lying are one fall at its impact, whatever the sensor's rate and range."""
    signal, impact = physics.fall(rate)
    found = _found(physics.frames(signal, rate, scale_g=scale_g), position)
    assert found == pytest.approx([1e9 + impact], abs=0.2)


@pytest.mark.parametrize("seed", range(4))
def test_the_way_it_is_worn_makes_no_difference(seed: int) -> None:
    """Turned to any side, the same fall is found at the same moment, as surely."""
    signal, _ = physics.fall()
    sure = []
    for worn in (signal, _turned(signal, seed)):
        detector = FallDetector("w", BodyPosition.WAIST)
        sure += [(d.at, d.confidence) for frame in physics.frames(worn) for d in detector.on_frame(frame)]
    assert len(sure) == 2
    assert sure[0] == pytest.approx(sure[1], abs=0.02)


@pytest.mark.parametrize(
    "movement",
    [physics.sitting_down, physics.jumping, physics.bent_to_the_floor, physics.lying_down],
    ids=lambda m: m.__name__,
)
@pytest.mark.parametrize("position", [BodyPosition.WAIST, BodyPosition.WRIST])
def test_what_is_no_fall(movement: Callable[[], physics.Signal], position: BodyPosition) -> None:
    """Sitting down, jumping, bending and going to bed raise nothing."""
    assert _found(physics.frames(movement()), position) == []


def test_getting_up_again_withdraws() -> None:
    """The same fall, but on the feet and walking again within two seconds, is not raised."""
    signal, _ = physics.fall(after_s=0.6)
    up = physics.turning(50, 0.8, physics.LYING, physics.STANDING, np.full(40, 1.0))
    assert _found(physics.frames(np.concatenate((signal, up, physics.walking(50, 10))))) == []


def test_a_tumble_is_one_fall() -> None:
    """A second impact three seconds after the first is the same fall; one a minute later is another."""
    signal, _ = physics.fall(after_s=3.0)
    again = np.concatenate((physics.impact(50, physics.LYING, 4.0), physics.still(50, 20, physics.LYING)))
    assert len(_found(physics.frames(np.concatenate((signal, again))))) == 1
    up = np.concatenate((signal, again, physics.still(50, 40)))
    assert len(_found(physics.frames(np.concatenate((up, physics.fall()[0]))))) == 2


def test_the_evidence_says_why() -> None:
    """Reason, numbers and the signal itself come with a fall, and are valid on the wire."""
    detector = FallDetector("w", BodyPosition.WRIST)
    (found,) = (d for frame in physics.frames(physics.fall()[0]) for d in detector.on_frame(frame))
    (evidence,) = found.evidence
    assert isinstance(evidence, Evidence)
    assert evidence.numbers["peak_g"] == pytest.approx(5.0, abs=0.3)
    assert evidence.numbers["posture_change_deg"] > 60
    assert 0.5 < found.confidence <= 1.0
    assert evidence.excerpt is not None
    peak = int(np.argmax(np.linalg.norm(evidence.excerpt.samples, axis=1)))
    assert evidence.excerpt.at + peak / evidence.excerpt.rate_hz == pytest.approx(found.at, abs=0.03)


def test_more_sensitive_finds_no_less() -> None:
    """A threshold falls from step to step."""
    for position in POSITIONS:
        for model in FallDetector("w", position).models:
            steps = model.thresholds
            assert steps[Sensitivity.LOW] > steps[Sensitivity.NORMAL] > steps[Sensitivity.HIGH]


@pytest.mark.parametrize("frame_s", [10.0, 2.5])
def test_an_excerpt_is_enough(frame_s: float) -> None:
    """A wearable that sends only ten seconds around each peak, with consecutive numbers, hours apart."""
    signal, impact = physics.fall()
    start = round((impact - 5.0) * 50)
    excerpt, calm = signal[start : start + 500], physics.jumping()[:500]
    n = round(10 / frame_s)
    frames = physics.frames(calm, frame_s=frame_s) + physics.frames(excerpt, frame_s=frame_s, at=1e9 + 7200, seq=n)
    assert _found(frames) == pytest.approx([1e9 + 7205.0], abs=0.1)


@pytest.mark.parametrize("later_s", [60.0, 90_000.0])
@pytest.mark.parametrize("restart", [False, True])
def test_excerpts_of_two_falls(later_s: float, restart: bool) -> None:
    """Seven seconds around each are little signal, but a minute or a day lies between: two falls. A restart between
    them makes no difference.
    """
    signal, impact = physics.fall()
    excerpt = signal[round((impact - 3) * 50) : round((impact + 4) * 50)]
    detector = FallDetector("w", BodyPosition.WAIST)
    found = [d for frame in physics.frames(excerpt) for d in detector.on_frame(frame)]
    if restart:
        state, detector = json.dumps(detector.state()), FallDetector("w", BodyPosition.WAIST)
        detector.restore(json.loads(state))
    again = physics.frames(excerpt, at=1e9 + later_s, seq=14)
    found += [d for frame in again for d in detector.on_frame(frame)]
    assert [d.at for d in found] == pytest.approx([1e9 + 3, 1e9 + later_s + 3], abs=0.1)


@pytest.mark.parametrize("known_s", [2.0, 3.0])
def test_a_wearable_that_breaks_in_the_fall(known_s: float) -> None:
    """When the signal ends shortly after the impact, the fall is raised from what there was, by time alone."""
    signal, impact = physics.fall()
    detector = FallDetector("w", BodyPosition.WAIST)
    for frame in physics.frames(signal[: round((impact + known_s) * 50)]):
        assert detector.on_frame(frame) == []
    assert detector.on_tick(5e9) == detector.on_tick(5e9 + SILENT_S - 0.1) == []
    assert [d.at for d in detector.on_tick(5e9 + SILENT_S)] == pytest.approx([1e9 + impact], abs=0.1)
    assert detector.on_tick(6e9) == []


@pytest.mark.parametrize("lost", [(-1.4, -0.9), (0.8, 1.3), (2.2, 2.7)])
def test_a_lost_frame_does_not_hide_a_fall(lost: tuple[float, float]) -> None:
    """Half a second missing before or after the impact, by NaN or by a gap in the numbers."""
    signal, impact = physics.fall()
    first = round((impact + lost[0]) * 50) // 25 * 25
    holed = signal.copy()
    holed[first : first + 25] = np.nan
    assert _found(physics.frames(holed)) == pytest.approx([1e9 + impact], abs=0.1)
    frames = physics.frames(signal)
    del frames[first // 25]
    assert _found(frames) == pytest.approx([1e9 + impact], abs=0.1)


@pytest.mark.parametrize("step_s", [-86_400.0, -0.5, 1.5])
@pytest.mark.parametrize("where", ["before", "during", "after"])
def test_a_clock_that_steps(step_s: float, where: str) -> None:
    """The frames' numbers run on while their clock jumps: every fall is found, also one after the clock went back."""
    one, _ = physics.fall(after_s=30)
    both = np.concatenate((one, physics.still(50, 5), one))
    frames = physics.frames(both)
    split = {"before": 4, "during": 18, "after": 40}[where]
    stepped = frames[:split] + [replace(f, at=f.at + step_s) for f in frames[split:]]
    assert len(_found(stepped)) == 2


def test_a_restart_in_the_middle_of_a_fall() -> None:
    """Wherever the state was taken (and through JSON), the same fall is found at the same moment, and once."""
    signal, impact = physics.fall()
    frames = physics.frames(signal)
    for cut in range(10, len(frames), 3):
        first = FallDetector("w", BodyPosition.WAIST)
        found = [d.at for f in frames[:cut] for d in first.on_frame(f)]
        kept = json.dumps(first.state())
        assert len(kept) < 20_000
        second = FallDetector("w", BodyPosition.WAIST)
        second.restore(json.loads(kept))
        found += [d.at for f in frames[cut:] for d in second.on_frame(f)]
        assert found == pytest.approx([1e9 + impact], abs=0.1)


def test_a_restart_that_lost_two_seconds() -> None:
    """The frames that came while the gateway was down are missing; the fall is found all the same."""
    signal, impact = physics.fall()
    frames = physics.frames(signal)
    cut = round((impact + 0.8) * 2)
    first = FallDetector("w", BodyPosition.WAIST)
    for frame in frames[:cut]:
        first.on_frame(frame)
    second = FallDetector("w", BodyPosition.WAIST)
    second.restore(json.loads(json.dumps(first.state())))
    found = [d.at for f in frames[cut + 3 :] for d in second.on_frame(f)]
    assert found == pytest.approx([1e9 + impact], abs=0.1)


@pytest.mark.parametrize(
    "state", [{}, {"v": 99}, {"v": 1}, {"v": 1, "quiet_until": 0, "signal": {"next": 0, "window": {"total": -1}}}]
)
def test_a_foreign_state_is_refused(state: dict[str, Any]) -> None:
    """ValueError, and the detector goes on."""
    detector = FallDetector("w", BodyPosition.WAIST)
    with pytest.raises(ValueError):  # noqa: PT011 -- texts differ by what is wrong
        detector.restore(state)
    assert len([d for frame in physics.frames(physics.fall()[0]) for d in detector.on_frame(frame)]) == 1


@pytest.mark.parametrize("factor", [9.80665, 1000.0, 0.0])
def test_wrong_units_never_alarm(factor: float) -> None:
    """Metres per second squared, milli-g or a dead sensor are counted, not believed."""
    detector = FallDetector("w", BodyPosition.WAIST)
    for frame in physics.frames(physics.fall()[0] * factor, scale_g=1e9):
        assert detector.on_frame(frame) == []
    assert detector.counts["implausible"] > 0 or factor == 0.0


_value = st.one_of(st.floats(-20, 20, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, 1e30, -16.0, 16.0]))


@given(
    st.lists(
        st.tuples(
            st.lists(st.tuples(_value, _value, _value), min_size=1, max_size=12),
            st.integers(-2, 3),
            st.floats(-1e5, 1e5),
            st.sampled_from([1.0, 12.5, 50.0, 76.0, 200.0, 5000.0]),
        ),
        max_size=12,
    )
)
def test_nothing_makes_it_fail(parts: list[tuple[list[tuple[float, ...]], int, float, float]]) -> None:
    """Any values, numbers, clocks and rates, then silence: no exception, and a fall afterwards is still found."""
    detector = FallDetector("w", BodyPosition.WAIST)
    seq = 0
    for rows, step, at, rate in parts:
        seq += step
        samples = np.repeat(np.array(rows, dtype=np.float32), 8, axis=0)
        detector.on_frame(SignalFrame("w", seq, 1e9 + at, rate, ("ax", "ay", "az"), samples, 16.0))
    detector.restore(json.loads(json.dumps(detector.state(), allow_nan=False)))
    detector.on_tick(1e9)
    detector.on_tick(2e9)
    frames = physics.frames(np.concatenate((physics.still(50, 20), physics.fall()[0])), at=3e9, seq=seq + 1000)
    assert len([d for frame in frames for d in detector.on_frame(frame)]) == 1


@pytest.mark.parametrize("channels", [("ax", "ay", "az", "gx", "gy", "gz"), ("gz", "az", "ay", "ax")])
def test_other_channels_are_ignored(channels: tuple[str, ...]) -> None:
    """Rotation, or axes in another order, change nothing; a frame without acceleration is counted."""
    signal, impact = physics.fall()
    columns = [("ax", "ay", "az").index(c) if c in ("ax", "ay", "az") else None for c in channels]
    frames = []
    for f in physics.frames(signal):
        samples = np.column_stack([np.zeros(len(f.samples)) if c is None else f.samples[:, c] for c in columns])
        frames.append(replace(f, channels=channels, samples=samples.astype(np.float32)))
    assert _found(frames) == pytest.approx([1e9 + impact], abs=0.1)
    detector = FallDetector("w", BodyPosition.WAIST)
    assert detector.on_frame(replace(frames[0], channels=tuple("abcdef"[: len(channels)]))) == []
    assert detector.counts["unusable_channels"] == 1


@pytest.mark.parametrize(
    ("name", "position"), [("sisfall_50hz_dev", BodyPosition.WAIST), ("weda_fall_dev", BodyPosition.WRIST)]
)
def test_framing_makes_no_difference(recordings: Path, name: str, position: BodyPosition) -> None:
    """However a recording is cut into frames, the same falls are found; most falls are found at the recorded impact."""
    arrays = np.load(recordings / "falls" / f"{name}.npz")
    with (recordings / "falls" / f"{name}_index.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["is_fall"] in ("1", "True", "true")][::60]
    hits = 0
    for row in rows:
        start = int(row["acc_off"])
        signal: NDArray[Any] = arrays["acc"][start : start + int(row["acc_n"])] * 0.001
        found = _found(physics.frames(signal), position)
        assert found == pytest.approx(_found(physics.frames(signal, frame_s=0.14), position))
        hits += bool(found)
    assert hits >= len(rows) * 0.8


def test_lying_still_is_no_fall() -> None:
    """A minute of rest raises nothing."""
    assert _found(physics.frames(physics.still(50, 60, physics.LYING))) == []
