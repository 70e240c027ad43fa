"""The two halves of ingest, each with a connection to the broker of its own, so that telemetry never holds up an alarm.

They share nothing, so that each can be a process of its own: in one process an alarm, which waits for the database a
dozen times, waits each time until telemetry leaves the event loop (docs/decisions/ingest.md has the measurement).
"""

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


class AlarmWorker:
    """Alarms, statuses, answers and commands. Runs until cancelled; any number may share one subscription where the
    broker offers it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.counts: Counter[str] = Counter()
        self.control = ControlIngest(context, GatewayDirectory(context), self.counts)
        topics = [up_filter(c) for c in (Up.ALARM, Up.STATUS, Up.REPLY)]
        self._link = BrokerConnection(context.config.broker, f"{_name()}-c", topics, self.control.take)
        self._lasting = _Lasting()

    async def run(self) -> None:
        """Run the connection, what works on its messages, and the downlink."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self.control.run(self._link.publish))
            group.create_task(self._downlink())
            group.create_task(_watch("rejections", lambda: watch_rejections(self._context), self.counts))

    def problems(self) -> list[str]:
        """What is wrong with what this worker stands on, as causes of incidents, once it has lasted a while."""
        return self._lasting.of({"broker_unavailable": not self._link.connected})

    def gauges(self) -> dict[str, float]:
        """Levels of this moment."""
        return {"alarms_connected": self._link.connected, **self.control.waiting}

    async def _downlink(self) -> None:
        while True:
            try:
                if not await send_commands(self._context, self._link.publish):
                    await self._context.changes.wait()
            except (SQLAlchemyError, OSError) as error:
                log.warning("downlink_waits", error=str(error).partition("\n")[0])
                await asyncio.sleep(1)


class TelemetryWorker:
    """Telemetry and its gaps. Runs until cancelled; any number may share one subscription, as above."""

    def __init__(self, context: Context, store: TimeSeriesStore) -> None:
        self.counts: Counter[str] = Counter()
        self.telemetry = TelemetryIngest(context, store, GatewayDirectory(context), self.counts)
        self._gaps = GapWatch(context, store)
        self._link = BrokerConnection(
            context.config.broker,
            f"{_name()}-t",
            [up_filter(Up.TELEMETRY)],
            self.telemetry.take,
            qos=0,
            gather_s=_GATHER_S,
        )
        self._lasting = _Lasting()

    async def run(self) -> None:
        """Run the connection, the writers and the watch for gaps."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run())
            group.create_task(self.telemetry.run(self._link.publish_many))
            group.create_task(_watch("gaps", self._gaps.step, self.counts))

    def problems(self) -> list[str]:
        """What is wrong with what this worker stands on, as causes of incidents, once it has lasted a while."""
        holding = {
            "timeseries_unavailable": self.telemetry.store_problem is not None,
            "broker_unavailable": not self._link.connected,
        }
        return self._lasting.of(holding)

    def gauges(self) -> dict[str, float]:
        """Levels of this moment."""
        lists = self.telemetry.waiting_list
        return {
            "telemetry_connected": self._link.connected,
            "telemetry_waiting": lists.held,
            "telemetry_waiting_bytes": lists.held_bytes,
            "telemetry_writers": self.telemetry.writers.limit,
            "backlog_pace": self.telemetry.pace.value or 0.0,
            "ledger_unmerged": len(self.telemetry.ledger),
            "gaps": self._gaps.known,
        }


class _Lasting:
    """Which of the causes have held without a break for a while."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def of(self, holding: dict[str, bool]) -> list[str]:
        now = time.monotonic()
        self._since = {cause: self._since.get(cause, now) for cause, holds in holding.items() if holds}
        return [cause for cause, since in self._since.items() if now - since >= _LASTING_S]


def _name() -> str:
    return f"anju-ingest-{uuid.uuid4().hex[:8]}"


async def _watch(name: str, step: Callable[[], Awaitable[int]], counts: Counter[str]) -> None:
    """Look again and again; the counter says how often something was found."""
    while True:
        await asyncio.sleep(_WATCH_S)
        try:
            counts[f"{name}_found"] += await step()
        except (StoreError, SQLAlchemyError, OSError) as error:
            log.warning("watch_waits", watch=name, error=str(error).partition("\n")[0])
