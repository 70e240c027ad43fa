"""One home of the fleet, as small as it can be, and the accounts of all."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

_LANES = ("alarm", "live", "backlog")
WINDOW = 4
Sent = tuple[int, float]
"""Time stamp of a batch (ms), and when it was first sent (monotonic s)."""


class FleetHome:
    """What one gateway must know: next numbers, and what is not acknowledged, by sequence."""

    __slots__ = (
        "alarm_topic",
        "alarms",
        "answered",
        "backlog_left",
        "down",
        "epoch",
        "held",
        "index",
        "last_ms",
        "lost",
        "next_seq",
        "pace",
        "reply_topic",
        "room",
        "topic",
        "unacked",
    )

    def __init__(self, index: int, gateway: str, epoch: str) -> None:
        self.index = index
        self.epoch = epoch
        self.topic = f"anju/v1/{gateway}/up/telemetry".encode()
        self.alarm_topic = f"anju/v1/{gateway}/up/alarm".encode()
        self.reply_topic = f"anju/v1/{gateway}/up/reply".encode()
        self.down = f"anju/v1/{gateway}/down"
        self.next_seq = [1, 1, 1]
        self.unacked: tuple[dict[int, Sent], dict[int, Sent], dict[int, Sent]] = ({}, {}, {})
        self.lost: tuple[dict[int, int], dict[int, int]] | None = None
        """Of live and back-log, what was not answered in time: sequence → how often it was sent. They wait for room."""
        self.room = bytearray((WINDOW, WINDOW))
        """How many live and back-log batches may be in flight: one after a missing answer, one more after each."""
        self.alarms: dict[int, bytes] = {}
        self.held: list[int] = []
        """Live batches (time stamps) that wait for room in the window; numbered when they leave."""
        self.backlog_left = 0
        self.pace: float | None = None
        self.last_ms = 0
        self.answered = False
        """Whether the cloud has said its pace; until then back-log goes one batch at a time."""

    def in_flight(self, lane: int) -> int:
        """How many batches of LIVE or BACKLOG are sent and may still be answered."""
        return len(self.unacked[lane]) - (len(self.lost[lane - 1]) if self.lost else 0)

    def has_room(self, lane: int) -> bool:
        """Whether another batch of LIVE or BACKLOG may be sent now."""
        return self.in_flight(lane) < self.room[lane - 1]

    def missed(self, lane: int, seq: int, times: int) -> None:
        """An answer is missing: protocols/delivery.py says what follows."""
        if self.lost is None:
            self.lost = {}, {}
        self.lost[lane - 1][seq] = times
        self.room[lane - 1] = 1

    def next_lost(self, lane: int) -> tuple[int, int] | None:
        """The oldest that must be sent again, and how often it was sent; None if there is none."""
        if not self.lost or not self.lost[lane - 1]:
            return None
        seq = min(self.lost[lane - 1])
        return seq, self.lost[lane - 1].pop(seq)

    def answered_one(self, lane: int, seq: int) -> None:
        """One of LIVE or BACKLOG is settled."""
        if self.lost is not None:
            self.lost[lane - 1].pop(seq, None)
        if self.room[lane - 1] < WINDOW:
            self.room[lane - 1] += 1


@dataclass(slots=True)
class Accounts:
    """Exact numbers of what the fleet has done. `missing` is what was sent and never answered."""

    made: int = 0
    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    rejected: int = 0
    acknowledged_again: int = 0
    commands: int = 0
    alarms: int = 0
    alarms_acknowledged: int = 0
    unreadable: int = 0
    reconnects: int = 0
    latencies_ms: array[float] = field(default_factory=lambda: array("f"))
    alarm_latencies_ms: array[float] = field(default_factory=lambda: array("f"))

    @property
    def missing(self) -> int:
        """Made and neither acknowledged nor rejected."""
        return self.made - self.acknowledged - self.rejected

    def report(self) -> dict[str, Any]:
        """All figures, with percentiles of the latency from first sending to acknowledgement."""
        names = (
            "made",
            "sent",
            "resent",
            "acknowledged",
            "rejected",
            "missing",
            "acknowledged_again",
            "commands",
            "alarms",
        )
        figures: dict[str, Any] = {name: getattr(self, name) for name in names}
        figures |= {
            "alarms_missing": self.alarms - self.alarms_acknowledged,
            "unreadable": self.unreadable,
            "reconnects": self.reconnects,
        }
        for name, values in (("ack", self.latencies_ms), ("alarm_ack", self.alarm_latencies_ms)):
            ordered = sorted(values)
            for percent in (50, 99):
                place = min(len(ordered) - 1, len(ordered) * percent // 100)
                figures[f"{name}_p{percent}_ms"] = round(ordered[place], 1) if ordered else None
        return figures
