"""The three lanes of the uplink over the spool: which message goes next, and what an acknowledgement settles."""

from __future__ import annotations

from protocols.delivery import Sender
from protocols.wire import Ack, Lane, SeqRange

ORDER = (Lane.ALARM, Lane.LIVE, Lane.BACKLOG)
READ_AHEAD = 64
_LONGEST_RESEND = 2
"""Telemetry that stays unanswered is sent again after 15, 30, 30 … s; alarms always after 15. Longer would keep a cloud
that is back waiting: of a lane only one message is in flight by then."""


class Lanes:
    """Sequences only; bodies stay in the spool. `refill` says which stored sequences to look for next.

    `pace` bounds how many back-log batches a second are sent, the lower of the gateway's own and the cloud's; None is
    no bound. Until the cloud has answered on a link, back-log goes one batch at a time: after an outage a whole
    district connects in the same minute.
    """

    def __init__(self, window: int, resend_after_s: float, own_pace: float | None = None) -> None:
        self.senders = {
            lane: Sender(window, resend_after_s, 1 if lane is Lane.ALARM else _LONGEST_RESEND) for lane in ORDER
        }
        self.answered = False
        self.offered = dict.fromkeys(ORDER, 0)
        self._own_pace = own_pace
        self.pace = own_pace
        self._resend_after_s = resend_after_s
        self._alarms_since: dict[int, float] = {}
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
            return due[:1] if not self.senders[lane].in_flight else []
        if self.pace is None:
            return due
        return due[:1] if now >= self._next_backlog else []

    def sent(self, lane: Lane, seq: int, now: float) -> None:
        """Note a sending."""
        self.resent += self.senders[lane].sent(seq, now)
        if self.unacknowledged_since is None:
            self.unacknowledged_since = now
        if lane is Lane.ALARM and len(self._alarms_since) < READ_AHEAD:
            self._alarms_since.setdefault(seq, now)
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
        in_flight = self.senders[Lane.ALARM].in_flight
        self._alarms_since = {seq: at for seq, at in self._alarms_since.items() if seq in in_flight}
        self.pace = min((p for p in (ack.pace, self._own_pace) if p is not None), default=None)
        self.answered = True
        return settled

    def doubtful(self, now: float, alarm_answer_s: float) -> bool:
        """Whether an answer is overdue on this link: for an alarm after `alarm_answer_s`, for telemetry when it would
        be sent again.
        """
        since = self.unacknowledged_since
        if since is not None and now - since >= self._resend_after_s:
            return True
        return any(now - at >= alarm_answer_s for at in self._alarms_since.values())

    def wait_s(self, lane: Lane, now: float, at_most: float) -> float:
        """How long a lane with nothing due may sleep: a paced one until its next turn."""
        if lane is not Lane.BACKLOG or self.pace is None or not self.senders[lane].pending:
            return at_most
        left = self._next_backlog - now
        return min(at_most, left) if left > 0 else at_most

    def again(self, lane: Lane, seqs: list[int]) -> None:
        """The cloud asks for these once more."""
        for seq in seqs:
            self.senders[lane].offer(seq)

    def disconnected(self) -> None:
        """The link is gone; everything in flight is due again."""
        for sender in self.senders.values():
            sender.disconnected()
        self.answered = False
        self._alarms_since.clear()
        self.unacknowledged_since = None
