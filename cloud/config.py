"""Configuration of `anju-cloud`: one TOML file, validated whole at start; secrets come from files it names."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Seconds = Annotated[float, Field(ge=0)]


class ConfigError(ValueError):
    """The configuration cannot be used; the message has one line per mistake, naming the key."""


class Section(BaseModel):
    """Base of all sections: frozen, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Broker(Section):
    """The MQTT broker the gateways are connected to."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    share_group: str | None = None
    """Name of the shared subscription ($share) of several ingest workers; None where the broker has none."""


class Database(Section):
    """SQL database: a SQLAlchemy URL, sqlite+aiosqlite:///PATH or postgresql+psycopg://…"""

    url: str = "sqlite+aiosqlite:///anju.db"


class InfluxDB(Section):
    """An InfluxDB server: 1.8 with user name and password (or none), 2.x with organisation and token."""

    url: str
    database: str = "anju"
    retention_policy: str = "autogen"
    """Of the raw values. In 2.x the bucket is called DATABASE/RETENTION_POLICY."""
    rollup_policy: str = "rollup"
    """Of the roll-ups, which are kept for ever unless `rollup_retention_days` is set."""
    username: str = ""
    password_file: Path | None = None
    org: str | None = None
    """Organisation of a 2.x server; setting it chooses the 2.x way of creating buckets."""
    token_file: Path | None = None
    timeout_s: Seconds = 10.0


class TimeSeries(Section):
    """Where telemetry goes: the embedded SQLite file, or InfluxDB if that section is given."""

    sqlite_path: Path = Path("timeseries.db")
    influxdb: InfluxDB | None = None
    raw_retention_days: Annotated[float, Field(gt=0)] = 90.0
    rollup_retention_days: Annotated[float, Field(gt=0)] | None = None
    """How long roll-ups are kept; None keeps them for ever."""
    rollup_delay_s: Annotated[float, Field(ge=0)] = 120.0
    """A window is rolled up so long after it ended; what comes later marks it to be computed again."""


class Ingest(Section):
    """Limits of the ingest worker."""

    max_future_s: Seconds = 300.0
    max_age_days: Annotated[float, Field(gt=0)] = 85.0
    """What is older is refused; it must be less than the time the raw values are kept."""
    flush_interval_s: Annotated[float, Field(gt=0, le=5)] = 0.1
    """A batch waits at most so long for others to be written with."""
    flush_batches: Annotated[int, Field(ge=1, le=20_000)] = 2_500
    flush_bytes: Annotated[int, Field(ge=65_536)] = 2_000_000
    max_writers: Annotated[int, Field(ge=1, le=16)] = 3
    """As many writes to the time series at a time, while it keeps up; it starts with one."""
    max_in_flight_batches: Annotated[int, Field(ge=1)] = 60_000
    """Past it batches are left unacknowledged; their gateways send them again."""
    max_in_flight_bytes: Annotated[int, Field(ge=65_536)] = 64_000_000
    ledger_interval_s: Annotated[float, Field(gt=0, le=600)] = 30.0
    quarantine_limit_bytes: Annotated[int, Field(ge=1_000_000)] = 256_000_000


class Supervision(Section):
    """When silence becomes a technical incident."""

    gateway_silent_after_s: Seconds = 2_700.0
    will_grace_s: Seconds = 60.0
    pending_grace_s: Seconds = 5.0
    """How long after `decide_by` the cloud waits for the gateway before it raises the alarm itself."""
    area_outage_homes: Annotated[int, Field(ge=2)] = 10
    area_outage_share: Annotated[float, Field(gt=0, le=1)] = 0.02
    """So many homes of a sub-district (and this share of its gateways) gone within the window are one incident."""
    area_outage_window_s: Annotated[float, Field(ge=10)] = 300.0
    clock_off_s: Seconds = 120.0
    spool_filling_share: Annotated[float, Field(gt=0, le=1)] = 0.8
    rejected_per_hour: Annotated[int, Field(ge=1)] = 20
    gap_after_s: Annotated[float, Field(ge=1)] = 900.0
    """A gap in a gateway's sequence so old is asked for again."""
    worker_silent_after_s: Annotated[float, Field(ge=5)] = 60.0
    timezone: str = "Asia/Shanghai"
    """Where months and days of reports and roll-ups begin."""


