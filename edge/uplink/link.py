"""The connection to the cloud's broker: birth and will, sending by lane, acknowledgements, commands."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from functools import partial

import aiomqtt
import structlog

from edge.clock import Clock
from edge.config import CloudBroker, ConfigError, UplinkSection, read_secret
from edge.spool.store import Spool, SpoolError
from edge.tasks import Backoff, CountedQueue, in_thread, until_first_ends
from edge.uplink.connection import CONNECT_S, Cause, LinkLostError, LinkRefusedError, linked, subscribe
from edge.uplink.lanes import ORDER, Lanes
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

OnCommand = Callable[[Command], Awaitable[Reply | None]]
OnReached = Callable[[Callable[[Reply], Awaitable[None]]], Awaitable[None]]
"""The cloud is there; what is to be said to it goes through the callable."""
OnSettled = Callable[[Lane, list[tuple[int, int]]], None]
_POLL_S = 0.25
_DEAF_AFTER = 3
"""So many re-sending intervals without any acknowledgement, and another connection is tried."""
_WATCH_S = 0.5
_RESTATE_AFTER_S = 30.0
"""After an outage of this length the newest value of everything goes ahead of the back-log."""


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
        on_back: Callable[[], Awaitable[None]],
        on_reached: OnReached,
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
        self._on_back = on_back
        self._on_reached = on_reached
        self.lanes = Lanes(config.window, config.resend_after_s, config.backlog_per_s)
        self._wake = {lane: asyncio.Event() for lane in ORDER}
        self.connected = False
        self.trouble: tuple[Cause, str] | None = None
        """Why there is no link at this moment; None while there is one, and before the first try."""
        self.moved_at = clock.now().mono
        self._answered_at: float | None = None
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
        """Connect, and connect again with jitter, until cancelled; after a refusal much more rarely."""
        config = self._config
        lost = Backoff(config.backoff_first_s, config.backoff_limit_s, self._rng)
        refused = Backoff(config.refused_first_s, config.refused_limit_s, self._rng)
        while True:
            backoff = lost
            where = {"host": self._broker.host, "port": self._broker.port}
            try:
                await self._session(lost, refused)
            except LinkLostError as error:
                is_refusal = isinstance(error, LinkRefusedError)
                backoff = refused if is_refusal else lost
                self.trouble = (error.cause, str(error))
                self.counts["refused" if is_refusal else "lost"] += 1
                event = "uplink_refused" if is_refusal else "uplink_lost"
                log.warning(event, **where, cause=error.cause, error=str(error))
            except (SpoolError, ConfigError) as error:
                self.trouble = (Cause.LOST, str(error))
                self.counts["own_error"] += 1
                log.critical("uplink_own_error", **where, error=str(error))
            self.connected = False
            self.lanes.disconnected()
            pause_s = backoff.next_s()
            self.moved_at = self._clock.now().mono + pause_s
            await asyncio.sleep(pause_s)

    async def _options(self, session: str) -> dict[str, object]:
        """Everything of a connection but its TLS."""
        broker = self._broker
        will = await self._status(StatusKind.WILL, session)
        return {
            "username": self._gateway,
            "password": read_secret(broker.password_file) if broker.password_file else None,
            "identifier": self._gateway,
            "clean_session": True,
            "keepalive": self._config.keepalive_s,
            "queue_type": partial(CountedQueue, counts=self.counts),
            "max_queued_incoming_messages": _INCOMING_LIMIT,
            "timeout": max(CONNECT_S, self._config.probe_s),
            "will": aiomqtt.Will(up(self._gateway, Up.STATUS), encode(will), qos=1, retain=True),
        }

    async def _session(self, lost: Backoff, refused: Backoff) -> None:
        session = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        self.moved_at = self._clock.now().mono
        async with linked(self._broker, self._clock.floor(), **await self._options(session)) as client:
            await subscribe(client, self._topics(), CONNECT_S)
            await self._publish_status(client, StatusKind.BIRTH, session)
            refused.succeeded()
            self.connected, self.trouble, self._acked_this_session = True, None, False
            self.counts["connected"] += 1
            log.info("uplink_connected", host=self._broker.host, port=self._broker.port, session=session)
            for lane in ORDER:
                self.lanes.offered[lane] = 0
            now = self._clock.now().mono
            if self._answered_at is None or now - self._answered_at > _RESTATE_AFTER_S:
                await self._on_back()
            await until_first_ends(
                self._listen(client, lost),
                self._heartbeat(client, session),
                self._watch(client),
                *(self._send_lane(client, lane) for lane in ORDER),
            )

    def _topics(self) -> list[tuple[str, int]]:
        return [(down(self._gateway, Down.ACK), 0), (down(self._gateway, Down.COMMAND), 1)]

    async def _publish_status(self, client: aiomqtt.Client, kind: StatusKind, session: str) -> None:
        status = encode(await self._status(kind, session))
        await client.publish(up(self._gateway, Up.STATUS), status, qos=1, retain=True)

    async def _heartbeat(self, client: aiomqtt.Client, session: str) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s * self._rng.uniform(0.9, 1.1))
            await self._publish_status(client, StatusKind.HEARTBEAT, session)

    async def _watch(self, client: aiomqtt.Client) -> None:
        """Ask the broker itself whether the link lives whenever the cloud has not answered an alarm (or, more
        patiently, telemetry) in time; leave a link that takes messages and never answers, or whose spool begins anew.
        """
        probed_at = 0.0
        epoch = self._spool.epoch
        while True:
            await asyncio.sleep(_WATCH_S)
            if self._spool.epoch != epoch:
                raise LinkLostError(Cause.LOST, "the spool has begun a new epoch; connecting anew")
            now = self.moved_at = self._clock.now().mono
            if self.lanes.doubtful(now, self._config.alarm_answer_s) and now - probed_at >= self._config.alarm_answer_s:
                probed_at = now
                await self._probe(client)
            since = self.lanes.unacknowledged_since
            if since is not None and now - since > _DEAF_AFTER * self._config.resend_after_s:
                self.counts["deaf"] += 1
                if self._acked_this_session:
                    raise LinkLostError(Cause.LOST, "no acknowledgement from the cloud; connecting anew")
                self.lanes.unacknowledged_since = None

    async def _probe(self, client: aiomqtt.Client) -> None:
        """A subscription we hold already costs the cloud nothing, and the broker must answer it."""
        self.counts["probed"] += 1
        try:
            await subscribe(client, self._topics()[:1], self._config.probe_s)
        except aiomqtt.MqttError as error:
            self.counts["half_open"] += 1
            raise LinkLostError(Cause.HALF_OPEN, f"the broker does not answer: {error}") from error

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
                await self._publish(client, topic, body)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.lanes.wait_s(lane, self._clock.now().mono, _POLL_S)):
                    await self._wake[lane].wait()

    async def _publish(self, client: aiomqtt.Client, topic: str, body: bytes) -> None:
        """At QoS 1 the broker itself must answer; one that does not is no longer there."""
        try:
            await client.publish(topic, body, qos=1, timeout=self._config.alarm_answer_s + self._config.probe_s)
        except aiomqtt.MqttCodeError:
            raise
        except aiomqtt.MqttError as error:
            self.counts["half_open"] += 1
            raise LinkLostError(Cause.HALF_OPEN, f"the broker does not take messages: {error}") from error

    async def _listen(self, client: aiomqtt.Client, backoff: Backoff) -> None:
        ack_topic = down(self._gateway, Down.ACK)
        async for message in client.messages:
            payload = message.payload if isinstance(message.payload, bytes) else b""
            try:
                self._answered_at = self._clock.now().mono
                if str(message.topic) == ack_topic:
                    await self._settle(decode_ack(payload))
                    if not self._acked_this_session:
                        await self._on_reached(partial(self._reply, client))
                    self._acked_this_session = True
                    backoff.succeeded()
                else:
                    await self._on_reached(partial(self._reply, client))
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
        if reply is not None:
            await self._reply(client, reply)

    async def _reply(self, client: aiomqtt.Client, reply: Reply) -> None:
        await client.publish(up(self._gateway, Up.REPLY), encode(reply), qos=1)
