"""Which time stamps of a device are believed, and what stands in for a clock where a device has none."""

from __future__ import annotations

import math
from dataclasses import dataclass

from protocols.errors import ProtocolError, Reason


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How far a time stamp may lie from the moment of arrival."""

    max_age_s: float = 86_400.0
    max_future_s: float = 300.0


def check_time(at: float, arrival: float, limits: TimeLimits, where: str) -> None:
    """Return if `at` is plausible for something that arrived at `arrival`.

    Raises ProtocolError (MALFORMED, IN_FUTURE, TOO_OLD).
    """
    ahead = at - arrival
    if math.isnan(ahead):
        raise ProtocolError(Reason.MALFORMED, where, "is not a number")
    if ahead > limits.max_future_s:
        raise ProtocolError(
            Reason.IN_FUTURE, where, f"lies {ahead:.0f} s in the future, at most {limits.max_future_s:.0f}"
        )
    if -ahead > limits.max_age_s:
        raise ProtocolError(Reason.TOO_OLD, where, f"is {-ahead:.0f} s old, at most {limits.max_age_s:.0f}")


class ArrivalClock:
    """Start times of a clockless device's frames from their arrival.

    A delay in the radio or broker only ever makes a frame later, so the earliest arrivals are right: a frame that is
    late against the one before continues it, pulled by `PULL` of the difference so that a device whose rate is a
    little off is followed. After a stall longer than `STALL_S`, arrival is believed again.
    """

    PULL = 0.02
    STALL_S = 10.0

    def __init__(self) -> None:
        self._end: float | None = None

    def start_of(self, arrival: float, duration_s: float, continues: bool) -> float:
        """Unix time of the first sample of a frame of `duration_s` that arrived at `arrival`."""
        start = arrival - duration_s
        if continues and self._end is not None and 0 < start - self._end < self.STALL_S:
            start = self._end + (start - self._end) * self.PULL
        self._end = start + duration_s
        return start
