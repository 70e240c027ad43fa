"""Whether this process's own clock is the one that is wrong.

A worker whose clock has jumped would refuse a whole district's data as too old or from the future, and the gateways,
told so, would delete it. So before anything is refused for its time another clock is asked: that of the gateways, by
their newest live batches, where several agree with each other; else the time-series server's.
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
_ASKED = 50
_REMEMBERED = 500
_RECENT_S = 180.0
_AGREE_S = 60.0
_AGREE_SHARE = 0.8
_OFF_S = 60.0
_OF_TIME = (Reason.IN_FUTURE, Reason.TOO_OLD)


class FleetClock:
    """The gateways' time, as their newest live batches of the last minutes show it."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, float]] = {}
        """Gateway → (when it was heard, what its clock said then), both counted from this process's monotonic clock."""

    def note(self, routes: Sequence[Route | None], readings: Sequence[Reading]) -> None:
        """Ask the first live batches of a flush what time it is."""
        now = time.monotonic()
        asked = 0
        for route, reading in zip(routes, readings, strict=True):
            if route is not None and reading.lane == Lane.LIVE:
                ahead = reading.sent - now
                known = self._heard.pop(route.gateway, None)
                # One that sends again shows an older time; the newest it has shown counts, for a while.
                if known is not None and now - known[0] < _RECENT_S:
                    ahead = max(ahead, known[1])
                self._heard[route.gateway] = (now, ahead)
                asked += 1
                if asked >= _ASKED:
                    break
        while len(self._heard) > _REMEMBERED:
            del self._heard[next(iter(self._heard))]

    def now(self) -> float | None:
        """The gateways' time in Unix seconds; None unless five were heard of late and four fifths of them agree."""
        passed = time.monotonic()
        ahead = [at for heard, at in self._heard.values() if passed - heard < _RECENT_S]
        if len(ahead) < _LEAST_GATEWAYS:
            return None
        median = statistics.median(ahead)
        agreeing = sum(abs(at - median) <= _AGREE_S for at in ahead)
        return median + passed if agreeing >= _AGREE_SHARE * len(ahead) else None


def refused_for_time(readings: Sequence[Reading]) -> bool:
    """Whether anything of a flush would be refused as too old or from the future."""
    return any(e.reason in _OF_TIME for r in readings for e in r.errors)


def contradicts(theirs: float | None, now: float) -> bool:
    """Whether another clock is too far from ours for both to be right."""
    return theirs is not None and abs(theirs - now) > _OFF_S
