"""Configuration of `anju-gateway`: one TOML file, validated whole at start; secrets come from files it names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, StringConstraints, ValidationError, field_validator, model_validator

from edge.alarm_config import AlarmsSection, FallbackSection
from edge.alarms.weighing import Risk
from edge.detectors.facade import Listed
from edge.hazard_config import ClimateSection, StoveSection, hazard_detectors
from edge.location_config import LocationSection
from edge.readings import BodyPosition, Device, DeviceRole, Sensitivity
from edge.sections import Identifier, Port, Positive, Section
from edge.sources.build import DialectNames
from edge.sources.tasmota_topics import DEFAULT, FullTopic
from edge.unusual_config import UnusualSection


class ConfigError(ValueError):
    """The configuration cannot be used; the message has one line per mistake, naming the key."""


class GatewaySection(Section):
    """Who this gateway is and where it keeps its data."""

    id: Identifier
    lang: Literal["zh", "en"] = "zh"
    data_dir: Path = Path("/var/lib/anju-gateway")


class HomeBroker(Section):
    """The MQTT broker in the home that the sensors talk to."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password_file: Path | None = None


class CloudBroker(Section):
    """The MQTT broker of the cloud. The user name is the gateway's id."""

    host: str
    port: Port = 8883
    password_file: Path | None = None
    tls: bool = True
    tls_min: Literal["1.2", "1.3"] = "1.3"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None


class SpoolSection(Section):
    """What may wait on flash, and how often readings are put there."""

    limit_bytes: Annotated[int, Field(ge=1_000_000)] = 512_000_000
    group_commit_s: Annotated[float, Field(gt=0, le=10)] = 5.0


class TelemetrySection(Section):
    """How readings become batches."""

    batch_interval_s: Annotated[float, Field(gt=0, le=300)] = 5.0
    max_records: Annotated[int, Field(ge=1, le=1000)] = 500


class UplinkSection(Section):
    """Delivery to the cloud: window and re-sending per lane, waiting between connections, keep-alive."""

    window: Annotated[int, Field(ge=1, le=64)] = 4
    resend_after_s: Positive = 15.0
    backoff_first_s: Positive = 1.0
    backoff_limit_s: Positive = 120.0
    refused_first_s: Positive = 30.0
    refused_limit_s: Positive = 900.0
    """After a refusal by the broker (certificate, password, access list) somebody must act first."""
    backlog_per_s: Annotated[float, Field(gt=0, le=1000)] = 20.0
    """Back-log batches a second at most; the cloud may ask for fewer."""
    alarm_answer_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    probe_s: Annotated[float, Field(gt=0, le=60)] = 4.0
    """An alarm without an answer for `alarm_answer_s` makes the gateway ask the broker; `probe_s` is how long it may
    take. Their sum is how late a half-open link is noticed while an alarm waits.
    """
    keepalive_s: Annotated[int, Field(ge=2, le=600)] = 20


class ProvisioningSection(Section):
    """Where the certificate is renewed; without `url` it is not."""

    url: str | None = None
    ca_file: Path | None = None
    """Authority of the address, where the system does not know it."""


class ClockSection(Section):
    """What a start without a synchronised clock does."""

    wait_for_time_s: Annotated[float, Field(ge=0, le=3600)] = 300.0
    """How long readings wait on flash for the time, to be moved once; 0 where the machine's clock keeps it (an RTC)."""


