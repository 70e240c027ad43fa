"""What all tests share: how thorough Hypothesis is, where the recordings are, the servers, a cloud's context."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from cloud.config import CloudConfig
from cloud.config import Database as DatabaseSection
from cloud.context import Context
from cloud.db.engine import Database
from cloud.db.migrate import upgrade
from tests.support.servers import Influx2Server, InfluxServer, create_database, influxdb, influxdb2, postgres

CODEC_EXAMPLES = 100_000 if os.environ.get("ANJU_NIGHTLY") else 2_000

settings.register_profile("anju", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("anju")


@pytest.fixture(autouse=True)
def _logs_as_by_default() -> Iterator[None]:
    """A command line that was run in this process has turned the logs to its own streams."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The folder of recordings; tests that need it are skipped where it is missing."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("ANJU_RECORDINGS", default))
    if not (folder / "falls").is_dir():
        pytest.skip(f"no recordings at {folder} (set ANJU_RECORDINGS)")
    return folder


@pytest.fixture(scope="session")
def postgres_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A PostgreSQL for all tests of this process."""
    with postgres(tmp_path_factory.mktemp("pg")) as port:
        yield port


@pytest.fixture(scope="session")
def influx_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InfluxServer]:
    """An InfluxDB for all tests of this process."""
    with influxdb(tmp_path_factory.mktemp("influx")) as server:
        yield server


@pytest.fixture(scope="session")
def influx2_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx2Server]:
    """An InfluxDB 2.7 for all tests of this process; it needs a Rust toolchain to be built, so it may be missing."""
    with influxdb2(tmp_path_factory.mktemp("influx2")) as server:
        if server is None:
            pytest.skip("no InfluxDB 2 (scripts/get-influxdb --v2 builds it where cargo is found)")
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once on each back end."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/anju.db"
    return create_database(request.getfixturevalue("postgres_port"), f"t{uuid.uuid4().hex}")


class ManualClock:
    """Time that a test sets."""

    def __init__(self, now: float = 1_795_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    """The context's clock."""
    return ManualClock()


@pytest.fixture
async def context(database_url: str, clock: ManualClock) -> AsyncIterator[Context]:
    """A migrated database, empty, with a manual clock."""
    database = Database(database_url)
    await upgrade(database)
    config = CloudConfig(database=DatabaseSection(url=database_url))
    yield Context(config, database, now=clock)
    await database.close()
