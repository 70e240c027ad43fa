"""Readings taken before the time is known: they wait, are moved once, and are final before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.clock import KeptClock
from edge.clock.timeline import Observed
from edge.config import GatewayConfig
from edge.spool.store import Drained
from edge.wiring import Gateway, wire
from protocols.senml import resolve
from protocols.wire import Clock, Lane, TelemetryBatch, decode_telemetry

NOW = 1_795_000_000.0


class Machine:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.boot, self.synced = 20.0, 20.0, False

    def __call__(self) -> Observed:
        return Observed(self.wall, self.boot, self.synced)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@pytest.fixture
def machine() -> Machine:
    """A Raspberry Pi that has just started in 1970."""
    return Machine()


@pytest.fixture
def gateway(tmp_path: Path, machine: Machine) -> Iterator[Gateway]:
    """A wired gateway on that machine; nothing of it runs."""
    config = GatewayConfig.model_validate(
        {
            "gateway": {"id": "gw-1", "data_dir": tmp_path},
            "cloud_broker": {"host": "127.0.0.1"},
            "devices": [{"id": "oxi", "role": "oximeter"}],
        }
    )
    gateway = wire(config, clock=KeptClock(tmp_path / "last-time", machine))
    yield gateway
    gateway.executor.shutdown()
    gateway.spool.close()


async def _reading(gateway: Gateway, value: int) -> None:
    payload = b'[{"bn":"oxi/","n":"heart_rate","u":"beat/min","v":%d}]' % value
    await gateway.pipeline.take("home/v1/oxi/senml", payload)
    assert await gateway.pipeline.commit()


def _batches(gateway: Gateway) -> list[TelemetryBatch]:
    spool = gateway.spool
    return [decode_telemetry(spool.body(Lane.BACKLOG, seq) or b"") for seq in spool.after(Lane.BACKLOG, 0, 100)]


async def test_moved_once_when_the_time_comes(gateway: Gateway, machine: Machine) -> None:
    """Nothing can be sent until the time is known; then the stamps are true, marked rebased, and stay."""
    await _reading(gateway, 61)
    machine.passes(10)
    await _reading(gateway, 62)
    assert await gateway.pipeline.close_batches() == 0
    machine.passes(20)
    machine.wall, machine.synced = NOW, True
    assert await gateway.pipeline.close_batches() >= 1
    batches = _batches(gateway)
    assert {batch.clock for batch in batches} == {Clock.REBASED}
    assert [r.at for batch in batches for r in resolve(batch.records, NOW)] == [NOW - 30, NOW - 20]
    machine.wall += 3_600
    machine.passes(100)
    await gateway.pipeline.close_batches()
    assert _batches(gateway) == batches


async def test_without_any_time_they_go_unsynced(gateway: Gateway, machine: Machine) -> None:
    """After five minutes without time readings go as they are, marked, rather than wait for ever."""
    await _reading(gateway, 61)
    assert await gateway.pipeline.close_batches() == 0
    machine.passes(301)
    assert await gateway.pipeline.close_batches() == 1
    assert [batch.clock for batch in _batches(gateway)] == [Clock.UNSYNCED]


async def test_held_in_memory_when_the_time_comes(gateway: Gateway, machine: Machine) -> None:
    """Readings that no group commit had taken yet are moved as well; what comes afterwards keeps its stamp."""
    payload = b'[{"bn":"oxi/","n":"heart_rate","u":"beat/min","v":%d}]'
    assert await gateway.pipeline.take("home/v1/oxi/senml", payload % 61)
    machine.passes(10)
    machine.wall, machine.synced = NOW, True
    machine.passes(5)
    assert await gateway.pipeline.take("home/v1/oxi/senml", payload % 62)
    assert await gateway.pipeline.close_batches() == 2
    batches = _batches(gateway)
    assert [batch.clock for batch in batches] == [Clock.REBASED, Clock.SYNCED]
    assert [r.at for batch in batches for r in resolve(batch.records, NOW)] == [NOW - 10, NOW + 5]


async def test_a_devices_own_time_waits_for_ours(gateway: Gateway, machine: Machine) -> None:
    """While the time is not known a device's own stamp cannot be judged: all stamps are by one clock, and moved."""
    payload = b'[{"bn":"oxi/","bt":1794990000.0,"n":"heart_rate","u":"beat/min","v":61}]'
    await gateway.pipeline.take("home/v1/oxi/senml", payload)
    machine.passes(10)
    machine.wall, machine.synced = NOW, True
    await gateway.pipeline.close_batches()
    assert [r.at for batch in _batches(gateway) for r in resolve(batch.records, NOW)] == [NOW - 10]


@pytest.mark.parametrize("looks", range(1, 8))
async def test_the_time_may_come_at_any_moment(gateway: Gateway, machine: Machine, looks: int) -> None:
    """Whichever look at the clock is the first to find it synchronised, a reading's stamp is the true time."""
    left = looks
    observe = Machine.__call__

    def turning(self: Machine) -> Observed:
        nonlocal left
        left -= 1
        if left == 0:
            self.wall, self.synced = NOW, True
        return observe(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Machine, "__call__", turning)
        await gateway.pipeline.take("home/v1/oxi/senml", b'[{"bn":"oxi/","n":"heart_rate","u":"beat/min","v":61}]')
        while left > 0:
            gateway.clock.known()
        await gateway.pipeline.close_batches()
    assert {r.at for batch in _batches(gateway) for r in resolve(batch.records, NOW)} == {NOW}


async def test_what_comes_while_batches_close_is_moved_as_well(gateway: Gateway, machine: Machine) -> None:
    """A reading of the unknown time that arrives between two writes of closing waits for the next time."""
    await _reading(gateway, 61)
    payload = b'[{"bn":"oxi/","n":"heart_rate","u":"beat/min","v":62}]'
    await gateway.pipeline.take("home/v1/oxi/senml", payload)
    late = list(gateway.pipeline._readings)
    gateway.pipeline._readings.clear()
    drain = gateway.spool.drain

    def drain_while_it_comes(limit: int) -> Drained | None:
        gateway.pipeline._readings.extend(late)
        late.clear()
        machine.wall, machine.synced = NOW, True
        return drain(limit)

    gateway.spool.drain = drain_while_it_comes  # type: ignore[method-assign]
    await gateway.pipeline.close_batches()
    await gateway.pipeline.close_batches()
    assert [r.at for batch in _batches(gateway) for r in resolve(batch.records, NOW)] == [NOW, NOW]
