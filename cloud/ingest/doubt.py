"""Whether this process's own clock is the one that is wrong.

A worker whose clock has jumped would refuse a whole district's data as too old or from the future, and the gateways,
told so, would delete it. So before anything of a flush is refused for its time, the live batches in it are asked: if
several gateways agree with each other and not with us, their time is taken.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from cloud.ingest.reading import Reading
from cloud.registry.gateways import Route
from protocols.errors import Reason
from protocols.wire import Lane

_LEAST_GATEWAYS = 5
_AGREE_S = 60.0
_AGREE_SHARE = 0.8
_OFF_S = 60.0
_OF_TIME = (Reason.IN_FUTURE, Reason.TOO_OLD)


def fleet_time(routes: Sequence[Route | None], readings: Sequence[Reading], now: float) -> float | None:
    """The gateways' time (Unix seconds) where it contradicts `now`; None while nothing is refused for its time.

    It counts each gateway's newest live batch. At least five gateways must be heard and four fifths of them lie within
    a minute of their median, which must be more than a minute away from `now`.
    """
    if not any(error.reason in _OF_TIME for reading in readings for error in reading.errors):
        return None
    newest: dict[str, float] = {}
    for route, reading in zip(routes, readings, strict=True):
        if route is not None and reading.lane == Lane.LIVE:
            newest[route.gateway] = max(newest.get(route.gateway, 0.0), reading.sent)
    if len(newest) < _LEAST_GATEWAYS:
        return None
    median = statistics.median(newest.values())
    agreeing = sum(abs(sent - median) <= _AGREE_S for sent in newest.values())
    if abs(median - now) <= _OFF_S or agreeing < _AGREE_SHARE * len(newest):
        return None
    return median
