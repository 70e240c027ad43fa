"""The ingest role: two connections to the broker, so that telemetry can never hold up an alarm."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.ingest.connection import BrokerConnection
from cloud.ingest.control import ControlIngest
from cloud.ingest.downlink import send_commands
from cloud.ingest.gaps import GapWatch
from cloud.ingest.rejections import watch_rejections
from cloud.ingest.telemetry import TelemetryIngest
from cloud.registry.gateways import GatewayDirectory
from cloud.timeseries.base import StoreError, TimeSeriesStore
from protocols.topics import Up, up_filter

log = structlog.get_logger()

_GATHER_S = 0.004
_WATCH_S = 15.0
_LASTING_S = 15.0


class IngestWorker:
    """Runs until cancelled; any number may share one subscription where the broker offers it."""

    def __init__(self, context: Context, store: TimeSeriesStore) -> None:
        self._context = context
        self.counts: Counter[str] = Counter()
        directory = GatewayDirectory(context)
        self.telemetry = TelemetryIngest(context, store, directory, self.counts)
        self.control = ControlIngest(context, directory, self.counts)
        self._since: dict[str, float] = {}
        self.gaps = GapWatch(context, store)
        broker = context.config.broker
        name = f"anju-ingest-{uuid.uuid4().hex[:8]}"
        self.control_link = BrokerConnection(
            broker, f"{name}-c", [up_filter(c) for c in (Up.ALARM, Up.STATUS, Up.REPLY)], self.control.take
        )
        self.telemetry_link = BrokerConnection(
            broker, f"{name}-t", [up_filter(Up.TELEMETRY)], self.telemetry.take, qos=0, gather_s=_GATHER_S
        )

    async def run(self) -> None:
        """Run both connections, the writers and the downlink."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.control_link.run())
            group.create_task(self.telemetry_link.run())
            group.create_task(self.control.run(self.control_link.publish))
            group.create_task(self.telemetry.run(self.telemetry_link.publish_many))
            group.create_task(self._downlink())
            group.create_task(self._watch("gaps", self.gaps.step))
            group.create_task(self._watch("rejections", lambda: watch_rejections(self._context)))

    def problems(self) -> list[str]:
        """What is wrong with what this worker stands on, as causes of incidents, once it has lasted a while."""
        now = time.monotonic()
        holding = {
            "timeseries_unavailable": self.telemetry.store_problem is not None,
            "broker_unavailable": not self.control_link.connected,
        }
        self._since = {cause: self._since.get(cause, now) for cause, holds in holding.items() if holds}
        return [cause for cause, since in self._since.items() if now - since >= _LASTING_S]

    def gauges(self) -> dict[str, float]:
        """Levels of this moment."""
        lists = self.telemetry.waiting_list
        return {
            "telemetry_waiting": lists.held,
            "telemetry_waiting_bytes": lists.held_bytes,
            "telemetry_writers": self.telemetry.writers.limit,
            "backlog_pace": self.telemetry.pace.value or 0.0,
            "broker_connected": self.control_link.connected and self.telemetry_link.connected,
            "ledger_unmerged": len(self.telemetry.ledger),
            "gaps": self.gaps.known,
            **self.control.waiting,
        }

    async def _watch(self, name: str, step: Callable[[], Awaitable[int]]) -> None:
        """Look again and again; the counter says how often something was found."""
        while True:
            await asyncio.sleep(_WATCH_S)
            try:
                self.counts[f"{name}_found"] += await step()
            except (StoreError, SQLAlchemyError, OSError) as error:
                log.warning("watch_waits", watch=name, error=str(error).partition("\n")[0])

    async def _downlink(self) -> None:
        while True:
            try:
                if not await send_commands(self._context, self.control_link.publish):
                    await self._context.changes.wait()
            except (SQLAlchemyError, OSError) as error:
                log.warning("downlink_waits", error=str(error).partition("\n")[0])
                await asyncio.sleep(1)
