"""The bell between processes: rung at once where PostgreSQL carries it, replaced by polling where it cannot."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from cloud.db.bell import Bell
from cloud.db.changes import Changes
from tests.support.servers import create_database

_LONG_S = 20.0


class _Process:
    """The changes of one process and the task that carries its bell."""

    def __init__(self, url: str) -> None:
        self.changes = Changes()
        self.bell = Bell(url, self.changes)
        self._task = asyncio.create_task(self.bell.run())

    async def connected(self) -> None:
        async with asyncio.timeout(20):
            while not self.bell.connected:  # noqa: ASYNC110 - it has no event, only this state
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


@pytest.fixture
def url(postgres_port: int) -> str:
    return create_database(postgres_port, f"t{uuid.uuid4().hex}")


@pytest.fixture
async def start() -> AsyncIterator[Callable[[str], _Process]]:
    started: list[_Process] = []

    def run(url: str) -> _Process:
        started.append(_Process(url))
        return started[-1]

    yield run
    for process in started:
        await process.stop()


async def _rung(changes: Changes) -> float:
    begun = time.monotonic()
    await changes.wait(_LONG_S)
    return time.monotonic() - begun


async def test_another_process_hears_it_at_once(url: str, start: Callable[[str], _Process]) -> None:
    here, there = start(url), start(url)
    await here.connected()
    await there.connected()
    for one, other in ((here, there), (there, here)):
        heard = asyncio.create_task(_rung(other.changes))
        await asyncio.sleep(0.05)
        one.changes.notify()
        assert await heard < _LONG_S


async def test_one_does_not_hear_itself_again(url: str, start: Callable[[str], _Process]) -> None:
    """Else every commit would wake all loops of its process twice."""
    here, there = start(url), start(url)
    await here.connected()
    await there.connected()
    heard = asyncio.create_task(_rung(there.changes))
    await asyncio.sleep(0.05)
    here.changes.notify()
    echo = asyncio.create_task(here.changes.wait(1.0))
    assert await heard < _LONG_S
    _, waiting = await asyncio.wait({echo}, timeout=0.5)
    assert waiting == {echo}
    await echo


async def test_many_changes_are_few_notifications(url: str, start: Callable[[str], _Process]) -> None:
    here = start(url)
    await here.connected()
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as listening:
        listening.execute("LISTEN anju_changes")
        for _ in range(1_000):
            here.changes.notify()
            await asyncio.sleep(0)
        await asyncio.sleep(0.3)
        assert 1 <= len(list(listening.notifies(timeout=0.5))) <= 40


async def test_it_is_back_after_the_database_has_gone(
    url: str, start: Callable[[str], _Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.db.bell._RETRY_S", 0.1)
    here, there = start(url), start(url)
    await here.connected()
    await there.connected()
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql"), autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'anju-bell'")
    async with asyncio.timeout(20):
        while here.bell.connected or there.bell.connected:
            here.changes.notify()
            await asyncio.sleep(0.01)
    await here.connected()
    await there.connected()
    heard = asyncio.create_task(_rung(there.changes))
    await asyncio.sleep(0.05)
    here.changes.notify()
    assert await heard < _LONG_S


async def test_sqlite_has_none(start: Callable[[str], _Process]) -> None:
    process = start("sqlite+aiosqlite:///nowhere.db")
    await asyncio.sleep(0.05)
    assert not process.bell.connected
