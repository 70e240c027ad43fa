"""Delivery state against plain models: a set of numbers, and a lossy link."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from protocols.delivery import RangeSet, Receiver, Sender

RANGES = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9)), max_size=30)


@given(RANGES)
def test_range_set_is_a_set(spans: list[tuple[int, int]]) -> None:
    """A RangeSet holds exactly the numbers added, in disjoint ascending ranges that never touch."""
    ranges, model = RangeSet(), set[int]()
    for first, extra in spans:
        ranges.add_range(first, first + extra)
        model.update(range(first, first + extra + 1))
    held = list(ranges)
    assert {n for first, last in held for n in range(first, last + 1)} == model
    assert all(before[1] + 1 < after[0] for before, after in pairwise(held))
    missing = {n for first, last in ranges.gaps() for n in range(first, last + 1)}
    assert missing == set(range(1, max(model, default=0))) - model


@given(st.integers(1, 30), st.integers(1, 6), st.data())
def test_lossy_link_delivers_everything_once(count: int, window: int, data: st.DataObject) -> None:
    """Whatever the link drops and however often it breaks, each sequence is stored once and the window is kept."""
    sender, receiver, stored, now = Sender(window, 10.0), Receiver(), list[int](), 0.0
    for seq in range(1, count + 1):
        assert sender.offer(seq)
    for step in range(400):
        lossy = step < 60
        for seq in sender.due(now):
            sender.sent(seq, now)
            if lossy and data.draw(st.booleans(), label="message lost"):
                continue
            if receiver.receive("e", "live", seq):
                stored.append(seq)
            if lossy and data.draw(st.booleans(), label="ack lost"):
                continue
            assert sender.acknowledge([(seq, seq)]) == [seq]
        assert len(sender.in_flight) <= window
        if lossy and data.draw(st.integers(0, 9), label="link") == 0:
            sender.disconnected()
            assert not sender.in_flight
        now += 5.0
        if not sender.pending:
            break
    assert sorted(stored) == list(range(1, count + 1))
    assert receiver.gaps("e", "live") == []


def test_rejected_is_settled() -> None:
    """A rejected sequence is not sent again."""
    sender = Sender(2, 10.0)
    sender.offer(1)
    sender.sent(1, 0.0)
    assert sender.reject(1)
    assert sender.due(100.0) == []


def test_sent_again_more_and_more_rarely() -> None:
    """After 10, 20, 40, 40 … s; an alarm's lane always after 10; a new link begins anew."""
    for longest, expected in ((4, [0, 10, 30, 70, 110, 150]), (1, [0, 10, 20, 30, 40, 50])):
        sender, sendings, now = Sender(2, 10.0, longest), list[float](), 0.0
        sender.offer(7)
        while len(sendings) < 6:
            if sender.due(now) == [7]:
                sender.sent(7, now)
                sendings.append(now)
                assert sender.next_due() is not None
            now += 1.0
        assert sendings == expected
        sender.disconnected()
        assert sender.due(now) == [7]
        sender.sent(7, now)
        assert sender.next_due() == now + 10


def test_a_missing_answer_is_taken_for_congestion() -> None:
    """All four unanswered: one is sent again, each answer lets one more out; alarms keep their window."""
    telemetry, alarms = Sender(4, 10.0, 8), Sender(4, 10.0)
    for sender in (telemetry, alarms):
        for seq in range(1, 9):
            sender.offer(seq)
        for seq in sender.due(0.0):
            sender.sent(seq, 0.0)
    assert alarms.due(10.0) == [1, 2, 3, 4]
    assert telemetry.due(10.0) == [1]
    assert telemetry.sent(1, 10.0), "it was sent before"
    assert telemetry.due(29.9) == []
    assert telemetry.acknowledge([(2, 2)]) == [2], "a late answer counts too"
    assert telemetry.due(29.9) == [3]
    telemetry.sent(3, 29.9)
    telemetry.acknowledge([(1, 1)])
    assert telemetry.due(30.0) == [4, 5]
    for seq in (4, 5):
        telemetry.sent(seq, 30.0)
    telemetry.acknowledge([(3, 5)])
    assert telemetry.due(31.0) == [6, 7, 8]


def test_a_lost_one_may_stay_the_only_one_for_long_but_not_for_ever() -> None:
    """After an outage of the platform the window opens by itself."""
    sender, now = Sender(4, 10.0, 4), 0.0
    for seq in range(1, 101):
        sender.offer(seq)
    most = 0
    while now < 1_000.0:
        for seq in sender.due(now):
            sender.sent(seq, now)
            if now >= 500.0:
                sender.acknowledge([(seq, seq)])
        most = max(most, len(sender.in_flight)) if now > 20 else most
        now += 1.0
    assert sender.pending == 0
    assert most == 1
