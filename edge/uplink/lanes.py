"""The three lanes of the uplink over the spool: which message goes next, and what an acknowledgement settles."""

from __future__ import annotations

from protocols.delivery import Sender
from protocols.wire import Ack, Lane, SeqRange

ORDER = (Lane.ALARM, Lane.LIVE, Lane.BACKLOG)
READ_AHEAD = 64
_LONGEST_RESEND = 8
"""Telemetry that stays unanswered is sent again after 15, 30, 60, 120, 120 … s; alarms always after 15."""


class Lanes:
    """Sequences only; bodies stay in the spool. `refill` says which stored sequences to look for next.

    `pace` bounds how many back-log batches a second are sent; None is no bound. Until the cloud has answered on a link,
    back-log goes one batch at a time: after an outage a whole district connects in the same minute.
    """

    def __init__(self, window: int, resend_after_s: float) -> None:
        self.senders = {
            lane: Sender(window, resend_after_s, 1 if lane is Lane.ALARM else _LONGEST_RESEND) for lane in ORDER
        }
        self.answered = False
        self.offered = dict.fromkeys(ORDER, 0)
        self.pace: float | None = None
        self._next_backlog = 0.0
        self.resent = 0
        self.unacknowledged_since: float | None = None

    def wants(self, lane: Lane) -> bool:
        """Whether the lane should be refilled from the spool."""
        return self.senders[lane].pending < READ_AHEAD

    def offer(self, lane: Lane, seqs: list[int]) -> None:
        """Take stored sequences of a lane, ascending."""
        for seq in seqs:
            self.senders[lane].offer(seq)
            self.offered[lane] = max(self.offered[lane], seq)

    def due(self, lane: Lane, now: float) -> list[int]:
        """What to send of a lane now."""
        due = self.senders[lane].due(now)
        if lane is not Lane.BACKLOG:
            return due
        if not self.answered:
            known = self.senders[lane].in_flight
            return due[:1] if not known or due[:1] == list(known[:1]) else []
        if self.pace is None:
            return due
        return due[:1] if now >= self._next_backlog else []

    def sent(self, lane: Lane, seq: int, now: float) -> None:
        """Note a sending."""
        sender = self.senders[lane]
        self.resent += seq in sender.in_flight
        sender.sent(seq, now)
        if self.unacknowledged_since is None:
            self.unacknowledged_since = now
        if lane is Lane.BACKLOG and self.pace is not None:
            self._next_backlog = now + 1.0 / self.pace

    def settle(self, ack: Ack, epoch: str) -> dict[Lane, list[SeqRange]]:
        """Apply an acknowledgement; returns, by lane, the ranges to delete from the spool. Other epochs are ignored."""
        settled: dict[Lane, list[SeqRange]] = {}
        for entry in ack.ranges:
            if entry.epoch == epoch:
                self.senders[entry.lane].acknowledge(entry.ranges)
                settled.setdefault(entry.lane, []).extend(entry.ranges)
        for rejection in ack.rejected:
            if rejection.epoch == epoch:
                self.senders[rejection.lane].reject(rejection.seq)
                settled.setdefault(rejection.lane, []).append((rejection.seq, rejection.seq))
        if settled:
            self.unacknowledged_since = None
        self.pace, self.answered = ack.pace, True
        return settled

    def again(self, lane: Lane, seqs: list[int]) -> None:
        """The cloud asks for these once more."""
        for seq in seqs:
            self.senders[lane].offer(seq)

    def disconnected(self) -> None:
        """The link is gone; everything in flight is due again."""
        for sender in self.senders.values():
            sender.disconnected()
        self.answered = False
        self.unacknowledged_since = None
