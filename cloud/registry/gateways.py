"""Which home a gateway stands in, kept in memory and read again when the registry has changed."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import select

from cloud.context import Context, Work
from cloud.db.schema import gateways, registry_version
from cloud.db.upsert import upsert
from protocols.errors import ProtocolError, Reason
from protocols.topics import Down, Up, down, parse_up, up

_FRESH_S = 5.0
_SLICE = 5_000
_ONLY = 1


class Route:
    """A gateway as ingest needs it: its home, and where its acknowledgements go."""

    __slots__ = ("ack_topic", "gateway", "home")

    def __init__(self, gateway: str, home: str) -> None:
        self.gateway = gateway
        self.home = home
        self.ack_topic = down(gateway, Down.ACK).encode()


class GatewayDirectory:
    """Looks up gateways; a new or revoked one is known after five seconds at most, an unknown one is looked for."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._routes: dict[str, Route] = {}
        self._by_topic: dict[str, Route] = {}
        self._version = -1
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._routes)

    async def home_of(self, gateway: str) -> str:
        """The gateway's home. Raises ProtocolError (UNKNOWN_GATEWAY)."""
        await self.refresh()
        route = self._routes.get(gateway)
        if route is None:
            raise _unknown(gateway)
        return route.home

    def route(self, topic: str) -> Route:
        """Where a telemetry message comes from, by its topic, as of the last `refresh`. Raises ProtocolError."""
        route = self._by_topic.get(topic)
        if route is None:
            route = self._routes.get(gateway := parse_up(topic).gateway)
            if route is None:
                raise _unknown(gateway)
            if topic == up(gateway, Up.TELEMETRY):
                self._by_topic[topic] = route
        return route

    async def refresh(self) -> None:
        """Read the registry again if it has changed; asks the database every five seconds at most."""
        if time.monotonic() - self._looked_at < _FRESH_S:
            return
        async with self._looking:
            if time.monotonic() - self._looked_at < _FRESH_S:
                return
            async with self._context.look() as work:
                version = await work.connection.scalar(select(registry_version.c.version))
                if version is None or version != self._version:
                    await self._read(work)
                    self._version = -1 if version is None else version
            self._looked_at = time.monotonic()

    async def _read(self, work: Work) -> None:
        statement = select(gateways.c.id, gateways.c.home_id).where(gateways.c.revoked_at.is_(None))
        rows = (await work.connection.execute(statement)).all()
        routes: dict[str, Route] = {}
        for begin in range(0, len(rows), _SLICE):
            for gateway, home in rows[begin : begin + _SLICE]:
                known = self._routes.get(gateway)
                routes[gateway] = known if known is not None and known.home == home else Route(gateway, home)
            await asyncio.sleep(0)
        self._routes, self._by_topic = routes, {}


async def registry_changed(work: Work) -> None:
    """Tell every process, through the database, that homes or gateways have changed."""
    version = await work.connection.scalar(select(registry_version.c.version))
    await upsert(work.connection, registry_version, [{"id": _ONLY, "version": int(version or 0) + 1}])


def _unknown(gateway: str) -> ProtocolError:
    return ProtocolError(Reason.UNKNOWN_GATEWAY, "topic", f"{gateway} is not registered")
