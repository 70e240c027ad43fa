"""What waits for one console: changes in order up to a limit, then one reset; at most one ping."""

from __future__ import annotations

import asyncio

from fastapi.sse import ServerSentEvent

from cloud.api.listener import Change, Listener


def _changes(*positions: int) -> list[Change]:
    return [Change(n, ServerSentEvent(event="incident", raw_data="{}", id=str(n))) for n in positions]


async def _sent(listener: Listener) -> list[str]:
    """Names or ids of all that waits."""
    listener.ping(ServerSentEvent(event="ping", data={}))
    found: list[str] = []
    while found[-1:] != ["ping"]:
        event = await listener.next()
        assert event is not None
        found.append(f"{event.event} {event.id}" if event.event == "reset" else event.id or str(event.event))
    return found[:-1]


async def test_up_to_the_limit_everything_is_sent_in_order() -> None:
    listener = Listener("s", 10, limit=4)
    assert not listener.put(_changes(11, 12), 12)
    assert not listener.put(_changes(14), 15)
    assert not listener.put(_changes(16), 16)
    assert await _sent(listener) == ["11", "12", "14", "16"]


async def test_past_the_limit_one_reset_stands_for_all() -> None:
    """Its position moves on with the log until it is sent; what comes after it is sent again."""
    listener = Listener("s", 0, limit=3)
    assert not listener.put(_changes(1, 2, 3), 3)
    assert listener.put(_changes(4), 4)
    assert listener.waiting == 0
    assert not listener.put(_changes(5, 6, 7, 8, 9), 9)
    assert await _sent(listener) == ["reset 9"]
    assert not listener.put(_changes(10), 10)
    assert await _sent(listener) == ["10"]


async def test_what_was_seen_elsewhere_is_not_sent_again() -> None:
    listener = Listener("s", 5, limit=9)
    listener.put(_changes(6, 7), 7)
    listener.skip_to(8)
    listener.put(_changes(8, 9), 9)
    assert await _sent(listener) == ["9"]


async def test_only_the_newest_ping_waits() -> None:
    listener = Listener("s", 0, limit=2)
    for n in range(100):
        listener.ping(ServerSentEvent(event="ping", data={"at": n}))
    event = await listener.next()
    assert event is not None
    assert event.data == {"at": 99}
    waiting = asyncio.ensure_future(listener.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    listener.end()
    assert await waiting is None


async def test_after_the_end_nothing_is_sent_that_waited() -> None:
    listener = Listener("s", 0, limit=2)
    listener.put(_changes(1), 1)
    listener.end()
    assert await listener.next() is None
    assert listener.waiting == 0
