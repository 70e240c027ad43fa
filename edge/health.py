"""The gateway's view of itself: status messages for the cloud, the local status socket, Prometheus."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog

from edge.clock import Clock
from edge.home.link import HomeLink
from edge.pipeline import Pipeline
from edge.readings import Device
from edge.spool.store import Spool
from edge.spool.wear import written_bytes
from edge.tasks import in_thread
from edge.uplink.link import Uplink
from protocols.wire import SensorStatus, Status, StatusKind

log = structlog.get_logger()

SOCKET_NAME = "status.sock"


@cache
def version() -> str:
    """The installed version of Anju; the package's files are read once."""
    return metadata.version("anju")


class Health:
    """Builds statuses; the spool is asked on its own thread."""

    def __init__(
        self,
        devices: tuple[Device, ...],
        spool: Spool,
        executor: Executor,
        pipeline: Pipeline,
        clock: Clock,
        data: Path,
        config_version: Callable[[], int | None] = lambda: None,
    ) -> None:
        """`config_version` tells which version of the cloud's configuration is in force."""
        self._devices = devices
        self._config_version = config_version
        self._spool = spool
        self._executor = executor
        self._pipeline = pipeline
        self._clock = clock
        self._data = data

    async def status(self, kind: StatusKind, session: str) -> Status:
        """A status of this moment; the will says only that the session is over."""
        now = self._clock.now().wall
        if kind is StatusKind.WILL:
            return Status(v=1, kind=kind, session=session, at=now, clock=self._clock.state())
        pipeline = self._pipeline
        return Status(
            v=1,
            kind=kind,
            session=session,
            at=now,
            clock=self._clock.state(),
            epoch=self._spool.epoch,
            last_seq=await in_thread(self._executor, self._spool.last_seq),
            spool=await in_thread(self._executor, self._spool.status),
            disk_free_bytes=shutil.disk_usage(self._data).free,
            versions=self._versions(),
            sensors=[
                SensorStatus(d.id, pipeline.last_heard.get(d.id), d.interval_s, pipeline.battery.get(d.id))
                for d in self._devices[:256]
            ],
            faults=pipeline.supervisor.alarms.causes,
            counters={
                "accepted": pipeline.accepted,
                "rejected": sum(pipeline.rejected.values()),
                "unknown_devices": len(pipeline.unknown_devices),
                "spool_renewed": self._spool.renewed,
                "disk_written_bytes": written_bytes() or 0,
            },
        )

    def _versions(self) -> dict[str, str]:
        config = self._config_version()
        return {"anju": version()} | ({} if config is None else {"config": str(config)})


async def report(health: Health, uplink: Uplink, pipeline: Pipeline, home: HomeLink) -> dict[str, Any]:
    """What `anju-gateway status --json` prints."""
    status = await health.status(StatusKind.HEARTBEAT, "local")
    assert status.spool is not None
    return {
        "version": version(),
        "at": status.at,
        "clock": status.clock,
        "cloud_connected": uplink.connected,
        "cloud_answering": uplink.answering(),
        "uplink": {
            "trouble": uplink.trouble[0] if uplink.trouble else None,
            "detail": uplink.trouble[1] if uplink.trouble else "",
            "events": dict(uplink.counts),
            "in_flight": {lane: len(sender.in_flight) for lane, sender in uplink.lanes.senders.items()},
            "resent": uplink.lanes.resent,
            "pace": uplink.lanes.pace,
        },
        "home_broker_connected": home.connected,
        "home_events": dict(home.counts),
        "epoch": status.epoch,
        "last_seq": status.last_seq,
        "spool": {"depth": status.spool.depth, "size_bytes": status.spool.size_bytes, "dropped": status.spool.dropped},
        "disk_free_bytes": status.disk_free_bytes,
        "questions_open": pipeline.pending_alarms(),
        "accepted": pipeline.accepted,
        "rejected": {f"{reason} {source}": n for (reason, source), n in pipeline.rejected.items()},
        "unknown_devices": dict(pipeline.unknown_devices),
        "sensors": [
            {"device": s.device, "last_at": s.last_at, "interval_s": s.interval_s, "battery_percent": s.battery_percent}
            for s in status.sensors
        ],
        "memory_bytes": memory_bytes(),
        "cpu_s": sum(os.times()[:2]),
    }


async def serve_status(path: Path, answer: Callable[[], Awaitable[dict[str, Any]]]) -> asyncio.Server:
    """A Unix socket that writes one JSON document to whoever connects; only this user may."""
    path.unlink(missing_ok=True)

    async def handle(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(await answer(), ensure_ascii=False).encode())
        try:
            await asyncio.wait_for(writer.drain(), 5)
        except (TimeoutError, ConnectionError):
            log.info("status_reader_left")
        writer.close()

    server = await asyncio.start_unix_server(handle, path)
    path.chmod(0o600)
    return server


def memory_bytes() -> int:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
