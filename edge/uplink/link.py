"""The connection to the cloud's broker: birth and will, sending by lane, acknowledgements, commands."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial

import aiomqtt
import structlog

from edge.clock import Clock
from edge.config import CloudBroker, UplinkSection, read_secret
from edge.spool.store import Spool, SpoolError
from edge.tasks import Backoff, CountedQueue, in_thread, until_first_ends
from edge.uplink.lanes import ORDER, Lanes
from edge.uplink.tls import client_context
from protocols.errors import ProtocolError
from protocols.topics import Down, Up, down, up
from protocols.wire import (
    Ack,
    Command,
    Lane,
    Reply,
    Status,
    StatusKind,
    decode_ack,
    decode_command,
    encode,
)

log = structlog.get_logger()

_INCOMING_LIMIT = 2_000
"""Messages held in memory; a QoS 1 message that does not fit stays with the broker, any other is counted."""

OnCommand = Callable[[Command], Awaitable[Reply]]
OnSettled = Callable[[Lane, list[tuple[int, int]]], None]
_POLL_S = 0.25
_DEAF_AFTER = 3
"""So many re-sending intervals without any acknowledgement, and the link is taken for half open."""


class Uplink:
    """Delivers the spool. `answering` is whether the cloud has been acknowledging."""

    def __init__(
        self,
        *,
        broker: CloudBroker,
        config: UplinkSection,
        gateway: str,
        spool: Spool,
        executor: Executor,
        clock: Clock,
        rng: random.Random,
        heartbeat_s: float,
        status: Callable[[StatusKind, str], Awaitable[Status]],
        on_command: OnCommand,
        on_settled: OnSettled,
    ) -> None:
        self._broker = broker
        self._config = config
        self._gateway = gateway
        self._spool = spool
        self._executor = executor
        self._clock = clock
        self._rng = rng
        self._heartbeat_s = heartbeat_s
        self._status = status
        self._on_command = on_command
        self._on_settled = on_settled
        self.lanes = Lanes(config.window, config.resend_after_s)
        self._wake = {lane: asyncio.Event() for lane in ORDER}
        self.connected = False
        self._acked_this_session = False
        self.counts: Counter[str] = Counter()

    def wake(self) -> None:
        """There is something new in the spool."""
        for event in self._wake.values():
            event.set()

    def answering(self) -> bool:
        """Whether the cloud is there and nothing has waited for its answer longer than the re-sending interval."""
        since = self.lanes.unacknowledged_since
        fresh = since is None or self._clock.now().mono - since < self._config.resend_after_s
        return self.connected and fresh

    async def run(self) -> None:
        """Connect, and connect again with jitter, until cancelled."""
        backoff = Backoff(self._config.backoff_first_s, self._config.backoff_limit_s, self._rng)
        while True:
            try:
                await self._session(backoff)
            except aiomqtt.MqttCodeError as error:
                self.counts["lost"] += 1
                log.warning("uplink_refused", host=self._broker.host, port=self._broker.port, code=str(error.rc))
            except SpoolError as error:
                self.counts["spool_error"] += 1
                log.critical("uplink_spool_error", error=str(error))
            except (aiomqtt.MqttError, OSError, ssl.SSLError) as error:
                self.counts["lost"] += 1
                log.warning("uplink_lost", host=self._broker.host, port=self._broker.port, error=str(error))
            self.connected = False
            self.lanes.disconnected()
            await asyncio.sleep(backoff.next_s())

    async def _client(self, session: str) -> aiomqtt.Client:
        broker = self._broker
        context = None
        if broker.tls:
            floor = self._clock.floor()
            context = client_context(str(broker.ca_file) if broker.ca_file else None, floor)
            if broker.cert_file:
                context.load_cert_chain(broker.cert_file, broker.key_file)
        will = await self._status(StatusKind.WILL, session)
        return aiomqtt.Client(
            broker.host,
            broker.port,
            username=self._gateway,
            password=read_secret(broker.password_file) if broker.password_file else None,
            identifier=self._gateway,
            clean_session=True,
            keepalive=self._config.keepalive_s,
            tls_context=context,
            queue_type=partial(CountedQueue, counts=self.counts),  # type: ignore[arg-type]
            max_queued_incoming_messages=_INCOMING_LIMIT,
            timeout=max(5.0, self._config.resend_after_s),
            will=aiomqtt.Will(up(self._gateway, Up.STATUS), encode(will), qos=1, retain=True),
        )

    async def _session(self, backoff: Backoff) -> None:
        session = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        async with await self._client(session) as client:
            await client.subscribe([(down(self._gateway, Down.ACK), 0), (down(self._gateway, Down.COMMAND), 1)])
            await self._publish_status(client, StatusKind.BIRTH, session)
            self.connected, self._acked_this_session = True, False
            self.counts["connected"] += 1
            log.info("uplink_connected", host=self._broker.host, port=self._broker.port, session=session)
            for lane in ORDER:
                self.lanes.offered[lane] = 0
            await until_first_ends(
                self._listen(client, backoff),
                self._heartbeat(client, session),
                self._watch(),
                *(self._send_lane(client, lane) for lane in ORDER),
            )

    async def _publish_status(self, client: aiomqtt.Client, kind: StatusKind, session: str) -> None:
        status = encode(await self._status(kind, session))
        await client.publish(up(self._gateway, Up.STATUS), status, qos=1, retain=True)

    async def _heartbeat(self, client: aiomqtt.Client, session: str) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s * self._rng.uniform(0.9, 1.1))
            await self._publish_status(client, StatusKind.HEARTBEAT, session)

    async def _watch(self) -> None:
        """Leave a link that takes messages and never answers."""
        epoch = self._spool.epoch
        while True:
            await asyncio.sleep(1)
            if self._spool.epoch != epoch:
                raise aiomqtt.MqttError("the spool has begun a new epoch; connecting anew")
            since = self.lanes.unacknowledged_since
            if since is not None and self._clock.now().mono - since > _DEAF_AFTER * self._config.resend_after_s:
                self.counts["deaf"] += 1
                if self._acked_this_session:
                    raise aiomqtt.MqttError("no acknowledgement from the cloud; connecting anew")
                self.lanes.unacknowledged_since = None

    async def _send_lane(self, client: aiomqtt.Client, lane: Lane) -> None:
        topic = up(self._gateway, Up.ALARM if lane is Lane.ALARM else Up.TELEMETRY)
        while True:
            self._wake[lane].clear()
            if self.lanes.wants(lane):
                found = await in_thread(self._executor, self._spool.after, lane, self.lanes.offered[lane], 64)
                self.lanes.offer(lane, found)
            for seq in self.lanes.due(lane, self._clock.now().mono):
                body = await in_thread(self._executor, self._spool.body, lane, seq)
                if body is None:
                    self.lanes.senders[lane].acknowledge([(seq, seq)])
                    continue
                self.lanes.sent(lane, seq, self._clock.now().mono)
                self.counts[f"sent_{lane}"] += 1
                await client.publish(topic, body, qos=1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._wake[lane].wait()

    async def _listen(self, client: aiomqtt.Client, backoff: Backoff) -> None:
        ack_topic = down(self._gateway, Down.ACK)
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            try:
                if str(message.topic) == ack_topic:
                    await self._settle(decode_ack(payload))
                    self._acked_this_session = True
                    backoff.succeeded()
                else:
                    await self._command(client, decode_command(payload))
            except ProtocolError as error:
                self.counts[f"refused_{error.reason}"] += 1
                log.warning(
                    "refused", topic=str(message.topic), reason=error.reason, where=error.where, what=error.what
                )

    async def _settle(self, ack: Ack) -> None:
        for rejection in ack.rejected:
            self.counts["rejected"] += 1
            log.error("rejected_by_cloud", lane=rejection.lane, seq=rejection.seq, reason=rejection.reason)
        epoch = self._spool.epoch
        for lane, ranges in self.lanes.settle(ack, epoch).items():
            await in_thread(self._executor, self._spool.settle, lane, ranges, epoch)
            self.counts[f"settled_{lane}"] += 1
            self._wake[lane].set()
        for entry in ack.ranges:
            if entry.epoch == epoch:
                self._on_settled(entry.lane, entry.ranges)

    async def _command(self, client: aiomqtt.Client, command: Command) -> None:
        reply = await self._on_command(command)
        await client.publish(up(self._gateway, Up.REPLY), encode(reply), qos=1)
