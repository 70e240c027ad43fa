"""Which readings of old batches may go first: of every series the least, the greatest and the last stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from protocols.metrics import Value
from protocols.senml import resolve
from protocols.telemetry import pack_readings
from protocols.wire import TelemetryBatch

WINDOW_S = 900.0


@dataclass(frozen=True, slots=True)
class Thinned:
    """What became of one batch: None if nothing of it stays; `first` and `last` bound the times of what went."""

    batch: TelemetryBatch | None
    gone: int
    first: float
    last: float


def thin(batches: Sequence[TelemetryBatch]) -> list[Thinned]:
    """Thin batches of one lane, in order. Every reading that stays keeps its batch, its time and its value.

    Numbers: minimum, maximum and last per series and window of `WINDOW_S`. Switches and words: every change, and the
    last. Raises ProtocolError for records that cannot be resolved.
    """
    rows = [(i, r.name, r.at, r.value) for i, b in enumerate(batches) for r in resolve(b.records, b.sent)]
    series: dict[tuple[str, int], list[int]] = {}
    for place, (_, name, at, _) in enumerate(rows):
        series.setdefault((name, int(at // WINDOW_S)), []).append(place)
    stay: set[int] = set()
    for places in series.values():
        stay |= _kept([(p, rows[p][3]) for p in places])
    return [
        _rebuilt(batch, [(r, p in stay) for p, r in enumerate(rows) if r[0] == i]) for i, batch in enumerate(batches)
    ]


def _kept(values: list[tuple[int, Value | None]]) -> set[int]:
    kept = {values[-1][0]}
    numbers = [(float(v), p) for p, v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len(values):
        return kept | {min(numbers)[1], max(numbers)[1]}
    before: Value | None = None
    for place, value in values:
        if value != before:
            kept.add(place)
        before = value
    return kept


def _rebuilt(batch: TelemetryBatch, rows: list[tuple[tuple[int, str, float, Value | None], bool]]) -> Thinned:
    gone = [at for (_, _, at, _), stays in rows if not stays]
    if not gone:
        return Thinned(batch, 0, 0.0, 0.0)
    readings = [(*name.split("/", 1), at, value) for (_, name, at, value), stays in rows if stays and value is not None]
    records = pack_readings(readings)  # type: ignore[arg-type]
    left = msgspec.structs.replace(batch, records=records) if records else None
    return Thinned(left, len(gone), min(gone), max(gone))
