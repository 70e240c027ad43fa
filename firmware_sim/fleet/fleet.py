"""Drives the fleet: sends by the clock, keeps every home's window, sends again what was not acknowledged.

Theory of operation. Homes are dealt round to the connections; each connection subscribes to the acknowledgements of its
own. A tick every 20 ms sends the homes whose turn it is, spread evenly over the interval. A queue ordered by time holds
what may have to be sent again; payloads are made anew from home, sequence and time stamp. After the duration no live
batch is made any more, alarms go on while a back-log is open, and the fleet waits, at most `drain_s`, until everything
is answered.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import gmqtt
import msgspec
from gmqtt.mqtt.constants import MQTTv311

from firmware_sim.fleet import batches
from firmware_sim.fleet.homes import WINDOW, Accounts, FleetHome
from firmware_sim.fleet.registry import gateway_name
from protocols.errors import ProtocolError
from protocols.mqtt import encode_publish, is_connected, read_faster, write_packets
from protocols.topics import Down, Up, up
from protocols.wire import Ack, Reply, ReplyStatus, StatusKind, decode_command, encode

_TICK_S = 0.02
_SUBSCRIBE_AT_ONCE = 200
_NEVER = -2
_STAMP_MS = 256
_FIRST_CONNECT_S = 15.0
_LONGEST_RESEND = 2
_BACKLOG_START_S = 20.0
"""After an outage homes begin with their back-log at random moments within so long, one batch each."""
ALARM, LIVE, BACKLOG = 0, 1, 2
_LANE_NAMES = ("alarm", "live", "backlog")
_LANE_NUMBERS = {"alarm": ALARM, "live": LIVE, "backlog": BACKLOG}
_ack = msgspec.json.Decoder(Ack).decode

logging.getLogger("gmqtt").setLevel(logging.CRITICAL)


@dataclass(slots=True)
class FleetOptions:
    """How large the fleet is and how it speaks."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str | None = None
    password: str | None = None
    homes: int = 1_000
    connections: int = 8
    interval_s: float = 10.0
    duration_s: float = 60.0
    drain_s: float = 120.0
    backlog: int = 0
    """Batches each home holds from an outage when it starts; `backlog_every_s` apart."""
    backlog_every_s: float = 60.0
    alarms_per_s: float = 0.0
    resend_s: float = 15.0
    prefix: str = "gw-f"
    births: bool = False
    seed: int = 1


