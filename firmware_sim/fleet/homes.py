"""One home of the fleet, as small as it can be, and the accounts of all."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any

_LANES = ("alarm", "live", "backlog")


class FleetHome:
    """What one gateway must know: next numbers, and what is not acknowledged (sequence → time stamp in ms)."""

    __slots__ = (
        "ack_topic",
        "alarm_topic",
        "alarms",
        "answered",
        "backlog_left",
        "epoch",
        "held",
        "index",
        "last_ms",
        "next_seq",
        "pace",
        "topic",
        "unacked",
    )

    def __init__(self, index: int, gateway: str, epoch: str) -> None:
        self.index = index
        self.epoch = epoch
        self.topic = f"anju/v1/{gateway}/up/telemetry".encode()
        self.alarm_topic = f"anju/v1/{gateway}/up/alarm".encode()
        self.ack_topic = f"anju/v1/{gateway}/down/ack"
        self.next_seq = [1, 1, 1]
        self.unacked: tuple[dict[int, int], dict[int, int], dict[int, int]] = ({}, {}, {})
        self.alarms: dict[int, bytes] = {}
        self.held: list[int] = []
        """Live batches (time stamps) that wait for room in the window; numbered when they leave."""
        self.backlog_left = 0
        self.pace: float | None = None
        self.last_ms = 0
        self.answered = False
        """Whether the cloud has said its pace; until then back-log goes one batch at a time."""


@dataclass(slots=True)
class Accounts:
    """Exact numbers of what the fleet has done. `missing` is what was sent and never answered."""

    made: int = 0
    sent: int = 0
    resent: int = 0
    acknowledged: int = 0
    rejected: int = 0
    acknowledged_again: int = 0
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
        names = ("made", "sent", "resent", "acknowledged", "rejected", "missing", "acknowledged_again", "alarms")
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
