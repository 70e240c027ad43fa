"""What goes first when room is short: old back-log is thinned a window at a time, then the oldest batches go whole."""

from __future__ import annotations

from edge.spool.file import Gone, SpoolFile
from edge.spool.thinning import WINDOW_S, thin
from protocols.errors import ProtocolError
from protocols.senml import resolve
from protocols.wire import Lane, TelemetryBatch, decode_telemetry, encode

_MOST = 64
"""Messages handled in one transaction: an alarm never waits for more."""


def thin_oldest(file: SpoolFile, lane: Lane) -> int | None:
    """Thin the oldest messages that never were; returns the bytes freed, None if there are none left."""
    found = file.oldest(lane, _MOST, only_whole=True)
    if not found:
        return None
    batches: dict[int, TelemetryBatch] = {}
    bodies: dict[int, bytes | None] = {}
    gone: list[Gone] = []
    for seq, body in found:
        try:
            batch = decode_telemetry(body)
            resolve(batch.records, batch.sent)
        except ProtocolError:
            bodies[seq] = None
            gone.append(Gone("unreadable", 0.0, 0.0, 1, 0))
            continue
        if batches and batch.sent - next(iter(batches.values())).sent > WINDOW_S:
            break
        batches[seq] = batch
    for seq, thinned in zip(batches, thin(list(batches.values())), strict=True):
        bodies[seq] = None if thinned.batch is None else encode(thinned.batch)
        if thinned.gone:
            removed = int(thinned.batch is None)
            gone.append(Gone("thinned", thinned.first, thinned.last, removed, thinned.gone))
    return file.replace(lane, bodies, gone)


def drop_oldest(file: SpoolFile, lane: Lane, wanted: int) -> int:
    """Drop the oldest messages of a lane until `wanted` bytes are free, at most a transaction's worth."""
    bodies: dict[int, bytes | None] = {}
    gone: list[Gone] = []
    freed = 0
    for seq, body in file.oldest(lane, _MOST):
        if freed >= wanted:
            break
        freed += len(body)
        bodies[seq] = None
        gone.append(describe("dropped", body))
    return file.replace(lane, bodies, gone) if bodies else 0


def describe(reason: str, body: bytes) -> Gone:
    """One whole message that goes; a body that cannot be read counts as a message without readings."""
    try:
        batch = decode_telemetry(body)
        times = [record.at for record in resolve(batch.records, batch.sent)]
    except ProtocolError:
        return Gone(reason, 0.0, 0.0, 1, 0)
    return Gone(reason, min(times, default=0.0), max(times, default=0.0), 1, len(times))
