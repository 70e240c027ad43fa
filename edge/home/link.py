"""The connection to the home broker: messages in, acknowledged once they are on flash; speech out."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import aiomqtt
import paho.mqtt.client as mqtt
import structlog
from paho.mqtt.enums import MQTTErrorCode

from edge.alarms import Speak
from edge.alarms.outputs import Message, Output, messages
from edge.config import HomeBroker, read_secret
from edge.home.intake import Intake
from edge.phrases import Lang
from edge.tasks import Backoff, to_its_end, until_first_ends

log = structlog.get_logger()

_INCOMING_LIMIT = 2_000
"""Messages held in memory before some are dropped."""
_RECEIVE_BUFFER = 65_536
"""What waits in the kernel cannot be taken out of turn: a flood there must be short."""

Take = Callable[[str, bytes, bool], Awaitable[bool]]
"""Topic, payload, retained; True if something of the message waits for the next group commit."""
_COMMIT_EARLY = 16
"""Messages without acknowledgement that bring a group commit forward: Mosquitto sends no more than 20 of them, and an
SOS would wait behind.
"""
_SPEECH_LIMIT = 100
_BETWEEN_TRIES_S = 3.0
_READ_AT_ONCE = 128
_HEARD_S = 1.0


class HomeLink:
    """Keeps one session with the home broker; QoS 1 messages not yet on flash are delivered again after a crash."""

    def __init__(
        self,
        config: HomeBroker,
        gateway: str,
        outputs: tuple[Output, ...],
        lang: Lang,
        rng: random.Random,
        take: Take,
        commit: Callable[[], Awaitable[bool]],
        group_commit_s: float,
        filters: Callable[[], frozenset[str]],
    ) -> None:
        self._config = config
        self._gateway = gateway
        self._outputs = outputs
        self._lang = lang
        self._rng = rng
        self._take = take
        self._commit = commit
        self._group_commit_s = group_commit_s
        self._filters = filters
        self._subscribed: frozenset[str] = frozenset()
        self._speech: asyncio.Queue[Message] = asyncio.Queue(_SPEECH_LIMIT)
        self._unacknowledged: list[tuple[int, int]] = []
        self._many = asyncio.Event()
        self.connected = False
        self.counts: Counter[str] = Counter()

    def say(self, speak: Speak) -> None:
        """Queue a phrase for every speaker, lamp and siren; what nobody takes is dropped, oldest first."""
        say_id = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        for message in messages(speak, self._outputs, self._lang, say_id):
            if self._speech.full():
                self._speech.get_nowait()
                self.counts["speech_dropped"] += 1
            self._speech.put_nowait(message)
        log.info("said", phrase=speak.phrase, alarm_id=speak.alarm_id, loudness=speak.loudness)

    def stored(self) -> None:
        """All readings have just gone to flash by another way: what waits for that can be acknowledged."""
        self._many.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        backoff = Backoff(0.2, _BETWEEN_TRIES_S, self._rng)
        while True:
            try:
                await self._session(backoff)
            except aiomqtt.MqttError as error:
                log.warning("home_broker_lost", host=self._config.host, port=self._config.port, error=str(error))
            self.connected = False
            self._unacknowledged.clear()
            await asyncio.sleep(backoff.next_s())

    async def _session(self, backoff: Backoff) -> None:
        config = self._config
        password = read_secret(config.password_file) if config.password_file else None
        client = aiomqtt.Client(
            config.host,
            config.port,
            username=config.username,
            password=password,
            identifier=f"anju-{self._gateway}",
            clean_session=False,
            keepalive=15,
            queue_type=partial(Intake, counts=self.counts),  # type: ignore[arg-type]
            max_queued_incoming_messages=_INCOMING_LIMIT,
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)],
        )
        # aiomqtt has no word for it yet: with paho's manual acknowledgement the home broker keeps a message
        # until it is on flash.
        client._client.manual_ack_set(True)
        client._client.loop_read = partial(_read_many, client._client)  # type: ignore[method-assign]
        async with client:
            self._subscribed = frozenset()
            await self._subscribe(client)
            self.connected = True
            backoff.succeeded()
            log.info("home_broker_connected", host=config.host, port=config.port)
            try:
                await until_first_ends(
                    self._listen(client),
                    self._acknowledge(client),
                    self._speak(client),
                )
            finally:
                # A reload or a stop: what is on flash need not be delivered again.
                await self._commit_group(client)
                await _heard(client)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Subscribe to what is wanted and not subscribed yet: devices announce topics while we listen."""
        wanted = self._filters()
        for topic_filter in sorted(wanted - self._subscribed):
            await client.subscribe(topic_filter, qos=1)
        self._subscribed = wanted

    async def _listen(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            # Half a message taken would be taken again whole after the next connection.
            await to_its_end(self._take_one(client, message))
            if self._filters() != self._subscribed:
                await self._subscribe(client)

    async def _take_one(self, client: aiomqtt.Client, message: aiomqtt.Message) -> None:
        payload = message.payload if isinstance(message.payload, bytes) else b""
        waits = await self._take(str(message.topic), payload, bool(message.retain))
        if message.qos > 0 and not waits:
            client._client.ack(message.mid, message.qos)
        elif message.qos > 0:
            self._unacknowledged.append((message.mid, message.qos))
            if len(self._unacknowledged) >= _COMMIT_EARLY:
                self._many.set()

    async def _acknowledge(self, client: aiomqtt.Client) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._group_commit_s):
                    await self._many.wait()
            if not await self._commit_group(client):
                await asyncio.sleep(self._group_commit_s)  # a disk that takes nothing is not asked more often

    async def _commit_group(self, client: aiomqtt.Client) -> bool:
        """Commit and acknowledge what waited when it began; cancelled, it does both before it ends."""
        return await to_its_end(self._commit_and_acknowledge(client))

    async def _commit_and_acknowledge(self, client: aiomqtt.Client) -> bool:
        self._many.clear()
        taken, self._unacknowledged = self._unacknowledged, []
        if not await self._commit():
            self._unacknowledged = taken + self._unacknowledged
            return False
        for mid, qos in taken:
            client._client.ack(mid, qos)
        return True

    async def _speak(self, client: aiomqtt.Client) -> None:
        while True:
            topic, payload = await self._speech.get()
            await client.publish(topic, payload, qos=1)


async def _heard(client: aiomqtt.Client) -> None:
    """Return once the broker has read all acknowledgements: it answers in order. A broker that still sends when the
    socket closes is told of a broken connection, and Mosquitto then leaves unread what came before (seen on a busy
    machine). Unsubscribing from nothing costs nothing.
    """
    with contextlib.suppress(aiomqtt.MqttError):
        await client.unsubscribe("anju/nothing", timeout=_HEARD_S)


def _read_many(client: mqtt.Client, max_packets: int = _READ_AT_ONCE) -> MQTTErrorCode:
    """In place of paho's loop_read, which takes one packet for each turn of the event loop: in a flood an alarm would
    wait in the kernel, where nothing overtakes.
    """
    for _ in range(max_packets):
        if client._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        code = client._packet_read()
        if code == MQTTErrorCode.MQTT_ERR_AGAIN:
            break
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            return client._loop_rc_handle(code)
    return MQTTErrorCode.MQTT_ERR_SUCCESS