class Fleet:
    """All homes; `run` plays them once and returns the accounts."""

    def __init__(self, options: FleetOptions, say: Callable[[str], None] = lambda _text: None) -> None:
        self.options = options
        self.accounts = Accounts()
        self.stop = asyncio.Event()
        self.on_alarm: Callable[[int, float], None] = lambda _home, _at: None
        self._say = say
        self._rng = random.Random(options.seed)
        draw = random.Random(f"{options.seed} {time.time()}")  # an epoch is never used twice
        self.homes = [
            FleetHome(i, gateway_name(i, options.prefix), f"{draw.getrandbits(64):016x}") for i in range(options.homes)
        ]
        self._by_topic = {f"{home.down}/{Down.ACK}": home for home in self.homes}
        self._clients: list[gmqtt.Client | None] = [None] * max(1, min(options.connections, options.homes))
        self._out: list[list[bytes]] = [[] for _ in self._clients]
        self._once: deque[tuple[float, FleetHome, int, int]] = deque()
        """When an answer to a first sending is overdue; all wait equally long, so the oldest is always in front."""
        self._again: list[tuple[float, int, int, int, int]] = []
        """The same of later sendings, and how often each was sent."""
        self._paced: list[tuple[float, int]] = []
        self._packet_id = 0
        self._backlog_open = 0

    async def run(self) -> Accounts:
        """Connect, play, drain, leave. Raises OSError where the broker cannot be reached."""
        await asyncio.gather(*(self._first(i) for i in range(len(self._clients))))
        keepers = [asyncio.create_task(self._keep(i)) for i in range(len(self._clients))]
        try:
            await self._play()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            for client in self._clients:
                if client is not None:
                    await client.disconnect()
        return self.accounts

    # --- connections --------------------------------------------------------------------------------------------------

    async def _first(self, i: int) -> None:
        """Connect for the first time; a broker that is just starting is waited for."""
        end = time.monotonic() + _FIRST_CONNECT_S
        while True:
            try:
                await self._connect(i)
                return
            except (OSError, TimeoutError, gmqtt.mqtt.handler.MQTTConnectError):
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.3)

    async def _connect(self, i: int) -> None:
        options = self.options
        client = gmqtt.Client(f"fleet-{options.seed}-{i}", clean_session=True, logger=logging.getLogger("gmqtt"))
        client.set_config({"reconnect_retries": _NEVER})
        if options.username is not None:
            client.set_auth_credentials(options.username, options.password)
        client.on_disconnect = lambda *_: None
        await client.connect(options.host, options.port, keepalive=30, version=MQTTv311)
        read_faster(client, self._on_message, own_ids=True)
        mine = self.homes[i :: len(self._clients)]
        for begin in range(0, len(mine), _SUBSCRIBE_AT_ONCE):
            topics = [f"{home.down}/+" for home in mine[begin : begin + _SUBSCRIBE_AT_ONCE]]
            client.subscribe([gmqtt.Subscription(topic, qos=1) for topic in topics])
            await asyncio.sleep(0)
        self._clients[i] = client
        if options.births:
            now = time.time()
            for home in mine:
                body = batches.status(StatusKind.BIRTH, home.epoch, home.epoch, now)
                topic = up(gateway_name(home.index, options.prefix), Up.STATUS).encode()
                self._out[i].append(encode_publish(topic, body, self._next_id(), retain=True))

    async def _keep(self, i: int) -> None:
        """Connect again whenever the broker has gone; what was in flight is sent again by its time."""
        while True:
            await asyncio.sleep(0.5)
            client = self._clients[i]
            if client is not None and is_connected(client):
                continue
            self._clients[i] = None
            self._out[i].clear()
            try:
                await self._connect(i)
                self.accounts.reconnects += 1
            except (OSError, TimeoutError, gmqtt.mqtt.handler.MQTTConnectError):
                await asyncio.sleep(self._rng.uniform(0.2, 1.5))

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 65_535 + 1
        return self._packet_id

    # --- playing ------------------------------------------------------------------------------------------------------

    async def _play(self) -> None:
        options = self.options
        begun = time.monotonic()
        for home in self.homes:
            home.backlog_left = options.backlog
            if options.backlog:
                spread = min(_BACKLOG_START_S, len(self.homes) / 500)
                heapq.heappush(self._paced, (begun + self._rng.uniform(0, spread), home.index))
        self._backlog_open = len(self.homes) * options.backlog
        rate = len(self.homes) / options.interval_s if options.interval_s else 0.0
        turn = alarms = 0
        next_word = begun + 5
        while True:
            now = time.monotonic()
            passed = now - begun
            if passed > options.duration_s + options.drain_s or self.stop.is_set():
                break
            if passed < options.duration_s:
                while turn < passed * rate:
                    self._live(self.homes[turn % len(self.homes)], now)
                    turn += 1
            elif not self._open():
                break
            if passed < options.duration_s or self._backlog_open:
                while alarms < passed * options.alarms_per_s:
                    self._alarm(self._rng.choice(self.homes), now)
                    alarms += 1
            self._send_again(now)
            self._flush()
            if now >= next_word:
                next_word = now + 5
                a = self.accounts
                self._say(f"{passed:6.0f} s  sent {a.sent:,}  acknowledged {a.acknowledged:,}  open {a.missing:,}")
            await asyncio.sleep(_TICK_S)

    def _open(self) -> bool:
        a = self.accounts
        return bool(a.missing or a.alarms > a.alarms_acknowledged or self._backlog_open)

    def _live(self, home: FleetHome, now: float) -> None:
        self.accounts.made += 1
        home.last_ms = max(self._stamp(time.time(), LIVE), home.last_ms + _STAMP_MS)
        home.held.append(home.last_ms)
        self._fill(home, now)

    def _stamp(self, at: float, lane: int) -> int:
        """A time in ms that no other lane, and no fleet of another seed, gives to a batch of the same home.

        Two batches with the same time stamp would be one value in the time series, and the accounts would not agree.
        """
        return int(at * 1000) // _STAMP_MS * _STAMP_MS + 2 * (self.options.seed % (_STAMP_MS // 2)) + (lane == BACKLOG)

    def _fill(self, home: FleetHome, now: float) -> None:
        self._resend(home, LIVE, now)
        while home.held and home.has_room(LIVE):
            self._send(home, LIVE, home.held.pop(0), now)

    def _backlog(self, home: FleetHome, now: float) -> None:
        options = self.options
        self._resend(home, BACKLOG, now)
        at_once = WINDOW if home.answered and home.pace is None else 1
        while home.backlog_left and home.in_flight(BACKLOG) < min(at_once, home.room[BACKLOG - 1]):
            at_ms = self._stamp(time.time() - home.backlog_left * options.backlog_every_s, BACKLOG)
            home.backlog_left -= 1
            self._backlog_open -= 1
            self.accounts.made += 1
            self._send(home, BACKLOG, at_ms, now)

    def _alarm(self, home: FleetHome, now: float) -> None:
        seq = home.next_seq[ALARM]
        home.next_seq[ALARM] += 1
        self.accounts.alarms += 1
        wall = time.time()
        body = batches.alarm(home.epoch, seq, wall, self._rng)
        home.unacked[ALARM][seq] = int(wall * 1000), now
        home.alarms[seq] = body
        self._once.append((now + self.options.resend_s, home, ALARM, seq))
        self._publish(home, home.alarm_topic, body)
        self.on_alarm(home.index, wall)

    def _send(self, home: FleetHome, lane: int, at_ms: int, now: float) -> None:
        seq = home.next_seq[lane]
        home.next_seq[lane] = seq + 1
        home.unacked[lane][seq] = at_ms, now
        self._once.append((now + self.options.resend_s, home, lane, seq))
        self._publish(home, home.topic, batches.batch(home.epoch, _LANE_NAMES[lane], home.index, seq, at_ms))

    def _publish(self, home: FleetHome, topic: bytes, body: bytes) -> None:
        self.accounts.sent += 1
        self._out[home.index % len(self._out)].append(encode_publish(topic, body, self._next_id()))

    def _send_again(self, now: float) -> None:
        first, again = self._once, self._again
        while first and first[0][0] <= now:
            _, home, lane, seq = first.popleft()
            if seq in home.unacked[lane]:
                self._overdue(home, lane, seq, 1, now)
        while again and again[0][0] <= now:
            _, index, lane, seq, times = heapq.heappop(again)
            home = self.homes[index]
            if seq in home.unacked[lane]:
                self._overdue(home, lane, seq, times, now)
        while self._paced and self._paced[0][0] <= now:
            self._backlog(self.homes[heapq.heappop(self._paced)[1]], now)

    def _overdue(self, home: FleetHome, lane: int, seq: int, times: int, now: float) -> None:
        """An answer is missing after so many sendings."""
        if lane != ALARM:
            home.missed(lane, seq, times)
            self._resend(home, lane, now)
            return
        heapq.heappush(self._again, (now + self.options.resend_s, home.index, lane, seq, 1))
        self.accounts.resent += 1
        self._publish(home, home.alarm_topic, home.alarms[seq])

    def _resend(self, home: FleetHome, lane: int, now: float) -> None:
        """Send what was not answered again, from the second time on after twice as long."""
        while home.has_room(lane) and (lost := home.next_lost(lane)) is not None:
            seq, times = lost
            longer = self.options.resend_s * min(_LONGEST_RESEND, 2**times) * self._rng.uniform(0.8, 1.2)
            heapq.heappush(self._again, (now + longer, home.index, lane, seq, times + 1))
            self.accounts.resent += 1
            body = batches.batch(home.epoch, _LANE_NAMES[lane], home.index, seq, home.unacked[lane][seq][0])
            self._publish(home, home.topic, body)

    def _flush(self) -> None:
        for i, packets in enumerate(self._out):
            client = self._clients[i]
            if packets and client is not None and is_connected(client):
                write_packets(client, b"".join(packets))
                packets.clear()

    # --- acknowledgements ---------------------------------------------------------------------------------------------

    def _on_message(self, topic: str, payload: bytes, _retained: bool) -> None:
        home = self._by_topic.get(topic)
        if home is None:
            self._command(topic, payload)
            return
        try:
            ack = _ack(payload)
        except msgspec.DecodeError:
            self.accounts.unreadable += 1
            return
        home.pace, home.answered = ack.pace, True
        now = time.monotonic()
        for entry in ack.ranges:
            if entry.epoch == home.epoch:
                lane = _LANE_NUMBERS[entry.lane]
                for first, last in entry.ranges:
                    for seq in range(first, last + 1):
                        self._settled(home, lane, seq, now, good=True)
        for refusal in ack.rejected:
            if refusal.epoch == home.epoch:
                self._settled(home, _LANE_NUMBERS[refusal.lane], refusal.seq, now, good=False)
        self._fill(home, now)
        if home.backlog_left or home.unacked[BACKLOG]:
            if home.pace is None:
                self._backlog(home, now)
            elif not home.in_flight(BACKLOG):
                heapq.heappush(self._paced, (now + self._rng.uniform(0.5, 1.5) / home.pace, home.index))

    def _command(self, topic: str, payload: bytes) -> None:
        """Answer a command as a gateway does; the home itself has nobody who could hear it."""
        home = self._by_topic.get(topic.removesuffix(Down.COMMAND) + Down.ACK)
        try:
            command = decode_command(payload)
        except ProtocolError:
            self.accounts.unreadable += 1
            return
        if home is not None:
            self.accounts.commands += 1
            reply = encode(Reply(v=1, id=command.id, at=time.time(), status=ReplyStatus.DONE))
            self._out[home.index % len(self._out)].append(encode_publish(home.reply_topic, reply, self._next_id()))

    def _settled(self, home: FleetHome, lane: int, seq: int, now: float, *, good: bool) -> None:
        accounts = self.accounts
        sent = home.unacked[lane].pop(seq, None)
        if sent is None:
            accounts.acknowledged_again += 1
            return
        sent_at = sent[1]
        if lane == ALARM:
            del home.alarms[seq]
            accounts.alarms_acknowledged += 1
            accounts.alarm_latencies_ms.append((now - sent_at) * 1000)
            return
        home.answered_one(lane, seq)
        accounts.latencies_ms.append((now - sent_at) * 1000)
        if good:
            accounts.acknowledged += 1
        else:
            accounts.rejected += 1
