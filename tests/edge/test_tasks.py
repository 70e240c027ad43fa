"""Tasks that are told to end do end."""

from __future__ import annotations

import asyncio

import pytest

from edge.tasks import Allowance, end_all, to_its_end, until_first_ends


async def _deaf(times: int) -> None:
    """Swallows so many cancellations, as a library might."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if times == 0:
                raise
            times -= 1


async def test_swallowed_cancellations_are_repeated() -> None:
    """A task that swallows three cancellations ends with the fourth."""
    tasks = [asyncio.create_task(_deaf(n)) for n in (0, 1, 3)]
    await asyncio.sleep(0)
    await end_all(tasks, patience_s=0.01)
    assert all(task.cancelled() for task in tasks)


async def test_the_first_error_ends_the_others() -> None:
    """And is what the caller gets."""
    ended = asyncio.Event()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise OSError("broken")

    async def runs() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    with pytest.raises(OSError, match="broken"):
        await until_first_ends(fails(), runs())
    assert ended.is_set()


async def test_work_comes_to_its_end_in_spite_of_cancellations() -> None:
    """And only then the task that waited for it is cancelled."""
    may_end = asyncio.Event()
    done: list[str] = []

    async def work() -> None:
        await may_end.wait()
        done.append("work")

    task = asyncio.create_task(to_its_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0.01)
    assert not task.done()
    may_end.set()
    await asyncio.wait([task])
    assert task.cancelled()
    assert done == ["work"]


async def test_work_that_fails_tells_its_error() -> None:
    """As if it had been awaited."""

    async def fails() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await to_its_end(fails())


def test_an_allowance_fills_up_slowly() -> None:
    """Three at once, then one a minute; an hour of rest gives three again, not sixty."""
    allowance = Allowance(3, 60.0)
    assert [allowance.take(t) for t in (0.0, 0.1, 0.2, 0.3, 59.0)] == [True, True, True, False, False]
    assert [allowance.take(t) for t in (61.0, 62.0)] == [True, False]
    assert [allowance.take(4_000.0) for _ in range(4)] == [True, True, True, False]
