"""The event stream with many consoles, one that does not read, and rights that end; SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, update

from cloud.context import Context
from cloud.db.schema import users
from cloud.incidents.events import EventFeed, record
from tests.conftest import ManualClock
from tests.support.district import settle
from tests.support.incidents import raise_alarm
from tests.support.streams import Server, Stream, serving

_ROUNDS = 10


@pytest.fixture
async def incident(context: Context, clock: ManualClock) -> str:
    """An open incident, about which there will be news."""
    await settle(context)
    return str((await raise_alarm(context, clock))["id"])


async def _happens(context: Context, incident: str, count: int = 1) -> int:
    """Entries in the log, by one transaction; returns the position of the last."""
    last = 0
    async with context.work() as work:
        for _ in range(count):
            last = await record(work, incident, "note", "system", text="x")
    return last


async def _read_to(position: int, *streams: Stream) -> None:
    await asyncio.gather(*(stream.read_to(position) for stream in streams))


@contextmanager
def _queries(context: Context) -> Iterator[Counter[str]]:
    """Counts statements, all and those on `incidents`."""
    counts: Counter[str] = Counter()

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        counts["all"] += 1
        counts["incidents"] += "FROM incidents" in statement

    engine = context.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", count)
    yield counts
    event.remove(engine, "before_cursor_execute", count)


async def test_thirty_consoles_ask_the_database_as_often_as_one(
    context: Context, incident: str, tmp_path: Path
) -> None:
    """What has changed is read once however many listen."""
    cost: dict[int, Counter[str]] = {}
    async with serving(context, tmp_path) as server:
        cookie = await server.sign_in()
        for many in (1, 30):
            streams = await asyncio.gather(*(server.open(cookie) for _ in range(many)))
            with _queries(context) as cost[many]:
                for _ in range(_ROUNDS):
                    await _read_to(await _happens(context, incident), *streams)
            assert {len(stream.positions) for stream in streams} == {_ROUNDS}
            await server.close_streams()
    assert {made["incidents"] for made in cost.values()} == {_ROUNDS}
    assert cost[30]["all"] < 2 * cost[1]["all"]


async def test_nothing_is_lost_or_doubled_by_coming_and_going(context: Context, incident: str, tmp_path: Path) -> None:
    """Consoles break off and resume all the time, while much happens: each sees every position once, in order."""
    rng = random.Random(5)
    begun = await EventFeed(context).latest_position()
    end = begun + sum(1 + n % 3 for n in range(24))

    async def write() -> None:
        for n in range(24):
            await _happens(context, incident, 1 + n % 3)
            await asyncio.sleep(rng.random() / 50)

    async def watch(server: Server, cookie: str) -> list[int]:
        seen: list[int] = []
        while not seen or seen[-1] < end:
            stream = await server.open(cookie, seen[-1] if seen else 0)
            await stream.read_to(end, most=rng.randint(3, 30))
            assert {e["event"] for e in stream.events} == {"incident"}
            seen += stream.positions
            await stream.close()
        return seen

    async with serving(context, tmp_path) as server:
        cookie = await server.sign_in()
        seen, *others, _ = await asyncio.gather(*(watch(server, cookie) for _ in range(5)), write())
    assert seen == list(range(1, end + 1))
    assert others == [seen] * 4


async def test_a_quiet_stream_resumes_too(context: Context, incident: str, tmp_path: Path) -> None:
    """A console that broke off before anything had happened gets what happened meanwhile. One that breaks off before
    it has got what it missed asks for the same again.
    """
    async with serving(context, tmp_path, ping_s=0.1) as server:
        cookie = await server.sign_in()
        stream = await server.open(cookie)
        known = stream.last_id
        await stream.read_until(lambda: stream.pings > 2)
        assert stream.last_id == known
        await stream.close()
        last = await _happens(context, incident, 2)
        again = await server.open(cookie, known)
        assert again.last_id is None
        await _read_to(last, again)
        assert again.positions == [last - 1, last]
        assert again.last_id == last


async def test_a_console_that_does_not_read(context: Context, incident: str, tmp_path: Path) -> None:
    """No more than the limit is kept for it; when it reads again it is told to read the list anew, and goes on.
    The others are not held up by it.
    """
    limit, at_once, rounds = 50, 20, 20
    async with serving(context, tmp_path, limit) as server:
        cookie = await server.sign_in()
        quick, slow = await server.open(cookie), await server.open(cookie)
        begun = await EventFeed(context).latest_position()
        last = begun
        for _ in range(rounds):
            last = await _happens(context, incident, at_once)
            await _read_to(last, quick)
            assert server.fanout.gauges()["stream_waiting_most"] <= limit
        assert server.fanout.counts["stream_resets"] == 1
        await slow.read_to_reset()
        sent = len(slow.positions)
        assert 0 < sent < rounds * at_once
        assert slow.positions == list(range(begun + 1, begun + sent + 1))
        assert slow.events[-1]["id"] == str(last)
        after = await _happens(context, incident)
        await _read_to(after, quick, slow)
        assert [e["event"] for e in slow.events[sent:]] == ["reset", "incident"]
        assert quick.positions == list(range(begun + 1, after + 1))


async def test_more_than_is_kept_is_no_resume(context: Context, incident: str, tmp_path: Path) -> None:
    """From a position too far back, or one that never was, the list is read anew."""
    last = await _happens(context, incident, 30)
    async with serving(context, tmp_path, limit=20) as server:
        cookie = await server.sign_in()
        near = await server.open(cookie, last - 20)
        await _read_to(last, near)
        assert near.positions == list(range(last - 19, last + 1))
        for known in (last - 21, last + 1):
            stream = await server.open(cookie, known)
            await stream.read_to_reset()
            assert stream.events == [{"event": "reset", "data": {}, "id": str(last)}]


async def test_a_stream_ends_with_the_right_to_it(
    context: Context, clock: ManualClock, incident: str, tmp_path: Path
) -> None:
    """Signed out, locked, no operator any more, or expired: what happens after it is not sent, and the stream ends."""
    async with serving(context, tmp_path, ping_s=0.1) as server:
        demo, again, chief = [await server.sign_in(login) for login in ("demo", "demo", "chief")]
        first, second, third = [await server.open(cookie) for cookie in (demo, again, chief)]
        await _read_to(await _happens(context, incident), first, second, third)
        async with server.client(demo) as client:
            assert (await client.post("/api/v1/sign-out")).status_code == 204
        last = await _happens(context, incident)
        await _read_to(last, first, second, third)
        assert (first.ended, len(first.positions)) == (True, 1)
        assert [len(stream.positions) for stream in (second, third)] == [2, 2]
        async with context.work() as work:
            await work.run(update(users).where(users.c.id == "u-demo").values(disabled_at=work.now))
        await second.read_until(lambda: False)  # to its end, though nothing happens
        async with context.work() as work:
            await work.run(update(users).where(users.c.id == "u-chief").values(role="family"))
        await _happens(context, incident)
        await third.read_until(lambda: False)
        assert len(third.positions) == 2
        async with context.work() as work:
            await work.run(update(users).where(users.c.id == "u-chief").values(role="supervisor"))
        fourth = await server.open(chief)
        clock.now += context.config.api.session_hours * 3600
        await fourth.read_until(lambda: False)
        assert server.fanout.counts["streams_no_longer_permitted"] == 4
        assert server.fanout.gauges()["streams_open"] == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_streams_end_while_the_database_is_away(
    context: Context, incident: str, tmp_path: Path, postgres_port: int
) -> None:
    """A console that is blind must see it: its stream ends, a new one is refused, and a later one resumes."""
    name = context.database.engine.url.database
    async with serving(context, tmp_path) as server:
        cookie = await server.sign_in()
        stream = await server.open(cookie)
        known = await _happens(context, incident)
        await _read_to(known, stream)
        with psycopg.connect(
            host="127.0.0.1", port=postgres_port, user="anju", dbname="postgres", autocommit=True
        ) as admin:
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
            await stream.read_until(lambda: False)
            async with server.client(cookie) as client:
                assert (await client.get("/api/v1/events")).status_code == 503
            admin.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        assert server.fanout.counts["stream_error"] == 1
        last = await _happens(context, incident, 3)
        later = await server.open(cookie, known)
        await _read_to(last, later)
        assert later.positions == [known + 1, known + 2, known + 3]
