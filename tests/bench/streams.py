"""What many consoles cost: queries of their event streams and how soon each is told, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import event

from cloud.config import CloudConfig
from cloud.config import Database as DatabaseSection
from cloud.context import Context
from cloud.db.engine import Database
from cloud.db.migrate import upgrade
from cloud.incidents.events import record
from cloud.incidents.intake import AlarmIntake
from cloud.incidents.queries import list_incidents
from protocols.wire import AlarmState
from tests.bench import report
from tests.bench.console import percentile
from tests.support.district import GATEWAY, alarm, settle
from tests.support.servers import create_database, postgres
from tests.support.streams import Stream, serving

_IDLE_S = 5.0


@contextlib.contextmanager
def _reads(database: Database) -> Iterator[list[str]]:
    """The statements of streams: selects, without the writer's own look for the last position."""
    made: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("SELECT") and "max(" not in statement and "lock" not in statement:
            made.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield made
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def _told(stream: Stream, position: int, since: float) -> float:
    await stream.read_to(position)
    return (time.perf_counter() - since) * 1000


async def _measure(url: str, folder: Path, many: int, events: int) -> dict[str, float]:
    """`many` streams, idle for some seconds and then told of `events`, one after the other."""
    database = Database(url)
    await upgrade(database)
    context = Context(CloudConfig(database=DatabaseSection(url=url)), database)
    await settle(context)
    await AlarmIntake(context).accept(GATEWAY, alarm(AlarmState.RAISED, 1, context.now()))
    async with context.look() as look:
        (incident,) = await list_incidents(look)
    latencies: list[float] = []
    async with serving(context, folder) as server:
        cookie = await server.sign_in()
        streams = [await server.open(cookie) for _ in range(many)]
        with _reads(database) as idle:
            await asyncio.sleep(_IDLE_S)
        with _reads(database) as busy:
            for _ in range(events):
                async with context.work() as work:
                    position = await record(work, incident["id"], "note", "system", text="x")
                since = time.perf_counter()
                latencies += await asyncio.gather(*(_told(stream, position, since) for stream in streams))
    await database.close()
    latencies.sort()
    return {
        "idle_queries_per_s": len(idle) / _IDLE_S,
        "queries_per_event": len(busy) / events,
        "told_ms_median": percentile(latencies, 50),
        "told_ms_p99": percentile(latencies, 99),
    }


def main() -> int:
    """Entry point of `scripts/bench streams`."""
    parser = report.parser("streams", "queries and latency of event streams")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 30, 100])
    parser.add_argument("--events", type=int, default=50)
    options = parser.parse_args()
    runs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(prefix="anju-bench-") as name, postgres(Path(name)) as port:
        for run in range(options.runs):
            figures: dict[str, float] = {}
            for kind in ("sqlite", "postgresql"):
                for many in options.streams:
                    folder = Path(name) / f"{run}-{kind}-{many}"
                    folder.mkdir()
                    url = f"sqlite+aiosqlite:///{folder}/anju.db"
                    if kind == "postgresql":
                        url = create_database(port, f"streams_{run}_{many}")
                    found = asyncio.run(_measure(url, folder, many, options.events))
                    figures |= {f"{kind}_{many}_{key}": value for key, value in found.items()}
            runs.append(figures)
    return report.finish("streams", options, runs, report.versions())


if __name__ == "__main__":
    raise SystemExit(main())
