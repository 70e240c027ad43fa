"""A gateway wired as it runs, on a clock that the test moves; nothing of it listens or sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.clock import KeptClock
from edge.clock.timeline import Observed
from edge.config import GatewayConfig
from edge.messages import restored_alarm
from edge.wiring import Gateway, wire
from protocols.wire import AlarmEvent, AlarmKind, Lane, decode_alarm
from tests.support.mosquitto import free_port

NOON = 1_795_060_800.0
"""Twelve o'clock in Shanghai."""


class WiredHome:
    """One folder over which a gateway is wired, and wired again after a restart."""

    def __init__(self, folder: Path, more: dict[str, Any]) -> None:
        self._folder, self._more = folder, more
        self.now = NOON
        self.gateway: Gateway
        self.start()

    def start(self) -> None:
        """Wire it; what the last run has kept is taken up."""
        config = GatewayConfig.model_validate(
            {
                "gateway": {"id": "gw-1", "data_dir": self._folder},
                "cloud_broker": {"host": "127.0.0.1", "port": free_port(), "tls": False},
                "home_broker": {"port": free_port()},
                "metrics": {"port": 0},
                **self._more,
            }
        )
        clock = KeptClock(self._folder / "last-time", lambda: Observed(self.now, self.now - NOON + 20, True))
        self.gateway = wire(config, clock=clock)
        self.gateway.memory.load()

    async def restart(self) -> None:
        """An orderly stop, and a start."""
        gateway = self.gateway
        await gateway.pipeline.commit()
        assert gateway.memory.save(gateway.memory.take())
        self.close()
        self.start()
        now, supervisor = self.gateway.clock.now(), self.gateway.pipeline.supervisor
        kept = [restored_alarm(body) for body in self.gateway.spool.open_alarms()]
        await self.gateway.pipeline.apply(self.gateway.alarms.restore(supervisor.restore(kept), now))

    async def passes(self, seconds: float, tick_s: float = 5.0) -> None:
        """Time goes by."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + tick_s, end)
            await self.gateway.pipeline.tick()

    async def says(self, device: str, metric: str, value: float | bool | str) -> None:
        """A device reports."""
        kind = {bool: "vb", str: "vs"}.get(type(value), "v")
        shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else repr(value).replace("'", '"')
        body = f'[{{"bn":"{device}/","n":"{metric}","{kind}":{shown}}}]'
        await self.gateway.pipeline.take(f"home/v1/{device}/senml", body.encode())

    def alarms(self, *kinds: AlarmKind) -> list[AlarmEvent]:
        """What is on flash for the cloud, of these kinds."""
        spool = self.gateway.spool
        events = [decode_alarm(spool.body(Lane.ALARM, seq) or b"") for seq in spool.after(Lane.ALARM, 0, 1_000)]
        return [event for event in events if event.kind in kinds]

    def close(self) -> None:
        """End the run."""
        self.gateway.executor.shutdown()
        self.gateway.spool.close()


@contextmanager
def wired_home(folder: Path, **more: Any) -> Iterator[WiredHome]:
    """One home, closed at the end; `more` are sections of its configuration."""
    home = WiredHome(folder, more)
    try:
        yield home
    finally:
        home.close()
