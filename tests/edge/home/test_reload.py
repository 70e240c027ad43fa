"""A home link that is ended while a group commit runs: what reaches flash is acknowledged, and not delivered again."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edge.config import HomeBroker
from edge.home.link import HomeLink
from tests.support.mosquitto import mosquitto, mosquitto_process

_FILTER = "home/v1/+/senml"


class _Flash:
    """Takes messages and commits them, each as slowly as told."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.subscribed = asyncio.Event()
        self.may_take = asyncio.Event()
        self.may_commit = asyncio.Event()
        self.begun: asyncio.Queue[str] = asyncio.Queue()

    async def take(self, _topic: str, payload: bytes, _retained: bool) -> bool:
        self.begun.put_nowait("take")
        await self.may_take.wait()
        self.taken.append(payload)
        return True

    async def commit(self) -> bool:
        if self.taken:
            self.begun.put_nowait("commit")
            await self.may_commit.wait()
        return True

    def link(self, port: int) -> HomeLink:
        return HomeLink(
            HomeBroker(host="127.0.0.1", port=port),
            "gw-1",
            (),
            "en",
            random.Random(1),
            self.take,
            self.commit,
            0.05,
            lambda: frozenset({_FILTER}),
        )


async def _holds(condition: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def _running(link: HomeLink) -> asyncio.Task[None]:
    task = asyncio.create_task(link.run())
    await _holds(lambda: link.connected)
    return task


async def _send(port: int, *payloads: bytes) -> None:
    def send() -> None:
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", port)
        client.loop_start()
        for payload in payloads:
            client.publish("home/v1/plain/senml", payload, qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()

    await asyncio.to_thread(send)


async def _end(task: asyncio.Task[None], last: asyncio.Event) -> None:
    """Cancel as a reload does; the work in hand may go on only some time later."""
    task.cancel()
    await asyncio.sleep(0.1)
    assert not task.done()
    last.set()
    await asyncio.wait([task], timeout=10)
    assert task.cancelled()


async def _next_session(port: int) -> list[bytes]:
    """What the broker still has for the gateway, before a marker."""
    flash = _Flash()
    flash.may_take.set()
    flash.may_commit.set()
    task = await _running(flash.link(port))
    await _send(port, b"marker")
    await _holds(lambda: b"marker" in flash.taken)
    task.cancel()
    await asyncio.wait([task])
    return flash.taken


async def _until(flash: _Flash, step: str) -> None:
    async with asyncio.timeout(10):
        while await flash.begun.get() != step:
            pass


@pytest.mark.parametrize(
    ("step", "by_then", "at_the_end"),
    # the second message may come while the commit of the first runs
    [("commit", [b"one", b"two"], [b"one", b"two"]), ("take", [], [b"one"])],
)
async def test_ended_in_the_middle_of(step: str, by_then: list[bytes], at_the_end: list[bytes]) -> None:
    """A group commit comes to its end, a message is taken whole and committed; what was taken is acknowledged, and
    what stood behind it is left to the next session.
    """
    with mosquitto() as port:
        flash = _Flash()
        gates = {"take": flash.may_take, "commit": flash.may_commit}
        held = gates.pop(step)
        for gate in gates.values():
            gate.set()
        task = await _running(flash.link(port))
        await _send(port, b"one", b"two")
        await _until(flash, step)
        await _holds(lambda: flash.taken == by_then)
        await _end(task, held)
        assert flash.taken == at_the_end
        rest = [message for message in (b"one", b"two") if message not in at_the_end]
        assert await _next_session(port) == [*rest, b"marker"]


async def test_a_busy_broker_has_read_the_acknowledgements_before_the_link_ends() -> None:
    """It has twenty on their way to us and more to send, and reads nothing while the link is given up."""
    with mosquitto_process() as (port, broker):
        flash = _Flash()
        flash.may_take.set()
        task = await _running(flash.link(port))
        await _send(port, *(b"%d" % n for n in range(30)))
        await _holds(lambda: len(flash.taken) == 20)
        broker.send_signal(signal.SIGSTOP)
        try:
            task.cancel()
            flash.may_commit.set()
            await asyncio.sleep(0.3)
        finally:
            broker.send_signal(signal.SIGCONT)
        await asyncio.wait([task], timeout=10)
        assert task.cancelled()
        assert await _next_session(port) == [*(b"%d" % n for n in range(20, 30)), b"marker"]
