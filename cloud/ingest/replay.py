"""Replays quarantined messages after a fix: read, stored and proven as if they came now, then settled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from cloud.context import Context
from cloud.db.schema import quarantine as table
from cloud.incidents.intake import AlarmIntake
from cloud.ingest import quarantine
from cloud.ingest.telemetry import TelemetryIngest
from cloud.registry.gateways import GatewayDirectory
from cloud.timeseries.base import TimeSeriesStore
from protocols.errors import ProtocolError, Reason
from protocols.topics import Up, parse_up
from protocols.wire import decode_alarm


@dataclass(slots=True)
class Replay:
    """What came of it: replayed ids, and why the others still cannot be taken."""

    replayed: list[int] = field(default_factory=list)
    refused: dict[int, ProtocolError] = field(default_factory=dict)


async def replay(context: Context, store: TimeSeriesStore, ids: Sequence[int], by: str) -> Replay:
    """Try held entries again. What is still wrong stays held. Raises StoreError where the store is away."""
    result = Replay()
    async with context.look() as look:
        rows = await look.all(
            select(table).where(table.c.id.in_(list(ids)), table.c.state == "held").order_by(table.c.id)
        )
    directory = GatewayDirectory(context)
    await directory.refresh()
    for row in rows:
        payload = bytes(row["payload"])
        try:
            if len(payload) < row["size"]:
                raise ProtocolError(
                    Reason.OVERSIZED, "quarantine", f"only {len(payload)} of {row['size']} bytes were kept"
                )
            await _one(context, store, directory, row["topic"], payload)
        except ProtocolError as error:
            result.refused[row["id"]] = error
            continue
        result.replayed.append(row["id"])
        async with context.work() as work:
            await quarantine.mark_replayed(work, [row["id"]], by)
    return result


async def _one(
    context: Context, store: TimeSeriesStore, directory: GatewayDirectory, topic: str, payload: bytes
) -> None:
    parsed = parse_up(topic)
    await directory.home_of(parsed.gateway)
    if parsed.channel is Up.ALARM:
        await AlarmIntake(context).accept(parsed.gateway, decode_alarm(payload))
        return
    if parsed.channel is not Up.TELEMETRY:
        raise ProtocolError(Reason.MALFORMED, "topic", "only telemetry and alarms can be replayed")
    ingest = TelemetryIngest(context, store, directory, Counter())
    errors = await ingest.store_one(topic, payload)
    if errors:
        raise errors[0]
