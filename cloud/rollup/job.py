"""The roll-up and retention job: closed windows in order, then those that late data has touched, all restartable.

Theory of operation. `rollup_progress` says up to when the quarters of an hour, and the days, are computed; it moves
only after a window is written, so a killed job computes its window again, with the same result. Marks (see marks.py)
name windows to be computed again for some homes; a mark set while its window is being computed survives. Answers are
taken in pieces, so that neither the store nor this process ever holds a district's. Several dispatch processes
may run the job: a lease lets one work at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from cloud.context import Context
from cloud.db.schema import homes, rollup_progress
from cloud.db.upsert import insert_new, upsert
from cloud.rollup import marks
from cloud.rollup.windows import DAY_S, QUARTER_S, day_of, next_day, quarter_of
from cloud.timeseries.base import Resolution, StoreError, TimeSeriesStore

log = structlog.get_logger()

_HOMES_AT_ONCE = 100
"""Cheapest for InfluxDB: 0.7 ms of CPU for a home's quarter of 720 values, 1.1 by 300 homes."""
_MARKS_AT_ONCE = 3_000
_IDLE_S = 5.0
_AFTER_ERROR_S = 5.0
_LEASE, _LEASE_S = 0, 120
_RETENTION_S = 3_600.0
_REST = 2.0
"""So many times as long as a piece took is nothing done after it: a district's quarter takes its time, and no more."""
_LONGEST_REST_S = 1.0


