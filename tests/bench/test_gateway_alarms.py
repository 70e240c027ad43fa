"""What the gateway's benchmark takes for the cause of an alarm."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.gateway_alarms import Event, caused, of_falls, of_flags


def _event(kind: str, state: str, ts: float, taken: float, **more: Any) -> Event:
    times = {"ts": ts, "changed_at": taken, "queued_ms": 1, "flash_ms": 2, "back_ms": 3}
    return {"kind": kind, "state": state} | times | more


def test_an_alarm_is_paired_with_the_change_that_caused_it() -> None:
    """A repeated value causes nothing; one that the sensor sends by itself ends the alarm like any other."""
    flags = [(1.0, False), (10.0, True), (10.2, False), (10.3, False), (10.4, True), (10.45, False), (10.6, False)]
    states = [("raised", 10.01), ("cleared", 10.22), ("raised", 10.41), ("cleared", 10.47)]
    found = of_flags([_event("smoke", state, ts, ts - 0.008) for state, ts in states], flags)
    assert [round(alarm.total_ms) for alarm in found] == [10, 20, 10, 20]
    assert {name: round(ms) for name, ms in found[0].parts.items()} == {
        "to_gateway": 2, "judging": 2, "queued": 1, "flash": 2, "back": 3,
    }  # fmt: skip
    assert caused(flags) == 4
    with pytest.raises(ValueError, match="4 alarms were caused and 3 logged"):
        of_flags([_event("smoke", state, ts, ts) for state, ts in states[1:]], flags)


def test_a_fall_is_paired_with_the_frame_of_its_own_wearable() -> None:
    """The detector waits for 3.3 s of signal after the impact; what another wearable sent is no cause, and what it adds
    to the question is no alarm of its own.
    """
    frames = {
        "a": [(100.51 + k / 2, 100.0 + k / 2) for k in range(20)],
        "b": [(100.60 + k / 2, 100.1 + k / 2) for k in range(20)],
    }
    fall = _event("fall", "pending", 104.55, 104.53, at=101.0, device="a", alarm_id="1")
    (timed,) = of_falls([fall, fall | {"ts": 104.7}, fall | {"state": "raised", "ts": 106.5}], frames)
    assert round(timed.total_ms) == 40
