"""Pitfalls of other gateways that need no second process to be shown absent (the rest: tests/acceptance)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.app import run
from edge.clock import EARLIEST_PLAUSIBLE, KeptClock
from edge.clock.kept import write_last_known
from edge.clock.timeline import Observed
from edge.config import GatewayConfig
from edge.spool.store import Drained
from edge.watchdog import PartStoppedError, Systemd
from edge.wiring import Gateway, wire
from protocols.senml import resolve
from protocols.wire import AlarmKind, AlarmState, Clock, Lane, StatusKind, decode_alarm, decode_telemetry
from tests.faults import power
from tests.support.mosquitto import free_port
from tests.support.spool import T, make_batch

NOW = 1_795_000_000.0


class Machine:
    """Clocks that a test sets."""

    def __init__(self, *, wall: float = NOW, synced: bool = True) -> None:
        self.wall, self.boot, self.synced = wall, 20.0, synced

    def __call__(self) -> Observed:
        return Observed(self.wall, self.boot, self.synced)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


Start = Callable[[Machine], Gateway]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Wires a gateway on a machine, over the same folder each time; nothing of it runs."""
    made: list[Gateway] = []

    def begin(machine: Machine) -> Gateway:
        for gateway in made:
            gateway.spool.close()
        config = GatewayConfig.model_validate(
            {
                "gateway": {"id": "gw-1", "data_dir": tmp_path},
                "cloud_broker": {"host": "127.0.0.1", "port": free_port(), "tls": False},
                "home_broker": {"port": free_port()},
                "metrics": {"port": 0},
                "spool": {"limit_bytes": 1_000_000},
                "devices": [
                    {"id": "oxi", "role": "oximeter", "interval_s": 30},
                    {"id": "sos", "role": "sos"},
                    {"id": "pir", "role": "motion", "source": "zigbee2mqtt", "address": "pir", "interval_s": 300},
                ],
            }
        )
        made.append(wire(config, clock=KeptClock(tmp_path / "last-time", machine)))
        return made[-1]

    yield begin
    for gateway in made:
        gateway.executor.shutdown()
        gateway.spool.close()


async def _measure(gateway: Gateway, value: int) -> bool:
    payload = b'[{"bn":"oxi/","n":"heart_rate","u":"beat/min","v":%d}]' % value
    return await gateway.pipeline.take("home/v1/oxi/senml", payload)


