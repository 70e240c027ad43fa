"""The general series detector: planted anomalies stand out, missing values cost nothing, state survives."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.detectors.history import ROOM, History, find_period, nearest_past
from edge.detectors.series import SeriesDetector
from edge.detectors.shift import REFERENCE, WIDTHS, WindowMeans


def _daily(n: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(1)
    return np.asarray(10 + 5 * np.sin(np.arange(n) * 2 * np.pi / 96) + rng.normal(0, 0.5, n))


def _scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    detector = SeriesDetector()
    return np.array([detector.push(float(v)) for v in values])


def test_a_spike_stands_out() -> None:
    """A spike of ten times the noise is among the ten highest of 1,500 scores."""
    values = _daily(1_500)
    values[1_200] += 5.0
    scores = _scores(values)
    assert 1_200 in np.argsort(scores)[-10:]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_a_flat_line_stands_out() -> None:
    """A sensor that hangs for half a period holds the highest score."""
    values = _daily(1_500)
    values[1_200:1_248] = values[1_200]
    assert 1_200 <= int(np.argmax(_scores(values))) < 1_300


def test_the_beginning_is_quiet() -> None:
    """Nothing is said of the first values of a series, whatever they are."""
    assert _scores(np.random.default_rng(2).normal(0, 1e6, 64)).max() == 0.0


@pytest.mark.parametrize("missing", [None, math.nan, math.inf, -math.inf])
def test_missing_values_change_nothing(missing: float | None) -> None:
    """A missing value scores 0 and later scores are as if it had never been there."""
    values = _daily(400)
    without, detector = _scores(values), SeriesDetector()
    found = []
    for value in values:
        assert detector.push(missing) == 0.0
        found.append(detector.push(float(value)))
    assert found == without.tolist()


def test_no_look_ahead() -> None:
    """The score of a value does not depend on what follows it."""
    values = _daily(500)
    assert _scores(values)[:400].tolist() == _scores(values[:400]).tolist()


def test_a_constant_and_huge_values_do_not_crash() -> None:
    """A constant scores 0, and values beyond any unit still score in [0, 1]."""
    assert _scores(np.full(600, 3.0)).max() == 0.0
    wild = _scores(np.array([0.0, 1e300, -1e300, 1e-300] * 150))
    assert np.isfinite(wild).all()
    assert wild.max() <= 1.0


def test_state_survives_a_restart() -> None:
    """After a restart from JSON the spike is still seen as before."""
    values = _daily(1_200)
    values[1_100] += 5.0
    before, detector = _scores(values), SeriesDetector()
    for value in values[:1_000]:
        detector.push(float(value))
    again = SeriesDetector()
    again.restore(json.loads(json.dumps(detector.state())))
    after = np.array([again.push(float(v)) for v in values[1_000:]])
    assert np.abs(after - before[1_000:]).max() < 0.1
    with pytest.raises(ValueError, match="version"):
        again.restore({"v": 99})


def test_the_nearest_past_is_exact() -> None:
    """The distance is that of a search over all earlier stretches."""
    values = np.random.default_rng(3).normal(0, 1, ROOM)
    history = History()
    for value in values:
        history.push(float(value))
    parts = np.lib.stride_tricks.sliding_window_view(history.last(ROOM), 16)
    parts = parts - parts.mean(axis=1, keepdims=True)
    far = parts[: ROOM - 2 * 16 + 1]
    expected = float(np.sqrt(((far - parts[-1]) ** 2).mean(axis=1).min()))
    assert nearest_past(history.last(ROOM), 16) == pytest.approx(expected)


def test_the_running_means_are_exact() -> None:
    """Also after the ring went round and after the sums were renewed."""
    values = np.random.default_rng(3).normal(5, 1, 4_500)
    windows = WindowMeans()
    for n, value in enumerate(values, start=1):
        windows.push(float(value))
        if n in (20, 300, 4_095, 4_096, 4_500):
            for width in WIDTHS:
                if n >= 2 * width:
                    before = values[max(0, n - width - REFERENCE) : n - width].mean()
                    assert windows.differences()[width] == pytest.approx(values[n - width : n].mean() - before)


def test_a_level_shift_in_a_season_stands_out() -> None:
    """A day's rhythm that goes on two noise widths higher is seen within half a day."""
    values = _daily(2_400)
    values[2_000:] += 1.5
    scores = _scores(values)
    assert scores[2_000:2_048].max() > scores[1_000:2_000].max()


def test_the_period_is_found() -> None:
    """A day of 96 values is found within three values; noise has no period."""
    found = find_period(_daily(1_000))
    assert found is not None
    assert abs(found - 96) <= 3
    assert find_period(np.random.default_rng(4).normal(0, 1, 1_000)) is None
