"""Builds the gateway, runs its tasks, and closes everything in reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
import structlog

from edge import health, metrics
from edge.alarms import Alarm, Alarms
from edge.alarms.answers import answer
from edge.alarms.outputs import Output, OutputKind
from edge.clock import Clock, KeptClock, system_rng
from edge.commands import Commands
from edge.config import GatewayConfig
from edge.detectors.facade import build
from edge.detectors.routine import RoutineProfile
from edge.fallback.family import Family
from edge.home.link import HomeLink, Take
from edge.measured import Measured
from edge.memory import DetectorMemory
from edge.messages import restored_alarm
from edge.pipeline import Pipeline
from edge.provisioning.renewal import CREDENTIALS, Renewal
from edge.readings import DeviceRole
from edge.remote import RemoteConfig
from edge.sources.build import build_sources
from edge.spool.store import Spool
from edge.supervision.host import look
from edge.supervision.supervisor import Supervisor
from edge.tasks import end_all, in_thread
from edge.telling import family, watch_alarms
from edge.uplink.link import Uplink
from edge.watchdog import PartStoppedError, Pulses, Systemd, watch
from protocols.wire import Told

log = structlog.get_logger()

T = TypeVar("T")

_TICK_S = 0.2
_KEEP_TIME_S = 60.0
_REMEMBER_S = 300.0
"""How often the detectors' memories go to flash; that much of them a power cut may cost."""
_BATCH_IS_LATE_S = 1.0
_PATIENCE_S = 1.0
"""How long a task may take to close its connection before it is told again to end."""
LIMITS_S = {"tick": 10.0, "batches": 330.0, "spool": 30.0, "home": 30.0, "uplink": 60.0}
"""How long a part may be still: `batches` waits up to 300 s by configuration, a flash card may stall for seconds."""


@dataclass(slots=True)
class Gateway:
    """The parts, wired."""

    config: GatewayConfig
    spool: Spool
    executor: ThreadPoolExecutor
    alarms: Alarms
    pipeline: Pipeline
    memory: DetectorMemory
    home: HomeLink
    uplink: Uplink
    fallback: Family
    renewal: Renewal | None
    health: health.Health
    pulses: Pulses
    clock: Clock
    remote: RemoteConfig | None
    measured: Measured


def wire(config: GatewayConfig, remote: RemoteConfig | None = None, clock: Clock | None = None) -> Gateway:
    """Build everything; opens only the spool. Raises SpoolError, ConfigError."""
    clock = clock or KeptClock(config.gateway.data_dir / "last-time")
    pulses = Pulses(LIMITS_S, clock.now().mono)
    rng = system_rng()
    devices = config.home_devices()
    spool = Spool(config.gateway.data_dir / "spool.db", config.spool.limit_bytes)
    executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
    rooms = {d.id: d.room for d in devices}
    alarms = Alarms(rooms, config.alarms.ladders(), rng, config.alarms.merge_s, risks=config.resident.risks)

    async def told(alarm_id: str, whom: Told) -> None:
        await pipeline.apply(alarms.told(alarm_id, whom))

    fallback = family(config, clock, told)
    fallback.load()
    watch, settled = watch_alarms(spool, fallback)
    detectors = build(
        devices,
        spo2_scale_2=config.alarms.spo2_scale_2,
        routine=_profile(config),
        more=config.own_detectors(),
        fall_sensitivity=config.resident.fall_sensitivity,
    )
    sources = build_sources(devices, config.dialect_names())
    pipeline = Pipeline(
        sources=sources,
        supervisor=Supervisor(
            devices,
            sources.seen,
            lambda: look(config.gateway.data_dir),
            lambda: home.connected,
            rng,
            clock.now(),
            fallback.faults,
        ),
        detectors=detectors,
        alarms=alarms,
        spool=spool,
        executor=executor,
        clock=clock,
        answering=lambda: uplink.answering(),
        wake_uplink=lambda: uplink.wake(),
        say=lambda speak: home.say(speak),
        watch=watch,
        max_records=config.telemetry.max_records,
        wait_for_time_s=config.clock.wait_for_time_s,
    )
    config_version = remote.version if remote is not None else _no_version
    own_health = health.Health(devices, spool, executor, pipeline, clock, config.gateway.data_dir, config_version)
    home = HomeLink(
        config.home_broker,
        config.gateway.id,
        _outputs(config),
        config.gateway.lang,
        rng,
        _take_answers(config, alarms, pipeline, clock),
        beating(pulses, "home", clock, pipeline.commit),
        _group_commit_s(config),
        lambda: pipeline.sources.filters() | frozenset(a.topic for a in config.alarms.answers),
    )
    uplink = Uplink(
        broker=config.cloud_broker,
        config=config.uplink,
        gateway=config.gateway.id,
        spool=spool,
        executor=executor,
        clock=clock,
        rng=rng,
        heartbeat_s=config.status.heartbeat_s,
        status=own_health.status,
        on_command=Commands(
            alarms, pipeline, spool, executor, clock, home.say, lambda: uplink.lanes, remote, fallback.stood_down
        ),
        on_settled=settled,
        on_back=pipeline.restate,
        on_reached=remote.reached if remote is not None else _nothing,
    )
    memory = DetectorMemory(config.gateway.data_dir, detectors, pipeline.supervisor.devices)
    renewal = _renewal(config, clock, rng)
    measured = Measured(
        pipeline=pipeline,
        detectors=detectors,
        memory=memory,
        alarms=alarms,
        spool=spool,
        executor=executor,
        uplink=uplink,
        home=home,
        fallback=fallback,
        pulses=pulses,
        clock=clock,
        data=config.gateway.data_dir,
        config_version=config_version,
    )
    return Gateway(
        config, spool, executor, alarms, pipeline, memory, home, uplink, fallback, renewal, own_health, pulses, clock,
        remote, measured,
    )  # fmt: skip


