"""Whether this process's own clock is the one that is wrong.

A worker whose clock has jumped would refuse a whole district's data as too old or from the future, and the gateways,
told so, would delete it. So the live batches are asked what time it is: where several gateways agree with each other
and not with us, their time is taken, and it is remembered for flushes that hold too few of them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence

from cloud.ingest.reading import Reading
from cloud.registry.gateways import Route
from protocols.errors import Reason
from protocols.wire import Lane

_LEAST_GATEWAYS = 5
_ENOUGH_GATEWAYS = 50
_AGREE_S = 60.0
_AGREE_SHARE = 0.8
_OFF_S = 60.0
_OF_TIME = (Reason.IN_FUTURE, Reason.TOO_OLD)


class FleetClock:
    """The gateways' time."""

    def __init__(self) -> None:
        self._known: tuple[float, float] | None = None
        """When (monotonic) it was what time."""

    def note(self, routes: Sequence[Route | None], readings: Sequence[Reading]) -> None:
        """Ask the live batches of a flush: at least five gateways, four fifths of them within a minute."""
        newest: dict[str, float] = {}
        for route, reading in zip(routes, readings, strict=True):
            if route is not None and reading.lane == Lane.LIVE:
                newest[route.gateway] = max(newest.get(route.gateway, 0.0), reading.sent)
                if len(newest) >= _ENOUGH_GATEWAYS:
                    break
        if len(newest) < _LEAST_GATEWAYS:
            return
        median = statistics.median(newest.values())
        agreeing = sum(abs(sent - median) <= _AGREE_S for sent in newest.values())
        if agreeing >= _AGREE_SHARE * len(newest):
            self._known = (time.monotonic(), median)

    def contradicting(self, readings: Sequence[Reading], now: float) -> float | None:
        """The gateways' time (Unix seconds) if something is refused for its time and theirs is not `now`."""
        if self._known is None or not any(e.reason in _OF_TIME for r in readings for e in r.errors):
            return None
        noted, median = self._known
        theirs = median + time.monotonic() - noted
        return theirs if abs(theirs - now) > _OFF_S else None