class RollupJob:
    """Runs until cancelled."""

    def __init__(self, context: Context, store: TimeSeriesStore) -> None:
        self._context = context
        self._store = store
        self._zone = ZoneInfo(context.config.supervision.timezone)
        self._holder = context.rng.getrandbits(20)
        self._lease_until = 0.0
        self._dropped_at = 0.0
        self._levels: dict[str, float] = {}
        self.counts: Counter[str] = Counter()

    def gauges(self) -> dict[str, float]:
        """How far roll-ups lag behind (s), how many windows wait to be computed again, size of the store."""
        return dict(self._levels)

    async def run(self) -> None:
        """Work while there is something to do, else look every few seconds."""
        while True:
            try:
                if await self._lease():
                    if await self.step():
                        continue
                    await self._retain()
                await asyncio.sleep(_IDLE_S)
            except (StoreError, SQLAlchemyError, OSError) as error:
                self.counts["rollup_error"] += 1
                log.warning("rollup_waits", error=str(error).partition("\n")[0][:300])
                await asyncio.sleep(_AFTER_ERROR_S)

    async def step(self) -> bool:
        """Do one piece of work: a closed quarter, a closed day, or one window's marks; False if there is none."""
        done = await self._progress(QUARTER_S)
        due = quarter_of(self._context.now() - self._context.config.timeseries.rollup_delay_s)
        async with self._context.look() as look:
            self._levels = {"rollup_lag_seconds": max(0, due - done), "rollup_marks": await marks.count_marks(look)}
        if done < due:
            self.counts["windows"] += await self.compute(Resolution.QUARTER, done, done + QUARTER_S, None)
            await self._advance(QUARTER_S, done + QUARTER_S)
            return True
        day = await self._progress(DAY_S)
        end = next_day(day, self._zone)
        if end <= done:
            self.counts["windows"] += await self.compute(Resolution.DAY, day, end, None)
            await self._advance(DAY_S, end)
            return True
        return await self._again(done, day)

    async def _again(self, done: int, day_done: int) -> bool:
        async with self._context.look() as look:
            window = await marks.oldest_window(look, done)
            wanted = await marks.marks_of(look, window, _MARKS_AT_ONCE) if window is not None else {}
        if window is None:
            return False
        self.counts["windows_again"] += await self.compute(Resolution.QUARTER, window, window + QUARTER_S, list(wanted))
        day = day_of(window, self._zone)
        if day < day_done:
            await self.compute(Resolution.DAY, day, next_day(day, self._zone), list(wanted))
        async with self._context.work() as work:
            await marks.settle(work, window, wanted)
        return True

    async def compute(self, resolution: Resolution, begin: int, end: int, only: Sequence[str] | None) -> int:
        """Compute one window for `only` these homes, or all; returns how many values were written."""
        written = 0
        names = only if only is not None else await self._homes()
        for first in range(0, len(names), _HOMES_AT_ONCE):
            begun = time.monotonic()
            some = names[first : first + _HOMES_AT_ONCE]
            windows = await self._store.windows(resolution, begin * 1000, end * 1000, some)
            await self._store.write_windows(resolution, windows)
            written += len(windows)
            await self._rest(time.monotonic() - begun)
        return written

    async def _homes(self) -> list[str]:
        async with self._context.look() as look:
            return [row["id"] for row in await look.all(select(homes.c.id).order_by(homes.c.id))]

    async def _rest(self, took: float) -> None:
        """In the daemon: keep the lease, and leave the store to others between two pieces unless roll-ups are late."""
        if not self._lease_until:
            return
        await self._lease()
        if self._levels.get("rollup_lag_seconds", 0.0) <= QUARTER_S:
            await asyncio.sleep(min(_LONGEST_REST_S, _REST * took))

    async def rebuild(self, start: float, end: float) -> AsyncIterator[tuple[float, int]]:
        """Compute everything between two times again; yields the share that is done and the values just written."""
        first = window = quarter_of(start)
        while window < end:
            written = await self.compute(Resolution.QUARTER, window, window + QUARTER_S, None)
            window += QUARTER_S
            yield min(1.0, (window - first) / (end - first)), written
        day = day_of(start, self._zone)
        while (following := next_day(day, self._zone)) <= end:
            yield 1.0, await self.compute(Resolution.DAY, day, following, None)
            day = following

    async def _progress(self, width: int) -> int:
        """Up to when windows of this width are computed; the first time, from the present one on."""
        now = self._context.now()
        first = quarter_of(now) - QUARTER_S if width == QUARTER_S else day_of(now, self._zone)
        async with self._context.work() as work:
            await insert_new(work.connection, rollup_progress, {"width_s": width, "done_until": first})
            found = await work.connection.scalar(
                select(rollup_progress.c.done_until).where(rollup_progress.c.width_s == width)
            )
        oldest = quarter_of(now - self._context.config.timeseries.raw_retention_days * DAY_S)
        return max(int(found or first), oldest)

    async def _advance(self, width: int, until: int) -> None:
        async with self._context.work() as work:
            await upsert(work.connection, rollup_progress, [{"width_s": width, "done_until": until}])

    async def _lease(self) -> bool:
        """Whether this process may work now; asked for again when half of it has passed."""
        now = self._context.now()
        if now < self._lease_until - _LEASE_S / 2:
            return True
        mine = int(now + _LEASE_S) << 20 | self._holder
        async with self._context.work() as work:
            await insert_new(work.connection, rollup_progress, {"width_s": _LEASE, "done_until": 0})
            row = rollup_progress.c.width_s == _LEASE
            held = await work.connection.scalar(select(rollup_progress.c.done_until).where(row).with_for_update())
            if int(held or 0) >> 20 > now and int(held or 0) & 0xFFFFF != self._holder:
                self._lease_until = 0.0
                return False
            await work.run(update(rollup_progress).where(row).values(done_until=mine))
        self._lease_until = now + _LEASE_S
        return True

    async def _retain(self) -> None:
        """Forget what is older than configured, once an hour."""
        now = self._context.now()
        if now - self._dropped_at < _RETENTION_S:
            return
        self._dropped_at = now
        config = self._context.config.timeseries
        ages = {Resolution.RAW: config.raw_retention_days}
        if config.rollup_retention_days is not None:
            ages |= dict.fromkeys((Resolution.QUARTER, Resolution.DAY), config.rollup_retention_days)
        for resolution, days in ages.items():
            self.counts["dropped"] += await self._store.drop_before(resolution, round((now - days * DAY_S) * 1000))
        size = await self._store.size_bytes()
        if size is not None:
            self._levels["timeseries_bytes"] = size