def _group_commit_s(config: GatewayConfig) -> float:
    """A batch is a group commit: one of its own is only for where it comes sooner, or the batch does not come."""
    own, batch = config.spool.group_commit_s, config.telemetry.batch_interval_s
    return own if own < batch else min(own, batch) + _BATCH_IS_LATE_S


async def _nothing() -> None:
    """Nobody waits to hear that the cloud was reached."""


def _no_version() -> None:
    """Nobody but the local file configures this gateway."""


def beating(pulses: Pulses, part: str, clock: Clock, work: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """`work` that is seen to be done."""

    async def beats() -> T:
        result = await work()
        pulses.beat(part, clock.now().mono)
        return result

    return beats


def _renewal(config: GatewayConfig, clock: Clock, rng: random.Random) -> Renewal | None:
    section = config.provisioning
    if section.url is None:
        return None
    folder = config.gateway.data_dir / CREDENTIALS
    return Renewal(section.url, section.ca_file, folder, clock, rng)


def _outputs(config: GatewayConfig) -> tuple[Output, ...]:
    """The configured outputs, and every device whose role is speaker."""
    speakers = [Output(d.id, OutputKind.SPEAKER) for d in config.devices if d.role is DeviceRole.SPEAKER]
    return (*speakers, *(section.output() for section in config.alarms.outputs))


def _take_answers(config: GatewayConfig, alarms: Alarms, pipeline: Pipeline, clock: Clock) -> Take:
    """Voice answers go to the alarms, everything else to the pipeline; a retained answer is an old one."""
    sources = tuple(section.source() for section in config.alarms.answers)
    topics = {source.topic for source in sources}

    async def take(topic: str, payload: bytes, retained: bool) -> bool:
        if topic not in topics:
            return await pipeline.take(topic, payload, retained=retained)
        if not retained and (said := answer(sources, topic, payload)) is not None:
            await pipeline.apply(alarms.press(said, clock.now()))
        return False

    return take


def _profile(config: GatewayConfig) -> RoutineProfile:
    return RoutineProfile(
        ZoneInfo(config.resident.time_zone),
        config.resident.count,
        config.resident.pets,
        config.routine.false_alarms_per_30_days,
    )


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
        "time": _every(_KEEP_TIME_S, clock.keep),
        "memory": _every(_REMEMBER_S, partial(_remember, gateway)),
        "renewal": gateway.renewal.run() if gateway.renewal is not None else _idle(),
        "remote": _every(1.0, gateway.remote.tick if gateway.remote is not None else _nothing),
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


async def _idle() -> None:
    """A part that is not configured."""
    await asyncio.Event().wait()


async def _or_idle(part: Awaitable[None]) -> None:
    """A part that returns because it is not configured; nothing is wrong with that."""
    await part
    await _idle()


async def _remember(gateway: Gateway) -> None:
    await in_thread(gateway.executor, gateway.memory.save, gateway.memory.take())


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
    loop = asyncio.get_running_loop()
    stop = metrics.serve(section.host, section.port, metrics.Collector(loop, gateway.measured))
    try:
        yield
    finally:
        await loop.run_in_executor(None, stop)
