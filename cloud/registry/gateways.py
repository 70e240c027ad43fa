"""Which home a gateway stands in, remembered for a few seconds."""

from __future__ import annotations

import time

from sqlalchemy import select

from cloud.context import Context
from cloud.db.schema import gateways
from protocols.errors import ProtocolError, Reason

_FRESH_S = 10.0


class GatewayDirectory:
    """Looks up gateways; a new or revoked one is known after ten seconds at most."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._homes: dict[str, str] = {}
        self._read_at = float("-inf")

    async def home_of(self, gateway: str) -> str:
        """The gateway's home. Raises ProtocolError (UNKNOWN_GATEWAY)."""
        if time.monotonic() - self._read_at > _FRESH_S:
            await self._read()
        home = self._homes.get(gateway)
        if home is None:
            raise ProtocolError(Reason.UNKNOWN_GATEWAY, "topic", f"{gateway} is not registered")
        return home

    async def _read(self) -> None:
        async with self._context.look() as work:
            rows = await work.all(select(gateways.c.id, gateways.c.home_id).where(gateways.c.revoked_at.is_(None)))
        self._homes = {row["id"]: row["home_id"] for row in rows}
        self._read_at = time.monotonic()
