"""What contacts remember over a restart."""

from __future__ import annotations

from edge.detectors.contact import ContactDetector
from edge.readings import Reading
from protocols.wire import AlarmKind

_T = 1.8e9


def _kinds(detector: ContactDetector, metric: str, value: bool, second: float) -> list[tuple[AlarmKind, bool]]:
    reading = Reading("c-1", metric, _T + second, value)
    return [(d.kind, d.cleared) for d in detector.on_reading(reading, _T + second)]


def _restarted(detector: ContactDetector) -> ContactDetector:
    new = ContactDetector()
    new.restore(detector.state())
    return new


def test_the_first_press_after_a_restart_calls() -> None:
    """The state was kept while the button was down, its release came after that: the next press is a new call."""
    pressed = ContactDetector()
    assert _kinds(pressed, "sos", True, 0) == [(AlarmKind.SOS, False)]
    assert _kinds(_restarted(pressed), "sos", True, 4) == [(AlarmKind.SOS, False)]


def test_a_press_in_an_older_file_does_not_count() -> None:
    """Files of before hold pressed buttons too."""
    detector = ContactDetector()
    detector.restore({"v": 1, "active": [["c-1", "sos", _T]]})
    assert _kinds(detector, "sos", True, 4) == [(AlarmKind.SOS, False)]


def test_smoke_ends_after_a_restart() -> None:
    """It does not begin a second time, and its end is told."""
    burning = ContactDetector()
    assert _kinds(burning, "smoke", True, 0) == [(AlarmKind.SMOKE, False)]
    again = _restarted(burning)
    assert _kinds(again, "smoke", True, 4) == []
    assert _kinds(again, "smoke", False, 8) == [(AlarmKind.SMOKE, True)]


def test_water_gas_and_carbon_monoxide_are_told_at_once() -> None:
    """At the first word, and again only after it has ended."""
    detector = ContactDetector()
    for metric, kind in (("flood", AlarmKind.FLOOD), ("gas", AlarmKind.GAS), ("co", AlarmKind.CO)):
        assert _kinds(detector, metric, True, 0) == [(kind, False)]
        assert _kinds(detector, metric, True, 1) == []
        assert _kinds(detector, metric, False, 2) == [(kind, True)]
        assert _kinds(detector, metric, True, 3) == [(kind, False)]