class MetricsSection(Section):
    """Prometheus; port 0 turns it off."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 9107


class StatusSection(Section):
    """How often the cloud hears that the gateway lives."""

    heartbeat_s: Positive = 60.0


class DialectsSection(Section):
    """Base topics of the dialects in this home, and the FullTopics of its Tasmota boards where they are not the usual
    one; `receivers` says in which room each Bluetooth receiver stands.
    """

    zigbee2mqtt: str = "zigbee2mqtt"
    homeassistant: str = "homeassistant"
    theengs: str = "home"
    owntracks: str = "owntracks"
    tasmota: Annotated[tuple[str, ...], Field(min_length=1, max_length=16)] = (DEFAULT,)
    receivers: dict[str, str] = Field(default_factory=dict)

    @field_validator("tasmota")
    @classmethod
    def _full_topics(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            FullTopic(pattern)
        return patterns


class ResidentSection(Section):
    """Who lives here."""

    count: Annotated[int, Field(ge=1, le=20)] = 1
    """With several, a closed outside door does not mean that the home is empty."""
    pets: bool = False
    """Motion alone is then no sign of a person where other sensors exist."""
    risks: frozenset[Risk] = frozenset()
    """What makes some dangers greater: dementia, falls, heart_or_lung, frail."""
    time_zone: str = "Asia/Shanghai"
    fall_sensitivity: Sensitivity = Sensitivity.NORMAL

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"{name!r} is no time zone") from None
        return name


class RoutineSection(Section):
    """How the home's rhythm is watched."""

    false_alarms_per_30_days: Annotated[float, Field(gt=0, le=15)] = 1.0


class DeviceSection(Section):
    """One device in the home."""

    id: Identifier
    role: DeviceRole
    room: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,64}$")] | None = None
    position: BodyPosition = BodyPosition.UNKNOWN
    interval_s: Positive | None = None
    source: Literal["anju", "zigbee2mqtt", "homeassistant", "tasmota", "theengs", "owntracks"] = "anju"
    address: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    person: Identifier | None = None
    actions: dict[str, Literal["cancel", "help", "sos"]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_address(self) -> Self:
        if self.source != "anju" and self.address is None:
            raise ValueError(f"{self.id}: a device of {self.source} needs its address there")
        return self


class GatewayConfig(Section):
    """Everything `anju-gateway` needs to start."""

    gateway: GatewaySection
    home_broker: HomeBroker = HomeBroker()
    cloud_broker: CloudBroker
    alarms: AlarmsSection = AlarmsSection()
    spool: SpoolSection = SpoolSection()
    telemetry: TelemetrySection = TelemetrySection()
    uplink: UplinkSection = UplinkSection()
    fallback: FallbackSection = FallbackSection()
    provisioning: ProvisioningSection = ProvisioningSection()
    clock: ClockSection = ClockSection()
    metrics: MetricsSection = MetricsSection()
    status: StatusSection = StatusSection()
    dialects: DialectsSection = DialectsSection()
    resident: ResidentSection = ResidentSection()
    routine: RoutineSection = RoutineSection()
    location: LocationSection = LocationSection()
    climate: ClimateSection = ClimateSection()
    stove: StoveSection = StoveSection()
    unusual: UnusualSection = UnusualSection()
    devices: tuple[DeviceSection, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _check(self) -> Self:
        seen: set[str] = set()
        for device in self.devices:
            if device.id in seen:
                raise ValueError(f"devices: {device.id} is listed twice")
            seen.add(device.id)
        for door in self.location.doors:
            if door not in seen:
                raise ValueError(f"location.doors: there is no device {door}")
        self.unusual.detectors(self.home_devices())
        return self

    def home_devices(self) -> tuple[Device, ...]:
        """The devices as the sources and detectors want them."""
        return tuple(
            Device(
                d.id, d.role, d.room, d.position, d.interval_s, d.source, d.address, d.person, tuple(d.actions.items())
            )
            for d in self.devices
        )

    def own_detectors(self) -> list[Listed]:
        """The detectors that have a section of their own."""
        devices = self.home_devices()
        hazards = hazard_detectors(devices, self.climate, self.stove)
        unusual = self.unusual.detectors(devices)
        return [*self.location.detectors(devices, self.resident.time_zone), *hazards, *unusual]

    def dialect_names(self) -> DialectNames:
        """Base topics as the sources want them."""
        return DialectNames(**self.dialects.model_dump())


def load(path: Path, overlay: Mapping[str, Any] | None = None) -> GatewayConfig:
    """Read and validate `path`, with the sections of `overlay` laid over it key by key. Raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    for section, value in (overlay or {}).items():
        below = raw.get(section)
        raw[section] = below | value if isinstance(below, dict) and isinstance(value, dict) else value
    try:
        return GatewayConfig.model_validate(raw)
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors())
        raise ConfigError("\n".join(lines)) from None


def read_secret(path: Path) -> str:
    """The first line of a secret file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
