"""Ledger, gaps, audit, late windows, roll-up job, quarantine and its replay, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from cloud.cli import main
from cloud.context import Context
from cloud.db.schema import commands, incidents, rollup_marks
from cloud.ingest import quarantine
from cloud.ingest.audit import audit
from cloud.ingest.gaps import GapWatch
from cloud.ingest.ledger import Ledger, format_ranges, merge, parse_ranges, stored_ranges
from cloud.ingest.rejections import watch_rejections
from cloud.ingest.replay import replay
from cloud.ingest.telemetry import TelemetryIngest
from cloud.registry.gateways import GatewayDirectory
from cloud.rollup.job import RollupJob
from cloud.rollup.windows import quarter_of
from cloud.timeseries.base import Delivery, Resolution
from cloud.timeseries.sqlite import SqliteStore
from protocols.wire import SendAgain, decode_command
from tests.conftest import ManualClock
from tests.support.district import EPOCH, GATEWAY, HOME, settle
from tests.support.incidents import rows_of

TOPIC = f"anju/v1/{GATEWAY}/up/telemetry"


def _batch(at: float, seq: int, /, metric: str = "heart_rate", **changed: Any) -> bytes:
    records = [{"bn": "oxi-1/", "bt": at, "n": metric, "v": 71}]
    batch = {"v": 1, "epoch": EPOCH, "lane": "live", "seq": seq, "clock": "synced", "sent": at, "records": records}
    return json.dumps(batch | changed).encode()


async def _ingest(context: Context, store: SqliteStore, *payloads: bytes) -> None:
    ingest = TelemetryIngest(context, store, GatewayDirectory(context), Counter())
    for payload in payloads:
        ingest.take(TOPIC, payload, False)
    await ingest.flush()


def test_ranges_are_written_as_postgresql_does() -> None:
    """Half-open, and back."""
    ranges = [(1, 5), (8, 8), (10, 2**53)]
    assert format_ranges(ranges) == "{[1,6),[8,9),[10,9007199254740993)}"
    assert parse_ranges(format_ranges(ranges)) == ranges
    assert parse_ranges("{}") == []


async def test_ledger_merges_what_workers_saw(context: Context, clock: ManualClock) -> None:
    """Two workers that each saw a part, in disorder and twice, come to one ledger; an error loses nothing."""
    await settle(context)
    one, two = Ledger(), Ledger()
    key = (GATEWAY, EPOCH, "live")
    assert [one.add(key, n) for n in (1, 2, 5, 4, 4, 9)] == [True, True, True, True, False, True]
    for n in (3, 6, 2, 11):
        two.add(key, n)
    taken = one.take()
    one.give_back(taken)
    assert one.take() == {key: [(1, 2), (4, 5), (9, 9)]}
    one.give_back(taken)
    await asyncio.gather(one.checkpoint(context), two.checkpoint(context))
    async with context.look() as look:
        assert await stored_ranges(look, GATEWAY) == {(EPOCH, "live"): [(1, 6), (9, 9), (11, 11)]}
    assert not one.add(key, 5)  # still known from the last checkpoint
    assert one.add(key, 20)
    assert await one.checkpoint(context) == 1
    assert await one.checkpoint(context) == 0


async def test_gaps_are_proven_then_asked_for_once(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """What a killed worker had stored is found in the proofs; only what is truly missing is asked for, once."""
    await settle(context)
    quick = context.config.supervision.model_copy(update={"gap_after_s": 0.0})
    now = Context(context.config.model_copy(update={"supervision": quick}), context.database, context.now)
    async with context.work() as work:
        await merge(work, {(GATEWAY, EPOCH, "live"): [(3, 9), (20, 30)], ("gw-n001", EPOCH, "live"): [(1, 7)]})
    at = round(clock.now * 1000)
    proofs = [Delivery(HOME, GATEWAY, EPOCH, "live", n, at + n, 1) for n in (1, 10, 11, 12, 13, 17, 18, 19)]
    await store.write([], proofs)
    watch = GapWatch(now, store)
    assert await watch.step() == 2
    assert await watch.step() == 0
    assert await GapWatch(now, store).step() == 0  # another worker comes to the same commands
    asked = [decode_command(bytes(row["payload"])) for row in await rows_of(context, commands)]
    assert sorted((c.first, c.last) for c in asked if isinstance(c, SendAgain)) == [(2, 2), (14, 16)]
    async with context.look() as look:
        assert (await stored_ranges(look, GATEWAY))[EPOCH, "live"] == [(1, 1), (3, 13), (17, 30)]
    patient = GapWatch(context, store)
    assert await patient.step() == 0
    assert patient.known == 2


async def test_audit_needs_no_ledger(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """Gaps inside what was sent are named; a gap whose batch was sent at another time is none."""
    at = round(clock.now * 1000)
    sent = {1: at, 2: at + 10, 3: at - 86_400_000, 4: at + 20, 7: at + 30}
    await store.write([], [Delivery(HOME, GATEWAY, EPOCH, "live", n, t, 1) for n, t in sent.items()])
    await store.write([], [Delivery("h-2", "gw-2", EPOCH, "backlog", 5, at, 1)])
    found = await audit(store, clock.now - 60, clock.now + 60)
    assert (found.batches, found.gateways, found.missing_count, found.doubled_count) == (5, 2, 2, 0)
    assert found.missing == {(HOME, GATEWAY, EPOCH, "live"): [(5, 6)]}
    assert found.report()["missing_in"][0]["ranges"] == [(5, 6)]
    assert (await audit(store, clock.now - 60, clock.now + 60, "h-2")).missing_count == 0


async def test_late_data_is_rolled_up_again(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """A closed quarter is computed once; late data marks it before the answer, and its day follows."""
    await settle(context)
    clock.now = quarter_of(clock.now) + 930.0
    begin = quarter_of(clock.now) - 900
    await _ingest(context, store, _batch(begin + 10, 1), _batch(begin + 20, 2))
    assert await rows_of(context, rollup_marks) == []
    job = RollupJob(context, store)
    assert not await job.step()  # the delay for late data has not passed
    clock.now += 900
    while await job.step():
        pass
    span = (HOME, ["heart_rate"], begin - 90_000.0, clock.now)
    (series,) = await store.range(*span, resolution=Resolution.QUARTER)
    assert (series.at, series.values) == ((float(begin),), (71.0,))
    assert job.gauges() == {"rollup_lag_seconds": 0, "rollup_marks": 0}
    await _ingest(context, store, _batch(begin + 30, 3), _batch(begin - 86_400, 4), _batch(clock.now, 5))
    assert sorted(r["window_at"] for r in await rows_of(context, rollup_marks)) == [begin - 86_400, begin]
    while await job.step():
        pass
    assert await rows_of(context, rollup_marks) == []
    (series,) = await store.range(*span, resolution=Resolution.QUARTER)
    assert series.at == (begin - 86_400.0, float(begin))
    (day,) = await store.range(HOME, ["heart_rate"], 0, clock.now, resolution=Resolution.DAY)
    assert len(day.at) == 1


async def test_a_window_that_closes_while_the_store_is_away(
    context: Context, clock: ManualClock, store: SqliteStore
) -> None:
    """Rows that were in time when they were read, and late when they were written, mark their window."""
    await settle(context)
    at = clock.now
    write = store.write

    async def slow(*rows: Any) -> None:
        clock.now += 2_000
        await write(*rows)

    store.write = slow  # type: ignore[assignment,method-assign]
    await _ingest(context, store, _batch(at, 1))
    assert [r["window_at"] for r in await rows_of(context, rollup_marks)] == [quarter_of(at)]


async def test_marks_set_meanwhile_survive(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """Data that comes while its window is being computed again is not forgotten."""
    await settle(context)
    job = RollupJob(context, store)
    await job.step()
    clock.now += 3_600
    while await job.step():
        pass
    at = clock.now - 3_000
    await _ingest(context, store, _batch(at, 1))
    compute = job.compute

    async def slow(*args: Any) -> int:
        written = await compute(*args)
        if not again:
            again.append(True)
            await _ingest(context, store, _batch(at + 1, 2))
        return written

    again: list[bool] = []
    job.compute = slow  # type: ignore[assignment,method-assign]
    assert await job.step()
    assert len(await rows_of(context, rollup_marks)) == 1
    assert await job.step()
    assert await rows_of(context, rollup_marks) == []


async def test_one_job_at_a_time(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """The lease lets one process work; another takes over when the first has died."""
    await settle(context)
    first, second = RollupJob(context, store), RollupJob(context, store)
    assert await first._lease()
    assert not await second._lease()
    clock.now += 61
    assert await first._lease()
    clock.now += 119
    assert not await second._lease()
    clock.now += 10
    assert await second._lease()


async def test_rebuild_gives_the_same(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """Computed again from the values, with its progress."""
    await settle(context)
    day = 1_794_931_200.0  # 2026-11-18 00:00 in the district
    clock.now = day + 2 * 86_400
    await _ingest(context, store, *(_batch(day + i * 3_600, i + 1) for i in range(24)))
    shares = [part async for part in RollupJob(context, store).rebuild(day, day + 86_400)]
    assert shares[-1] == (1.0, 1)
    assert sum(written for _, written in shares) == 24 + 1
    (series,) = await store.range(HOME, ["heart_rate"], day, day + 86_400, resolution=Resolution.DAY)
    assert series.at == (day,)


async def test_quarantine_is_replayed_or_discarded(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """What is wrong no more is stored and settled; what still is stays; what nobody wants is settled with a note."""
    await settle(context)
    future = _batch(clock.now + 4_000, 1)
    await _ingest(context, store, future, _batch(clock.now, 2, metric="pulse"), b"{rubbish")
    async with context.look() as look:
        entries = {row["reason"]: row["id"] for row in await quarantine.held(look)}
        assert [(s["reason"], s["count"]) for s in await quarantine.summary(look)] == [
            ("in_future", 1), ("malformed", 1), ("unknown_metric", 1)
        ]  # fmt: skip
    clock.now += 3_900
    result = await replay(context, store, list(entries.values()), "user:x")
    assert result.replayed == [entries["in_future"]]
    assert "pulse" in str(result.refused[entries["unknown_metric"]])
    (series,) = await store.range(HOME, ["heart_rate"], clock.now, clock.now + 200)
    assert series.values == (71.0,)
    async with context.work() as work:
        assert (
            await quarantine.discard(work, [entries["malformed"], entries["in_future"]], "a test device", "user:x") == 1
        )
    async with context.look() as look:
        states = {row["reason"]: row["state"] for row in await quarantine.held(look, state="all")}
        shown = await quarantine.show(look, entries["malformed"])
        assert await quarantine.held(look, gateway="gw-n001") == []
    assert states == {"in_future": "replayed", "unknown_metric": "held", "malformed": "discarded"}
    assert shown is not None
    assert (bytes(shown["payload"]), shown["note"], shown["settled_by"]) == (b"{rubbish", "a test device", "user:x")


async def test_only_rubbish_is_news(context: Context, clock: ManualClock, store: SqliteStore) -> None:
    """A gateway over the limit is one technical incident, which clears when the hour has passed."""
    await settle(context)
    await _ingest(context, store, *(b"rubbish %d" % i for i in range(19)))
    assert await watch_rejections(context) == 0
    await _ingest(context, store, b"one more")
    assert await watch_rejections(context) == 1
    assert await watch_rejections(context) == 1
    assert [r["cause"] for r in await rows_of(context, incidents)] == ["messages_rejected"]
    clock.now += 3_601
    assert await watch_rejections(context) == 0
    assert [r["state"] for r in await rows_of(context, incidents)] == ["closed"]


async def test_new_and_revoked_gateways(context: Context, clock: ManualClock) -> None:
    """The directory reads the registry again only when it has changed."""
    await settle(context, light_homes=1)
    directory = GatewayDirectory(context)
    await directory.refresh()
    before = len(directory)
    directory._looked_at = float("-inf")
    await settle(context, light_homes=3)
    await directory.refresh()
    assert len(directory) == before + 2
    assert directory.route("anju/v1/gw-n003/up/telemetry").home == "h-n003"


async def test_the_commands(
    context: Context, clock: ManualClock, store: SqliteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each tool answers, names a mistake, and gives its exit code."""
    await settle(context)
    clock.now = 1_795_100_000.0
    await _ingest(context, store, _batch(clock.now, 1), _batch(clock.now + 1, 4), b"rubbish")
    config = tmp_path / "cloud.toml"
    url = context.database.engine.url.render_as_string(hide_password=False)
    config.write_text(f'[database]\nurl = "{url}"\n[timeseries]\nsqlite_path = "{tmp_path}/t.db"\n')

    async def run(*arguments: str) -> tuple[int, str]:
        code = await asyncio.to_thread(main, [*arguments, "--config", str(config)])
        out = capsys.readouterr()
        return code, out.out + out.err

    span = ("--from", "1795000000", "--to", "2026-11-30")
    code, out = await run("audit", "deliveries", *span, "--json", str(tmp_path / "a.json"))
    assert (code, "2 missing" in out, "2-3" in out) == (1, True, True)
    assert json.loads((tmp_path / "a.json").read_text())["missing"] == 2
    assert (await run("audit", "deliveries", "--from", "soon", "--to", "later"))[0] == 2
    code, out = await run("quarantine", "list")
    assert (code, "malformed" in out) == (0, True)
    async with context.look() as look:
        entry = (await quarantine.held(look))[0]["id"]
    assert "rubbish" in (await run("quarantine", "show", str(entry)))[1]
    code, out = await run("quarantine", "replay", str(entry))
    assert (code, "still refused:      1 malformed" in out) == (1, True)
    assert "1 discarded" in (await run("quarantine", "discard", "--reason", "malformed", "--note", "test"))[1]
    assert "nothing is held" in (await run("quarantine", "list"))[1]
    assert "values written" in (await run("rollup", "rebuild", "--from", "1795099000", "--to", "1795101000"))[1]
    assert (await run("report", "unprotected", "--month", "2026-11"))[1].startswith("home_id,")
    assert (await run("report", "unprotected", "--month", "November"))[0] == 2
    assert await rows_of(context, select(incidents).subquery()) == []