class LadderStep(Section):
    """One step of an escalation ladder: after_s seconds without a claim, tell these."""

    after_s: Seconds
    tell: Literal["contacts", "next_contact", "supervisors"]


class Dispatch(Section):
    """Escalation: ladders per priority, claim lease, responders."""

    claim_lease_s: Annotated[float, Field(ge=5)] = 60.0
    ladders: dict[Literal["high", "medium", "low"], tuple[LadderStep, ...]] = {
        "high": (
            LadderStep(after_s=0, tell="contacts"),
            LadderStep(after_s=60, tell="supervisors"),
            LadderStep(after_s=180, tell="supervisors"),
        ),
        "medium": (LadderStep(after_s=30, tell="contacts"), LadderStep(after_s=180, tell="supervisors")),
        "low": (LadderStep(after_s=900, tell="supervisors"),),
    }
    repeat_s: Annotated[float, Field(ge=10)] = 300.0
    """After the last step of a ladder, that step again so often, until somebody claims."""
    location_max_age_s: Seconds = 900.0
    responder_rest_s: Seconds = 300.0


class Notify(Section):
    """The SMS webhook (Standard Webhooks 1.0.0) and what links in messages point to."""

    sms_url: str | None = None
    secret_file: Path | None = None
    inbound_secret_file: Path | None = None
    """Secret the SMS provider signs replies and receipts with."""
    public_url: str = "http://127.0.0.1:8080"
    signature: str = "安居"
    allow_private_addresses: bool = False
    """Allow http and loopback addresses as webhook targets; for a demo or a provider inside the same network."""
    allowed_hosts: tuple[str, ...] = ()
    retry_s: tuple[float, ...] = (0, 2, 5, 15, 30, 60)


class Api(Section):
    """The HTTP server of console, family page, responder page and API."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    session_hours: Annotated[float, Field(gt=0)] = 12.0
    secure_cookie: bool = True
    """False only where the console is served by plain http (a demo on loopback)."""


class Enrolment(Section):
    """The district's certificate authority, and what a new gateway is told."""

    ca_dir: Path | None = None
    """Folder of the authority (`anju-cloud ca init`); without it nobody can enrol."""
    broker_host: str = "localhost"
    broker_port: Annotated[int, Field(ge=1, le=65535)] = 8883
    """Where gateways reach the broker, from outside."""
    token_hours: Annotated[float, Field(gt=0, le=2_160)] = 168.0
    certificate_days: Annotated[float, Field(ge=1, le=3_650)] = 398.0


class Metrics(Section):
    """Prometheus on loopback; port 0 turns it off."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65532)] = 9108
    """Of a process with all roles, or `alarms`; one of `telemetry`, `dispatch`, `api` alone has the next ones."""


class CloudConfig(Section):
    """Everything `anju-cloud` needs to start."""

    broker: Broker = Broker()
    database: Database = Database()
    timeseries: TimeSeries = TimeSeries()
    ingest: Ingest = Ingest()
    supervision: Supervision = Supervision()
    dispatch: Dispatch = Dispatch()
    notify: Notify = Notify()
    api: Api = Api()
    metrics: Metrics = Metrics()
    enrolment: Enrolment = Enrolment()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"

    @model_validator(mode="after")
    def _ages(self) -> CloudConfig:
        kept = self.timeseries.raw_retention_days
        if self.ingest.max_age_days >= kept:
            raise ValueError(f"ingest.max_age_days must be less than timeseries.raw_retention_days ({kept:g})")
        return self


def read_secret(path: Path) -> str:
    """The first line of a secret's file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def load(path: Path) -> CloudConfig:
    """Read and validate `path`. Raises ConfigError."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return CloudConfig.model_validate(raw)
    except ValidationError as error:
        lines = (f"{path}: {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ConfigError("\n".join(lines)) from None
