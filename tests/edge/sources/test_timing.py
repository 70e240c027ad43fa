"""Which time stamps of a device are believed."""

from __future__ import annotations

import math

import pytest

from edge.sources.timing import TimeLimits, check_time
from protocols.errors import ProtocolError, Reason

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        (math.nan, Reason.MALFORMED),
        (math.inf, Reason.IN_FUTURE),
        (-math.inf, Reason.TOO_OLD),
        (NOW + 301, Reason.IN_FUTURE),
        (NOW - 86_401, Reason.TOO_OLD),
    ],
)
def test_a_stamp_that_cannot_be_right_is_named(at: float, reason: Reason) -> None:
    with pytest.raises(ProtocolError) as raised:
        check_time(at, NOW, TimeLimits(), "tst")
    assert (raised.value.reason, raised.value.where) == (reason, "tst")


@pytest.mark.parametrize("at", [NOW, NOW + 299, NOW - 86_399])
def test_a_stamp_near_its_arrival_is_believed(at: float) -> None:
    check_time(at, NOW, TimeLimits(), "tst")
