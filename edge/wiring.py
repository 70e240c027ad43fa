"""Which part of the gateway is handed which: built once at the start, nothing runs yet."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar
from zoneinfo import ZoneInfo

from edge import health
from edge.alarms import Alarms
from edge.alarms.answers import answer
from edge.alarms.outputs import Output, OutputKind
from edge.clock import Clock, KeptClock, system_rng
from edge.commands import Commands
from edge.config import GatewayConfig
from edge.detectors.facade import Detectors, build
from edge.detectors.routine import RoutineProfile
from edge.fallback.family import Family
from edge.home.link import HomeLink, Take
from edge.measured import Measured
from edge.memory import DetectorMemory
from edge.pipeline import Pipeline
from edge.provisioning.renewal import CREDENTIALS, Renewal
from edge.readings import Device, DeviceRole
from edge.remote import Answer, RemoteConfig
from edge.residents import Residents
from edge.sources.base import Seen
from edge.sources.build import build_sources
from edge.spool.store import Spool
from edge.supervision.host import look
from edge.supervision.supervisor import Supervisor
from edge.telling import family, watch_alarms
from edge.uplink.link import Uplink
from edge.watchdog import Pulses
from protocols.wire import Told

T = TypeVar("T")

_BATCH_IS_LATE_S = 1.0
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
    config_version: Callable[[], int | None]
    detectors: Detectors

    def measured(self) -> Measured:
        """What its metrics are read from."""
        return Measured(
            pipeline=self.pipeline,
            detectors=self.detectors,
            memory=self.memory,
            alarms=self.alarms,
            spool=self.spool,
            executor=self.executor,
            uplink=self.uplink,
            home=self.home,
            fallback=self.fallback,
            pulses=self.pulses,
            clock=self.clock,
            data=self.config.gateway.data_dir,
            config_version=self.config_version,
        )


def wire(config: GatewayConfig, remote: RemoteConfig | None = None, clock: Clock | None = None) -> Gateway:
    """Build everything; opens only the spool. Raises SpoolError, ConfigError."""
    clock = clock or KeptClock(config.gateway.data_dir / "last-time")
    pulses = Pulses(LIMITS_S, clock.now().mono)
    rng = system_rng()
    devices = config.home_devices()
    spool = Spool(config.gateway.data_dir / "spool.db", config.spool.limit_bytes)
    executor = ThreadPoolExecutor(1, thread_name_prefix="spool")
    alarms = _alarms(config, devices, rng)

    async def told(alarm_id: str, whom: Told) -> None:
        await pipeline.apply(alarms.told(alarm_id, whom))

    fallback = family(config, clock, told)
    fallback.load()
    watch, settled = watch_alarms(spool, fallback)
    detectors = _detectors(config, devices)
    sources = build_sources(devices, config.dialect_names())
    pipeline = Pipeline(
        sources=sources,
        supervisor=_supervisor(config, devices, sources.seen, lambda: home.connected, rng, clock, fallback, alarms),
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
    home = _home(config, alarms, pipeline, clock, rng, pulses)
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
    memory = DetectorMemory(config.gateway.data_dir, detectors, pipeline.supervisor)
    return Gateway(
        config, spool, executor, alarms, pipeline, memory, home, uplink, fallback, _renewal(config, clock, rng),
        own_health, pulses, clock, remote, config_version, detectors,
    )  # fmt: skip


def _supervisor(
    config: GatewayConfig,
    devices: tuple[Device, ...],
    seen: Callable[[], Iterable[Seen]],
    connected: Callable[[], bool],
    rng: random.Random,
    clock: Clock,
    fallback: Family,
    alarms: Alarms,
) -> Supervisor:
    folder = config.gateway.data_dir
    now = clock.now()
    return Supervisor(devices, seen, lambda: look(folder), connected, rng, now, fallback.faults, alarms.crying)


def _home(
    config: GatewayConfig, alarms: Alarms, pipeline: Pipeline, clock: Clock, rng: random.Random, pulses: Pulses
) -> HomeLink:
    return HomeLink(
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


def _alarms(config: GatewayConfig, devices: tuple[Device, ...], rng: random.Random) -> Alarms:
    return Alarms(
        {d.id: d.room for d in devices},
        config.alarms.ladders(),
        rng,
        config.alarms.merge_s,
        risks=config.resident.risks,
        residents=Residents(devices, config.resident.count),
    )


def _detectors(config: GatewayConfig, devices: tuple[Device, ...]) -> Detectors:
    return build(
        devices,
        spo2_scale_2=config.alarms.spo2_scale_2,
        routine=_profile(config),
        more=config.own_detectors(),
        fall_sensitivity=config.resident.fall_sensitivity,
    )


def _group_commit_s(config: GatewayConfig) -> float:
    """A batch is a group commit: one of its own is only for where it comes sooner, or the batch does not come."""
    own, batch = config.spool.group_commit_s, config.telemetry.batch_interval_s
    return own if own < batch else min(own, batch) + _BATCH_IS_LATE_S


async def _nothing(_answer: Answer) -> None:
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
