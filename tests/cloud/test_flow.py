"""Bounds, flushes by count, bytes and age, writers that adapt, the pace asked of gateways, a doubted clock."""

from __future__ import annotations

import asyncio
import time

import pytest

from cloud.config import Ingest
from cloud.ingest.doubt import FleetClock, contradicts, refused_for_time
from cloud.ingest.flow import Pace, WaitingList, WriterLimit
from cloud.ingest.reading import Reading
from cloud.registry.gateways import Route
from protocols.errors import ProtocolError, Reason

LIMITS = Ingest(flush_interval_s=0.05, flush_batches=10, flush_bytes=65_536, max_in_flight_batches=30)


async def test_flush_by_count_bytes_or_age() -> None:
    """Whichever comes first; what is taken still counts until it is settled."""
    waiting = WaitingList(LIMITS)
    for i in range(25):
        assert waiting.put(("t", b"%d" % i))
    first, _ = await waiting.take()
    assert [p for _, p in first] == [b"%d" % i for i in range(10)]
    assert len((await waiting.take())[0]) == 10
    begun = time.monotonic()
    assert len((await waiting.take())[0]) == 5
    assert time.monotonic() - begun < 2
    assert waiting.held == 25
    assert [waiting.put(("t", b"x")) for _ in range(7)] == [True] * 5 + [False] * 2
    waiting.settle(first)
    assert waiting.held == 20
    big = WaitingList(LIMITS)
    for _ in range(3):
        big.put(("t", b"x" * 40_000))
    assert len((await big.take())[0]) == 2


async def test_bytes_are_bounded_too() -> None:
    """Few large messages fill the list as many small ones do."""
    waiting = WaitingList(LIMITS.model_copy(update={"max_in_flight_bytes": 100_000}))
    assert [waiting.put(("t", b"x" * 40_000)) for _ in range(4)] == [True, True, False, False]
    assert waiting.fill == pytest.approx(0.8)


async def test_waiting_ends_when_something_comes() -> None:
    """An empty list sleeps without polling and wakes at the first message's age."""
    waiting = WaitingList(LIMITS)
    taking = asyncio.create_task(waiting.take())
    await asyncio.sleep(0.2)
    assert not taking.done()
    waiting.put(("t", b"x"))
    assert (await asyncio.wait_for(taking, 2))[0] == [("t", b"x")]


async def test_writers_adapt() -> None:
    """More while the store keeps up, half when it slows down, one after an error; never more run than allowed."""
    limit = WriterLimit(3)
    for _ in range(40):
        limit.wrote(1_000, 0.02)
    assert limit.limit == 3
    limit.wrote(1_000, 2.0)
    assert limit.limit == 1
    for _ in range(16):
        limit.wrote(1_000, 0.02)
    assert limit.limit == 3
    limit.failed()
    assert limit.limit == 1
    running = most = 0

    async def work() -> None:
        nonlocal running, most
        await limit.acquire()
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        limit.release()

    await asyncio.gather(*(work() for _ in range(5)))
    assert most == 1


def test_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slower while the list fills, faster when it empties, no bound in the end; little while a store is away."""
    now = 1_000.0
    monkeypatch.setattr("cloud.ingest.flow.time.monotonic", lambda: now)
    pace = Pace()
    assert pace.update(0.1) is None
    slower: list[float] = []
    for _ in range(5):
        now += 1
        slower.append(pace.update(0.9) or 0.0)
    assert slower == sorted(slower, reverse=True)
    assert 0 < slower[-1] < 0.2
    now += 0.5
    assert pace.update(0.9) == slower[-1]
    steps = 0
    while pace.value is not None:
        now += 1
        pace.update(0.05)
        steps += 1
    assert steps < 15
    assert pace.update(0.1, failing=True) == 0.2


def _live(number: int, sent: float, reason: Reason | None = Reason.IN_FUTURE) -> tuple[Route, Reading]:
    errors = [ProtocolError(reason, "t", "x")] if reason is not None else []
    return Route(f"gw-{number}", "h"), Reading(epoch="a" * 16, lane="live", seq=1, sent=sent, errors=errors)


@pytest.mark.parametrize(
    ("sent", "reason", "expected"),
    [
        ([5_000.0] * 6, Reason.IN_FUTURE, 5_000.0),
        ([5_000.0] * 4, Reason.IN_FUTURE, None),  # too few to know better
        ([5_000.0] * 6, Reason.WRONG_UNIT, None),  # nothing is wrong with the time
        ([1_010.0] * 6, Reason.TOO_OLD, None),  # they agree with us
        ([2_000.0, 5_000.0, 9_000.0, 100.0, 700.0, 1_500.0], Reason.IN_FUTURE, None),  # they do not agree
        ([5_000.0] * 9 + [100.0], Reason.IN_FUTURE, 5_000.0),
    ],
)
def test_whose_clock_is_wrong(sent: list[float], reason: Reason, expected: float | None) -> None:
    """The district's time is believed only where enough gateways agree with each other and not with us."""
    routes, readings = zip(*(_live(i, at, reason) for i, at in enumerate(sent)), strict=True)
    clock = FleetClock()
    for i in range(len(sent)):  # each in a flush of its own
        clock.note(routes[i : i + 1], readings[i : i + 1])
    theirs = clock.now()
    found = theirs if refused_for_time(readings) and contradicts(theirs, 1_000.0) else None
    assert found == (pytest.approx(expected, abs=5) if expected is not None else None)
