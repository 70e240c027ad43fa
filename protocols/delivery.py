"""Delivery state without I/O: which sequences are known, which are in flight, which must be sent again."""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from itertools import islice

from protocols.wire import SeqRange


class RangeSet:
    """A set of positive integers kept as disjoint, inclusive, ascending ranges that never touch."""

    def __init__(self, ranges: Iterable[SeqRange] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add_range(first, last)

    def __contains__(self, seq: int) -> bool:
        i = bisect_right(self._firsts, seq) - 1
        return i >= 0 and seq <= self._lasts[i]

    def __iter__(self) -> Iterator[SeqRange]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeSet) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def add(self, seq: int) -> bool:
        """Add one number; False if it was there."""
        if seq in self:
            return False
        self.add_range(seq, seq)
        return True

    def add_range(self, first: int, last: int) -> None:
        """Add `first` to `last` inclusive; raises ValueError unless 1 <= first <= last."""
        if not 1 <= first <= last:
            raise ValueError(f"{first}..{last} is not a range of sequences")
        begin = bisect_right(self._lasts, first - 2)
        end = bisect_right(self._firsts, last + 1)
        if begin < end:
            first = min(first, self._firsts[begin])
            last = max(last, self._lasts[end - 1])
        self._firsts[begin:end] = [first]
        self._lasts[begin:end] = [last]

    def gaps(self, first: int = 1) -> list[SeqRange]:
        """Ranges missing between `first` and the highest number held."""
        missing: list[SeqRange] = []
        expected = first
        for start, last in self:
            if start > expected:
                missing.append((expected, start - 1))
            expected = max(expected, last + 1)
        return missing


class Sender:
    """Delivery of one lane: at most `window` sequences unacknowledged, the oldest first, each sent again after
    `resend_after_s`, then after twice as long, and so on up to `longest` times as long.

    A district whose platform has fallen behind must not bury it under copies. So a lane that may wait takes a missing
    answer for congestion, as TCP does: its window shrinks to one, and each answer makes room for one more. A lane that
    may never wait (alarms) has `longest` 1 and keeps its window. It holds only numbers; the bodies stay in the spool.
    `now` is any monotonic clock in seconds.
    """

    def __init__(self, window: int, resend_after_s: float, longest: int = 1) -> None:
        self.window = window
        self.resend_after_s = resend_after_s
        self._longest = longest
        self._room = window
        self._waiting: OrderedDict[int, int] = OrderedDict()
        """After how many times `resend_after_s` each came back unanswered; 0 if it was not sent on this link."""
        self._in_flight: OrderedDict[int, tuple[float, int]] = OrderedDict()
        """When each is due again, and after how many times `resend_after_s`."""

    @property
    def in_flight(self) -> tuple[int, ...]:
        """Sequences sent and neither acknowledged nor given up, oldest sending first."""
        return tuple(self._in_flight)

    @property
    def pending(self) -> int:
        """How many sequences are not acknowledged."""
        return len(self._waiting) + len(self._in_flight)

    def offer(self, seq: int) -> bool:
        """Take a sequence that must be delivered; False if it is under way already."""
        if seq in self._waiting or seq in self._in_flight:
            return False
        self._waiting[seq] = 0
        return True

    def due(self, now: float) -> list[int]:
        """Sequences to send now, those that were not answered in time before those that never left."""
        overdue = {seq: times for seq, (at, times) in self._in_flight.items() if now >= at}
        if overdue:
            if self._longest > 1:
                self._room = 1
            for seq in overdue:
                del self._in_flight[seq]
            self._waiting = OrderedDict([*sorted(overdue.items()), *self._waiting.items()])
        room = max(0, self._room - len(self._in_flight))
        return list(islice(self._waiting, room))

    def next_due(self) -> float | None:
        """When the oldest one in flight must be sent again; None if nothing is in flight."""
        return min(at for at, _ in self._in_flight.values()) if self._in_flight else None

    def sent(self, seq: int, now: float) -> bool:
        """Note that `seq` was handed to the transport at `now`; True if this link had carried it before."""
        last = self._waiting.pop(seq, None)
        if last is None:
            if seq not in self._in_flight:
                return False
            _, last = self._in_flight.pop(seq)
        times = min(self._longest, max(1, 2 * last))
        self._in_flight[seq] = (now + times * self.resend_after_s, times)
        return last > 0

    def acknowledge(self, ranges: Iterable[SeqRange]) -> list[int]:
        """Settle what the cloud has stored; returns the sequences this settled, ascending. Unknown ones are ignored."""
        spans = list(ranges)
        settled = [seq for seq in (*self._waiting, *self._in_flight) if any(a <= seq <= b for a, b in spans)]
        for seq in settled:
            self._waiting.pop(seq, None)
            self._in_flight.pop(seq, None)
        if settled:
            self._room = min(self.window, self._room + 1)
        return sorted(settled)

    def reject(self, seq: int) -> bool:
        """Settle one the cloud has put into quarantine; False if it is not under way."""
        return bool(self.acknowledge([(seq, seq)]))

    def disconnected(self) -> None:
        """The link is gone: everything in flight waits again, in order, before what never left."""
        again = sorted(self._in_flight)
        self._in_flight.clear()
        self._room = self.window
        self._waiting = OrderedDict.fromkeys(sorted([*again, *self._waiting]), 0)


class Receiver:
    """What one gateway has delivered, per epoch and lane."""

    def __init__(self) -> None:
        self._received: dict[tuple[str, str], RangeSet] = {}

    def receive(self, epoch: str, lane: str, seq: int) -> bool:
        """Note one stored sequence; False if it is a duplicate."""
        return self._received.setdefault((epoch, lane), RangeSet()).add(seq)

    def ranges(self, epoch: str, lane: str) -> list[SeqRange]:
        """What is stored of one epoch and lane."""
        return list(self._received.get((epoch, lane), ()))

    def gaps(self, epoch: str, lane: str) -> list[SeqRange]:
        """What is missing below the highest one stored."""
        return self._received.get((epoch, lane), RangeSet()).gaps()
