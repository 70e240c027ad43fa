"""Small pieces every long-running task of the gateway needs: one writer thread, and waiting that a stop can end."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

import structlog

log = structlog.get_logger()

_CANCELLATIONS = 20

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(executor: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `call` on the executor's thread and let it finish even if the waiting task is cancelled."""
    loop = asyncio.get_running_loop()
    return await asyncio.shield(loop.run_in_executor(executor, lambda: call(*args, **kwargs)))


async def to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Wait for `work`; cancelled meanwhile, wait all the same, and let the cancellation follow when it has ended."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        raise


async def until_first_ends(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run side by side until one returns or raises, then end the others; raises what that one raised."""
    tasks = [asyncio.create_task(c) for c in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await end_all(tasks)


async def end_all(tasks: Iterable[asyncio.Task[None]], patience_s: float = 0.5) -> None:
    """Cancel `tasks` until they have ended; a cancellation that a library swallows (asyncio.wait_for in Python 3.11,
    an error raised while a connection closes) is said again.
    """
    pending = set(tasks)
    for _ in range(_CANCELLATIONS):
        if not pending:
            return
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=patience_s)
    log.critical("tasks_do_not_end", tasks=sorted(task.get_name() for task in pending))


class CountedQueue(asyncio.Queue[Any]):
    """A bounded queue that counts in `counts["incoming_dropped"]` what does not fit, then refuses it as usual."""

    def __init__(self, maxsize: int, counts: Counter[str]) -> None:
        super().__init__(maxsize)
        self._counts = counts

    def put_nowait(self, item: Any) -> None:
        """As asyncio.Queue."""
        if self.full():
            self._counts["incoming_dropped"] += 1
        super().put_nowait(item)


class Allowance:
    """`most` times at once, and one more every `every_s` seconds up to as many again."""

    def __init__(self, most: int, every_s: float) -> None:
        self._most, self._every = float(most), every_s
        self._left = self._most
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether it is allowed now (monotonic seconds); if so, it counts as done."""
        if self._at is not None:
            self._left = min(self._most, self._left + (now - self._at) / self._every)
        self._at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


class Backoff:
    """Full-jitter waiting: uniform between 0 and a bound that doubles up to `limit_s`, so that a district does not
    return at once.
    """

    def __init__(self, first_s: float, limit_s: float, rng: random.Random) -> None:
        self._first = first_s
        self._limit = limit_s
        self._rng = rng
        self._failures = 0

    def next_s(self) -> float:
        """How long to wait after one more failure."""
        bound = min(self._limit, self._first * 2 ** min(self._failures, 30))
        self._failures += 1
        return self._rng.uniform(0.0, bound)

    def succeeded(self) -> None:
        """The next failure waits briefly again."""
        self._failures = 0
