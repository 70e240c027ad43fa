"""Runs the chosen roles in one process until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections import Counter
from collections.abc import Callable, Collection, Coroutine, Iterator
from typing import Any

import structlog
import uvicorn
from sqlalchemy.exc import SQLAlchemyError

from cloud import metrics
from cloud.api.app import build_app
from cloud.api.fanout import Fanout
from cloud.config import CloudConfig, ConfigError
from cloud.context import Context
from cloud.db.bell import Bell
from cloud.db.engine import Database
from cloud.db.migrate import current_revision, wanted_revision
from cloud.dispatch.worker import DispatchWorker
from cloud.ingest.worker import AlarmWorker, TelemetryWorker
from cloud.rollup.job import RollupJob
from cloud.supervision.platform import Heartbeat
from cloud.timeseries.base import StoreError
from cloud.timeseries.open import make_store

log = structlog.get_logger()

_STORE_RETRY_S = 2.0
_STOP_S = 5.0
_BEAT_S = 5.0


class _Server(uvicorn.Server):
    """Leaves signals to us."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def run(config: CloudConfig, roles: Collection[str]) -> None:
    """Run until a signal. Raises ConfigError where the database is not migrated, OSError where a port is taken."""
    _calm_collector()
    context = Context(config, Database(config.database.url))
    store = make_store(config.timeseries)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        found = await current_revision(context.database)
        if found != wanted_revision():
            raise ConfigError(f"the database is at revision {found}, needed is {wanted_revision()}: anju-cloud migrate")
        jobs: list[Coroutine[Any, Any, None]] = [
            _open_store(store),
            Bell(config.database.url, context.changes).run(),
        ]
        server: Coroutine[Any, Any, None] | None = None
        parts: dict[str, Counter[str]] = {}
        measures: list[metrics.Gauges] = []
        problems: list[Callable[[], list[str]]] = []
        takers: list[AlarmWorker | TelemetryWorker] = []
        if "alarms" in roles:
            takers.append(AlarmWorker(context))
            parts["alarms"] = takers[-1].counts
        if "telemetry" in roles:
            takers.append(TelemetryWorker(context, store))
            parts["telemetry"] = takers[-1].counts
        jobs += [taker.run() for taker in takers]
        measures += [taker.gauges for taker in takers]
        problems += [taker.problems for taker in takers]
        if "dispatch" in roles:
            dispatch = DispatchWorker(context)
            parts |= {"dispatch": dispatch.counts, "messages": dispatch.messages.counts}
            rollup = RollupJob(context, store)
            parts["rollup"] = rollup.counts
            jobs += [dispatch.run(), rollup.run()]
            measures.append(rollup.gauges)
        if "api" in roles:
            fanout = Fanout(context)
            parts["api"] = fanout.counts
            jobs.append(fanout.run())
            measures.append(fanout.gauges)
            server = _serve(config, build_app(context, store, fanout), stopping)

        def measure() -> dict[str, float]:
            return {name: level for one in measures for name, level in one().items()}

        jobs.append(_beat(Heartbeat(context, roles), lambda: sorted({p for one in problems for p in one()})))
        with _metrics(config, parts, measure):
            log.info("cloud_started", roles=sorted(roles), http=f"{config.api.host}:{config.api.port}")
            await _until(stopping, jobs, server)
    finally:
        await store.close()
        await context.database.close()
        log.info("cloud_stopped")


def _calm_collector() -> None:
    """What is loaded by now lives as long as the process: the cycle collector need not walk it at every pass.

    Nothing on the way of a batch makes cycles, so that larger generations cost no memory (measured by bench soak).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@contextlib.contextmanager
def _metrics(config: CloudConfig, parts: dict[str, Counter[str]], measure: metrics.Gauges) -> Iterator[None]:
    if config.metrics.port == 0:
        yield
        return
    stop = metrics.serve(config.metrics.host, config.metrics.port, parts, measure)
    try:
        yield
    finally:
        stop()


async def _until(
    stopping: asyncio.Event, jobs: list[Coroutine[Any, Any, None]], server: Coroutine[Any, Any, None] | None
) -> None:
    """Run all; stop when told to, or when one fails. The HTTP server ends by itself, after its open answers."""
    async with asyncio.TaskGroup() as group:
        serving = {group.create_task(server)} if server is not None else set()
        tasks = {group.create_task(job) for job in jobs}
        await stopping.wait()
        for task in tasks:
            task.cancel()
        _, late = await asyncio.wait(tasks | serving, timeout=_STOP_S)
        for task in late:
            task.cancel()


async def _beat(heart: Heartbeat, problems: Callable[[], list[str]]) -> None:
    """Show in the database that this process lives; at the end that it was stopped on purpose."""
    try:
        while True:
            try:
                await heart.beat(problems())
            except (SQLAlchemyError, OSError) as error:
                log.warning("heartbeat_waits", error=str(error).partition("\n")[0])
            await asyncio.sleep(_BEAT_S)
    finally:
        with contextlib.suppress(SQLAlchemyError, OSError):
            await heart.beat([], stopped=True)


async def _open_store(store: Any) -> None:
    """Open the time series; while it is away, alarms work and telemetry waits at the gateways."""
    while True:
        try:
            await store.open()
            break
        except StoreError as error:
            log.warning("timeseries_unavailable", error=str(error))
            await asyncio.sleep(_STORE_RETRY_S)
    await asyncio.Event().wait()


async def _serve(config: CloudConfig, app: Any, stopping: asyncio.Event) -> None:
    server = _Server(
        uvicorn.Config(
            app,
            host=config.api.host,
            port=config.api.port,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=2,
        )
    )
    serving = asyncio.create_task(server.serve())
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    except SystemExit:
        raise OSError(f"cannot listen on {config.api.host}:{config.api.port}") from None
    finally:
        stopped.cancel()
