"""Silence is news: gateways that leave, fall silent or report a silent sensor become technical incidents."""

from __future__ import annotations

import msgspec
from sqlalchemy import select, update

from cloud.context import Context, Work
from cloud.db.schema import gateways, incidents
from cloud.incidents import technical, timers
from cloud.incidents.states import State
from cloud.incidents.timers import TimerKind
from protocols.wire import Status, StatusKind

_SENSOR_MISSES = 3
_SENSOR_LEAST_S = 60.0


class StatusIntake:
    """Takes the status messages of all gateways."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._silent_sensors: dict[str, set[str]] = {}

    async def accept(self, gateway: str, home: str, status: Status, *, retained: bool) -> None:
        """Commit one status. A will of an older session says nothing; a retained message is no sign of life now."""
        async with self._context.work() as work:
            if status.kind is StatusKind.WILL:
                await self._left(work, gateway, status)
            else:
                await self._alive(work, gateway, home, status, retained)

    async def _left(self, work: Work, gateway: str, status: Status) -> None:
        mine = gateways.c.id == gateway, gateways.c.session == status.session, gateways.c.online.is_(True)
        if await work.run(update(gateways).where(*mine).values(online=False)):
            grace = self._context.config.supervision.will_grace_s
            await timers.schedule(work, TimerKind.GATEWAY_OFFLINE, work.now + grace, gateway_id=gateway)

    async def _alive(self, work: Work, gateway: str, home: str, status: Status, retained: bool) -> None:
        values: dict[str, object] = {"session": status.session, "online": True}
        row = await work.one(select(gateways.c.online, gateways.c.last_seen_at).where(gateways.c.id == gateway))
        if not retained or row is None or row["last_seen_at"] is None:
            values["last_seen_at"] = work.now
        statement = update(gateways).where(gateways.c.id == gateway)
        await work.run(statement.values(**values, status=msgspec.to_builtins(status)))
        if row is not None and not row["online"]:
            await timers.cancel(work, TimerKind.GATEWAY_OFFLINE, gateway_id=gateway)
            for cause in ("gateway_offline", "gateway_silent"):
                await technical.clear_technical(work, home, cause, f"gateway:{gateway}")
        await self._sensors(work, gateway, home, status)

    async def _sensors(self, work: Work, gateway: str, home: str, status: Status) -> None:
        silent = {
            sensor.device
            for sensor in status.sensors
            if sensor.interval_s is not None
            and sensor.last_at is not None
            and status.at - sensor.last_at > max(_SENSOR_MISSES * sensor.interval_s, _SENSOR_LEAST_S)
        }
        known = self._silent_sensors.get(gateway)
        if known is None:
            known = await _open_causes(work, home)
        for device in sorted(silent - known):
            await technical.open_technical(work, home, f"sensor_silent:{device}", f"gateway:{gateway}")
        for device in sorted(known - silent):
            await technical.clear_technical(work, home, f"sensor_silent:{device}", f"gateway:{gateway}")
        self._silent_sensors[gateway] = silent


async def _open_causes(work: Work, home: str) -> set[str]:
    rows = await work.all(
        select(incidents.c.cause).where(
            incidents.c.home_id == home,
            incidents.c["class"] == "technical",
            incidents.c.state != State.CLOSED,
            incidents.c.cause.like("sensor_silent:%"),
        )
    )
    return {row["cause"].partition(":")[2] for row in rows}


async def open_for_silent(context: Context) -> int:
    """Open an incident for every gateway that says it is online and has not been heard for too long."""
    limit = context.config.supervision.gateway_silent_after_s
    async with context.look() as look:
        silent = gateways.c.online.is_(True), gateways.c.last_seen_at < look.now - limit
        rows = await look.all(select(gateways.c.id, gateways.c.home_id).where(*silent, gateways.c.revoked_at.is_(None)))
    for row in rows:
        async with context.work() as work:
            if await work.run(update(gateways).where(gateways.c.id == row["id"], *silent).values(online=False)):
                await technical.open_technical(work, row["home_id"], "gateway_silent", "system")
    return len(rows)
