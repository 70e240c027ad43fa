"""The values of all metrics at one moment, taken on the event loop."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

from edge.alarms import Alarms
from edge.clock import Clock
from edge.detectors.facade import Detectors
from edge.fallback.family import Family
from edge.health import memory_bytes, version
from edge.home.link import HomeLink
from edge.memory import DetectorMemory
from edge.metrics import Values, cpu_seconds
from edge.pipeline import Pipeline
from edge.spool.store import Spool
from edge.spool.wear import written_bytes
from edge.tasks import in_thread
from edge.uplink.link import Uplink
from edge.watchdog import Pulses


class Measured:
    """Reads what the parts count."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        detectors: Detectors,
        memory: DetectorMemory,
        alarms: Alarms,
        spool: Spool,
        executor: Executor,
        uplink: Uplink,
        home: HomeLink,
        fallback: Family,
        pulses: Pulses,
        clock: Clock,
        data: Path,
        config_version: Callable[[], int | None],
    ) -> None:
        self._pipeline = pipeline
        self._detectors = detectors
        self._memory = memory
        self._alarms = alarms
        self._spool = spool
        self._executor = executor
        self._uplink = uplink
        self._home = home
        self._fallback = fallback
        self._pulses = pulses
        self._clock = clock
        self._data = data
        self._config_version = config_version

    async def __call__(self) -> Values:
        """All values, by the names of `edge.metrics.FAMILIES`."""
        return {**self._inside(), **await self._stored(), **self._links(), **self._machine()}

    def _inside(self) -> Values:
        pipeline = self._pipeline
        return {
            "accepted": pipeline.accepted,
            "rejected": dict(pipeline.rejected),
            "unknown_devices": len(pipeline.unknown_devices),
            "readings_waiting": pipeline.waiting(),
            "detector": dict(self._detectors.counts),
            "memory": dict(self._memory.counts),
            "alarms": dict(self._alarms.counts),
            "alarms_stored": pipeline.alarm_store.n,
            "alarm_store_seconds": pipeline.alarm_store.seconds,
            "questions_open": pipeline.pending_alarms(),
            "fault": dict.fromkeys(pipeline.supervisor.alarms.causes, 1.0),
        }

    async def _stored(self) -> Values:
        spool = await in_thread(self._executor, self._spool.status)
        return {
            "spool_messages": {str(lane): n for lane, n in spool.depth.items()},
            "spool_bytes": spool.size_bytes,
            "spool_limit_bytes": spool.limit_bytes,
            "spool_dropped": spool.dropped,
            "spool_shed_readings": {shed.reason: shed.readings for shed in spool.shed},
            "spool_renewed": self._spool.renewed,
        }

    def _links(self) -> Values:
        uplink, now = self._uplink, self._clock.now().mono
        since = uplink.lanes.unacknowledged_since
        return {
            "uplink_connected": float(uplink.connected),
            "uplink_answering": float(uplink.answering()),
            "uplink_trouble": {} if uplink.trouble is None else {str(uplink.trouble[0]): 1.0},
            "uplink_in_flight": {str(lane): len(s.in_flight) for lane, s in uplink.lanes.senders.items()},
            "uplink_pace": -1.0 if uplink.lanes.pace is None else uplink.lanes.pace,
            "uplink_oldest_wait_seconds": 0.0 if since is None else now - since,
            "uplink_resent": uplink.lanes.resent,
            "uplink": dict(uplink.counts),
            "home_connected": float(self._home.connected),
            "home": dict(self._home.counts),
            "fallback": dict(self._fallback.counts),
            "fallback_alarms": len(self._fallback.tellings.cases),
            "fallback_unready": dict.fromkeys(self._fallback.unready, 1.0),
        }

    def _machine(self) -> Values:
        return {
            "version": {version(): 1.0},
            "config_version": self._config_version() or 0,
            "clock": {str(self._clock.state()): 1.0},
            "part_still_seconds": self._pulses.ages(self._clock.now().mono),
            "disk_free_bytes": shutil.disk_usage(self._data).free,
            "disk_written_bytes": written_bytes() or 0,
            "memory_bytes": memory_bytes(),
            "cpu_seconds": cpu_seconds(),
        }
