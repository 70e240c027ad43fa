"""A flood at home: who floods waits, what was promised stays, and every drop is counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

import pytest

from edge.home.intake import PER_TOPIC, Intake


@dataclass(frozen=True)
class _Message:
    topic: str
    qos: int
    number: int


def _drain(intake: Intake) -> list[_Message]:
    return [intake.get_nowait() for _ in range(intake.qsize())]


def test_a_flood_delays_nobody_else() -> None:
    """A press behind ten thousand messages of one sensor is taken second; of the flood the newest stay, in order."""
    counts: Counter[str] = Counter()
    intake = Intake(2_000, counts)
    for n in range(10_000):
        intake.put_nowait(_Message("flood", 0, n))
    intake.put_nowait(_Message("sos", 0, 1))
    taken = _drain(intake)
    assert [m.topic for m in taken[:2]] == ["flood", "sos"]
    assert [m.number for m in taken if m.topic == "flood"] == list(range(10_000 - PER_TOPIC, 10_000))
    assert counts["incoming_dropped"] == 10_000 - PER_TOPIC


def test_what_must_be_acknowledged_stays() -> None:
    """With all room taken a message of QoS 1 costs one of QoS 0 its place; among themselves they stay in order."""
    counts: Counter[str] = Counter()
    intake = Intake(100, counts)
    for n in range(100):
        intake.put_nowait(_Message(f"t{n}", 0, n))
    for n in range(150):
        intake.put_nowait(_Message("sos", 1, n))
    with pytest.raises(asyncio.QueueFull):
        intake.put_nowait(_Message("t-new", 0, 0))
    assert counts["incoming_dropped"] == 101
    assert [m.number for m in _drain(intake)] == list(range(150))


async def test_somebody_waiting_is_woken() -> None:
    """As with any queue."""
    intake = Intake(10, Counter())
    waiting = asyncio.create_task(intake.get())
    await asyncio.sleep(0)
    intake.put_nowait(_Message("a", 1, 7))
    assert (await waiting).number == 7
    assert intake.empty()
