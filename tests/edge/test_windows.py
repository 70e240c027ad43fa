"""The window of a signal at one rate: averaging, framing, breaks, and going on after a restart."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edge.readings import SignalFrame
from edge.windows import StreamingWindow

AXES = ("ax", "ay", "az")


def _frames(values: np.ndarray[tuple[int], np.dtype[np.float64]], rate: float, cut: int) -> list[SignalFrame]:
    rows = np.column_stack((values, values, values)).astype(np.float32)
    return [
        SignalFrame("w", n, 1e9 + i / rate, rate, AXES, rows[i : i + cut], 16.0)
        for n, i in enumerate(range(0, len(rows), cut))
    ]


def _filled(frames: list[SignalFrame]) -> StreamingWindow:
    window = StreamingWindow(50.0, 60.0, AXES, break_s=2.0)
    for frame in frames:
        window.push(frame)
    return window


@pytest.mark.parametrize("rate", [18.7, 50.0, 100.0, 200.0])
def test_framing_makes_no_difference(rate: float) -> None:
    """Cut into pieces of any length, the same samples come at the same times; a steady slope stays one."""
    values = np.arange(round(10 * rate)) / rate
    whole, cut = _filled(_frames(values, rate, 5000)), _filled(_frames(values, rate, 7))
    assert whole.total == cut.total == pytest.approx(500, abs=3)
    assert np.allclose(whole.view(0, 500), cut.view(0, 500), atol=1e-6)
    assert np.allclose(whole.times(0, 500), cut.times(0, 500), atol=1e-5)
    assert np.allclose(np.diff(whole.view(10, 490)[:, 0]), 0.02, atol=1e-4)


def test_a_fast_signal_is_averaged() -> None:
    """A spike of one sample at 200 Hz is not lost between ours; a tone above our rate does not come back as another."""
    spike = np.zeros(2000)
    spike[1001] = 8.0
    assert _filled(_frames(spike, 200.0, 100)).view(0, 500).max() == pytest.approx(2.0)
    tone = np.sin(2 * np.pi * 50.0 * np.arange(2000) / 200.0 + 0.7)
    assert np.abs(_filled(_frames(tone, 200.0, 100)).view(10, 490)).max() < 0.01


def test_a_break_is_filled_and_counted() -> None:
    """A long silence becomes `break_s` of missing samples; values that are not finite are missing too."""
    first, second = _frames(np.ones(100), 50.0, 100)[0], _frames(np.full(100, np.inf), 50.0, 100)[0]
    window = _filled([first, SignalFrame("w", 1, first.at + 3600, 50.0, AXES, second.samples, 16.0)])
    assert window.total == 300
    assert np.isnan(window.view(0, 300)).all(axis=1).sum() == 200


@pytest.mark.parametrize("rate", [20.0, 50.0, 180.0])
def test_going_on_after_a_restart(rate: float) -> None:
    """A window restored from its state (through JSON) goes on as if nothing had happened."""
    frames = _frames(np.random.default_rng(1).normal(size=round(12 * rate)), rate, round(0.5 * rate))
    straight = _filled(frames)
    first, second = _filled(frames[:15]), StreamingWindow(50.0, 60.0, AXES, break_s=2.0)
    second.restore(json.loads(json.dumps(first.state(3.0))))
    for frame in frames[15:]:
        second.push(frame)
    assert second.total == straight.total
    start = second.first
    assert np.allclose(second.view(start, second.total), straight.view(start, straight.total), atol=1e-3)
    assert np.allclose(second.times(start, second.total), straight.times(start, straight.total), atol=2e-3)
