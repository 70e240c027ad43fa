"""Which message caused each alarm of the gateway's benchmark, and where the time from it to flash went. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.detectors.fall_features import AFTER, RATE_HZ

Event = dict[str, Any]
"""A line `alarm_state` of the gateway's log: written when the alarm is on flash."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One alarm from the publishing of its cause to its log line. `parts`, in ms: `to_gateway` (broker, and waiting to
    be taken), `judging`, `queued` (for the spool's thread), `flash` (the transaction with its fsync), `back` (until the
    event loop goes on).
    """

    kind: str
    state: str
    total_ms: float
    parts: dict[str, float]

    def __str__(self) -> str:
        """One line."""
        parts = ", ".join(f"{name} {ms:.1f}" for name, ms in self.parts.items())
        return f"{self.total_ms:7.1f} ms  {self.kind} {self.state}: {parts}"


def of_flags(events: Sequence[Event], flags: Sequence[tuple[float, bool]]) -> list[Timed]:
    """The alarms of one contact; `flags` is everything it has said, and when it was published.

    Raises ValueError if the alarms are others than these flags must cause.
    """
    causes = list(_changes(flags))
    wanted, found = [state for _, state in causes], [event["state"] for event in events]
    if wanted != found:
        raise ValueError(f"{len(wanted)} alarms were caused and {len(found)} logged, or in another order")
    return [_timed(event, at) for event, (at, _) in zip(events, causes, strict=True)]


def caused(flags: Sequence[tuple[float, bool]]) -> int:
    """How many alarms these flags cause."""
    return len(list(_changes(flags)))


def _changes(flags: Iterable[tuple[float, bool]]) -> Iterator[tuple[float, str]]:
    """Only a change raises or clears."""
    active = False
    for at, value in flags:
        if value is not active:
            active = value
            yield at, "raised" if value else "cleared"


def of_falls(events: Iterable[Event], frames: Mapping[str, Sequence[tuple[float, float]]]) -> list[Timed]:
    """The falls, each with the frame of its own wearable that held the last sample the detector waits for. `frames`:
    when each was published, and the time of its first sample.
    """
    timed: list[Timed] = []
    known: set[str] = set()
    for event in events:
        if event["kind"] != "fall" or event["state"] != "pending" or event["alarm_id"] in known:
            continue  # what the other wearable adds to a question is no alarm of its own
        known.add(event["alarm_id"])
        last = event["at"] + (AFTER + 0.5) / RATE_HZ
        timed.append(_timed(event, max(published for published, start in frames[event["device"]] if start <= last)))
    return timed


def _timed(event: Event, published: float) -> Timed:
    stored = {name: float(event[f"{name}_ms"]) for name in ("queued", "flash", "back")}
    to_gateway = (event["changed_at"] - published) * 1000
    total = (event["ts"] - published) * 1000
    judging = total - to_gateway - sum(stored.values())
    return Timed(event["kind"], event["state"], total, {"to_gateway": to_gateway, "judging": judging} | stored)
