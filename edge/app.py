"""Runs the tasks of a wired gateway, and closes everything in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import msgspec
import structlog

from edge import health, metrics
from edge.alarms import Alarm
from edge.messages import restored_alarm
from edge.tasks import Allowance, end_all, in_thread, to_its_end
from edge.watchdog import PartStoppedError, Systemd, watch
from edge.wiring import LIMITS_S, Gateway, beating

log = structlog.get_logger()

_TICK_S = 0.2
_KEEP_TIME_S = 60.0
_REMEMBER_S = 300.0
"""How often the detectors' memories go to flash, detections apart; that much of them a power cut may cost."""
_REMEMBER_AGAIN_S = 5.0
"""A detector that cries without end must not wear out the card."""
_URGENT_AT_ONCE, _URGENT_EVERY_S = 10, 60.0
"""Impacts that may be kept in a row, and how often after that (docs/decisions/flash-writes.md)."""
_PATIENCE_S = 1.0
"""How long a task may take to close its connection before it is told again to end."""


async def run(
    gateway: Gateway, systemd: Systemd, stop: asyncio.Event, broken: Callable[[PartStoppedError], None]
) -> None:
    """Run a wired gateway until `stop` is set, then close it.

    Raises OSError; PartStoppedError, told to `broken` before anything is closed.
    """
    config = gateway.config
    try:
        async with _status_socket(gateway), _metrics(gateway):
            gateway.memory.load()
            now = gateway.clock.now()
            alarms = [alarm for body in gateway.spool.open_alarms() if (alarm := _restored(body)) is not None]
            await gateway.pipeline.apply(gateway.alarms.restore(gateway.pipeline.supervisor.restore(alarms), now))
            gateway.alarms.recall(case.alarm for case in gateway.fallback.tellings.cases.values())
            log.info("gateway_started", gateway=config.gateway.id, epoch=gateway.spool.epoch, open_alarms=len(alarms))
            systemd.tell(READY=1, STATUS=f"gateway {config.gateway.id}")
            await _until_stopped(gateway, systemd, stop, broken)
            await gateway.pipeline.commit()
            await gateway.pipeline.close_batches()
            await _remember(gateway)
    finally:
        gateway.executor.shutdown(wait=True)
        gateway.spool.close()
        log.info("gateway_stopped", gateway=config.gateway.id)


async def _until_stopped(
    gateway: Gateway, systemd: Systemd, stop: asyncio.Event, broken: Callable[[PartStoppedError], None]
) -> None:
    pulses, clock = gateway.pulses, gateway.clock
    tick = beating(pulses, "tick", clock, gateway.pipeline.tick)
    batches = beating(pulses, "batches", clock, partial(_close_batches, gateway))
    parts = {
        "home": gateway.home.run(),
        "uplink": gateway.uplink.run(),
        "fallback": _or_idle(gateway.fallback.run()),
        "tick": _every(_TICK_S, tick),
        "batches": _every(gateway.config.telemetry.batch_interval_s, batches),
        "time": _every(_KEEP_TIME_S, partial(_keep_time, gateway)),
        "memory": remembering(gateway),
        "impacts": keeping_impacts(gateway),
        "renewal": gateway.renewal.run() if gateway.renewal is not None else _idle(),
        "remote": _every(1.0, gateway.remote.tick) if gateway.remote is not None else _idle(),
        "watchdog": watch(pulses, systemd, clock, lambda: _look(gateway)),
    }
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]

    async def until_stop() -> None:
        await stop.wait()

    stopped = asyncio.create_task(until_stop(), name="stop")
    try:
        done, _ = await asyncio.wait([*tasks, stopped], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopped}:
            cause = task.exception()
            error = PartStoppedError(f"{task.get_name()}: {'it ended' if cause is None else repr(cause)}")
            broken(error)
            raise error from cause
    finally:
        await end_all([*tasks, stopped], _PATIENCE_S)


async def _close_batches(gateway: Gateway) -> None:
    """A batch takes all readings to flash, so that no group commit of its own need follow."""
    await gateway.pipeline.close_batches()
    gateway.home.stored()


async def _look(gateway: Gateway) -> None:
    """Ask the spool's thread for an answer; the links beat while they are where they should be."""
    pulses = gateway.pulses
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LIMITS_S["spool"] / 3):
            await in_thread(gateway.executor, gateway.spool.last_seq)
        pulses.beat("spool", gateway.clock.now().mono)
    if not gateway.home.connected:
        pulses.beat("home", gateway.clock.now().mono)
    pulses.beat("uplink", gateway.uplink.moved_at)


async def _keep_time(gateway: Gateway) -> None:
    """Not on the event loop: a flash card may take seconds, and an alarm would wait."""
    if (write := gateway.clock.keep()) is not None:
        await asyncio.to_thread(write)


async def _idle() -> None:
    """A part that is not configured."""
    await asyncio.Event().wait()


async def _or_idle(part: Awaitable[None]) -> None:
    """A part that returns because it is not configured; nothing is wrong with that."""
    await part
    await _idle()


async def remembering(gateway: Gateway) -> None:
    """Keep the detectors' memories now and then, and at once when one has judged: else what it has judged, and somebody
    has answered, would be judged and raised again after a power cut.
    """
    detected = gateway.pipeline.detected
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REMEMBER_S):
                await detected.wait()
        detected.clear()
        await _remember(gateway)
        await asyncio.sleep(_REMEMBER_AGAIN_S)


async def keeping_impacts(gateway: Gateway) -> None:
    """Keep the state of a detector that waits to judge an impact, and drop it when it has: a power cut in those seconds
    must not cost a fall. An allowance bounds what this wears of the card.
    """
    changed, memory = gateway.pipeline.urgent_changed, gateway.memory
    allowance = Allowance(_URGENT_AT_ONCE, _URGENT_EVERY_S)
    while True:
        await changed.wait()
        changed.clear()
        async with memory.writing:
            urgent = gateway.detectors.urgent()
            if not urgent:
                await to_its_end(asyncio.to_thread(memory.drop_urgent))
            elif allowance.take(gateway.clock.now().mono):
                await to_its_end(asyncio.to_thread(memory.save_urgent, memory.take_urgent(urgent)))
            else:
                memory.counts["urgent_not_saved"] += 1


async def _remember(gateway: Gateway) -> None:
    """Not on the spool's thread, where an alarm would wait behind a file of its own; one at a time."""
    async with gateway.memory.writing:
        await to_its_end(asyncio.to_thread(gateway.memory.save, gateway.memory.take()))


async def _every(interval_s: float, work: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(interval_s)
        result = work()
        if asyncio.iscoroutine(result):
            await result


def _restored(body: bytes) -> Alarm | None:
    try:
        return restored_alarm(body)
    except msgspec.DecodeError as error:
        log.critical("open_alarm_unreadable", error=str(error))
        return None


@contextlib.asynccontextmanager
async def _status_socket(gateway: Gateway) -> AsyncIterator[None]:
    async def answer() -> dict[str, object]:
        return await health.report(gateway.health, gateway.uplink, gateway.pipeline, gateway.home) | {
            "still_s": gateway.pulses.ages(gateway.clock.now().mono),
            "config": gateway.remote.describe() if gateway.remote is not None else {},
        }

    path = gateway.config.gateway.data_dir / health.SOCKET_NAME
    server = await health.serve_status(path, answer)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _metrics(gateway: Gateway) -> AsyncIterator[None]:
    section = gateway.config.metrics
    if section.port == 0:
        yield
        return
    server = await metrics.serve(section.host, section.port, gateway.measured())
    try:
        yield
    finally:
        server.close()
