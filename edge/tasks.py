"""Small pieces every long-running task of the gateway needs: one writer thread, and waiting that a stop can end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(executor: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run `call` on the executor's thread and let it finish even if the waiting task is cancelled."""
    loop = asyncio.get_running_loop()
    return await asyncio.shield(loop.run_in_executor(executor, lambda: call(*args, **kwargs)))


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
