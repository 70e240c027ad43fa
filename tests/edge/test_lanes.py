"""Which message goes next: back-log waits for a link's first answer, then keeps the pace; live never waits for it."""

from __future__ import annotations

from edge.uplink.lanes import Lanes
from protocols.wire import Ack, AckRanges, Lane

_EPOCH = "ab" * 8


def _ack(lane: Lane, seq: int, pace: float | None = None) -> Ack:
    return Ack(v=1, at=1.0, ranges=[AckRanges(_EPOCH, lane, [(seq, seq)])], pace=pace)


def _send_all(lanes: Lanes, lane: Lane, now: float) -> list[int]:
    due = lanes.due(lane, now)
    for seq in due:
        lanes.sent(lane, seq, now)
    return due


def test_backlog_begins_with_one() -> None:
    lanes = Lanes(4, 10.0)
    lanes.offer(Lane.BACKLOG, [1, 2, 3, 4, 5, 6])
    lanes.offer(Lane.LIVE, [1, 2])
    assert _send_all(lanes, Lane.BACKLOG, 0.0) == [1]
    assert _send_all(lanes, Lane.BACKLOG, 1.0) == []
    assert _send_all(lanes, Lane.LIVE, 1.0) == [1, 2]
    assert _send_all(lanes, Lane.BACKLOG, 10.0) == [1]
    lanes.settle(_ack(Lane.BACKLOG, 1), _EPOCH)
    # A missing answer had shrunk the window to one (protocols/delivery.py); each answer makes room for one more.
    assert _send_all(lanes, Lane.BACKLOG, 11.0) == [2, 3]
    lanes.settle(_ack(Lane.BACKLOG, 2), _EPOCH)
    assert _send_all(lanes, Lane.BACKLOG, 11.5) == [4, 5]
    lanes.disconnected()
    assert _send_all(lanes, Lane.BACKLOG, 12.0) == [3]


def test_backlog_keeps_the_pace() -> None:
    lanes = Lanes(4, 10.0)
    lanes.offer(Lane.BACKLOG, [1, 2, 3, 4, 5, 6])
    assert _send_all(lanes, Lane.BACKLOG, 0.0) == [1]
    lanes.settle(_ack(Lane.BACKLOG, 1, pace=0.5), _EPOCH)
    assert _send_all(lanes, Lane.BACKLOG, 0.1) == [2]
    assert _send_all(lanes, Lane.BACKLOG, 2.0) == []
    assert _send_all(lanes, Lane.BACKLOG, 2.2) == [3]
    lanes.settle(_ack(Lane.BACKLOG, 3), _EPOCH)
    assert _send_all(lanes, Lane.BACKLOG, 2.3) == [4, 5, 6]


def test_alarms_are_sent_again_at_the_same_interval() -> None:
    lanes = Lanes(4, 10.0)
    lanes.offer(Lane.ALARM, [1])
    lanes.offer(Lane.LIVE, [1])
    sent = {lane: [now for now in range(100) if _send_all(lanes, lane, float(now))] for lane in (Lane.ALARM, Lane.LIVE)}
    assert sent[Lane.ALARM] == list(range(0, 100, 10))
    assert sent[Lane.LIVE] == [0, 10, 30, 50, 70, 90]