def _alarms(gateway: Gateway) -> list[tuple[AlarmKind, str, AlarmState]]:
    spool = gateway.spool
    events = [decode_alarm(spool.body(Lane.ALARM, seq) or b"") for seq in spool.after(Lane.ALARM, 0, 1_000)]
    return [(event.kind, event.reason, event.state) for event in events]


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_pitfall_01_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Disks as power cuts leave them: what was reported as stored is there, and the file opens."""
    report = power.run(20, 11, tmp_path)
    assert report.failed == []
    assert min(report.alarms_promised, report.readings_promised) > 0


async def test_pitfall_04_a_bounded_spool_says_what_it_dropped(start: Start) -> None:
    """Past the limit the oldest telemetry goes, counted and told with its time range; no alarm does."""
    gateway = start(Machine())
    spool = gateway.spool
    await gateway.pipeline.take("home/v1/sos/senml", b'[{"bn":"sos/","n":"sos","vb":true}]')
    for n in range(80):
        rows = tuple(("oxi", "heart_rate", T + 2_000 * n + 4 * i, 60.0 + i % 30) for i in range(450))
        batch = Drained(0, rows)
        spool.append_batch(Lane.BACKLOG, make_batch(Lane.BACKLOG, batch, T + 2_000 * n), batch)
    status = await gateway.health.status(StatusKind.HEARTBEAT, "s")
    assert status.spool is not None
    assert status.spool.size_bytes <= 1_000_000
    shed = {one.reason: one for one in status.spool.shed}
    kept = sum(
        len(resolve(decode_telemetry(spool.body(Lane.BACKLOG, seq) or b"").records, NOW))
        for seq in spool.after(Lane.BACKLOG, 0, 1_000)
    )
    assert kept + sum(one.readings for one in shed.values()) == 80 * 450
    assert shed["thinned"].first >= T
    assert _alarms(gateway) == [(AlarmKind.SOS, "sos_pressed", AlarmState.RAISED)]


async def test_pitfall_06_a_part_that_dies_ends_the_process(start: Start) -> None:
    """The gateway never stays up without one of its parts: it says which, and ends to be started anew."""
    gateway = start(Machine())

    async def dies() -> None:
        raise RuntimeError("a library gave up")

    gateway.uplink.run = dies  # type: ignore[method-assign]
    told: list[str] = []
    with pytest.raises(PartStoppedError, match="uplink"):
        await run(gateway, Systemd({}), asyncio.Event(), lambda error: told.append(str(error)))
    assert told == ["uplink: RuntimeError('a library gave up')"]


async def test_pitfall_08_a_start_in_1970(start: Start, tmp_path: Path) -> None:
    """The kept time is the floor; a press counts though its stamp cannot be judged; stamps are moved once."""
    write_last_known(tmp_path / "last-time", NOW - 600)
    machine = Machine(wall=20.0, synced=False)
    gateway = start(machine)
    assert gateway.clock.now().wall >= NOW - 600 > EARLIEST_PLAUSIBLE
    assert gateway.clock.state() is Clock.UNSYNCED
    pressed = b'[{"bn":"sos/","bt":%f,"n":"sos","vb":true}]' % NOW
    await gateway.pipeline.take("home/v1/sos/senml", pressed)
    assert [kind for kind, _, _ in _alarms(gateway)] == [AlarmKind.SOS]
    await _measure(gateway, 61)
    machine.passes(5)
    machine.wall, machine.synced = NOW + 5, True
    await gateway.pipeline.close_batches()
    (seq,) = gateway.spool.after(Lane.BACKLOG, 0, 10)
    batch = decode_telemetry(gateway.spool.body(Lane.BACKLOG, seq) or b"")
    assert batch.clock is Clock.REBASED
    assert {r.at for r in resolve(batch.records, NOW)} == {NOW}


async def test_pitfall_09_a_dead_sensor_never_looks_alive(start: Start) -> None:
    """A broker that keeps a state and repeats it is no sensor: silence is news, and so is a dying battery."""
    machine = Machine()
    gateway = start(machine)
    gateway.home.connected = True
    state = b'{"occupancy":true,"battery":4}'
    await gateway.pipeline.take("zigbee2mqtt/pir", state)
    for _ in range(100):
        machine.passes(10)
        await gateway.pipeline.take("zigbee2mqtt/pir", state, retained=True)
        await _measure(gateway, 60)
        await gateway.pipeline.tick()
    reasons = [reason for kind, reason, _ in _alarms(gateway) if kind is AlarmKind.TECHNICAL]
    assert reasons.count("sensor_silent") == 1
    assert reasons.count("sensor_battery") == 1
    status = await gateway.health.status(StatusKind.HEARTBEAT, "s")
    heard = {sensor.device: sensor.last_at for sensor in status.sensors}
    assert heard["pir"] == NOW
    assert heard["oxi"] == machine.wall


async def test_pitfall_12_one_write_for_a_group_one_for_an_alarm(start: Start) -> None:
    """A minute of one reading a second is twelve transactions, though the cloud takes every batch; an alarm is one."""
    machine = Machine()
    gateway = start(machine)
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    gateway.spool._file.db.set_trace_callback(count)
    for second in range(60):
        machine.passes(1)
        assert await _measure(gateway, 60 + second % 20)
        if second % 5 == 4:
            await gateway.pipeline.close_batches()
            for seq in gateway.spool.after(Lane.BACKLOG, 0, 10):
                gateway.spool.settle(Lane.BACKLOG, [(seq, seq)])
    assert commits == 12
    assert await gateway.pipeline.commit()
    await gateway.pipeline.take("home/v1/sos/senml", b'[{"bn":"sos/","n":"sos","vb":true}]')
    assert commits == 13
    status = await gateway.health.status(StatusKind.HEARTBEAT, "s")
    assert status.counters["disk_written_bytes"] > 0
