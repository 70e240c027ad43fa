"""Light homes: gateways that speak the cloud protocol (birth, batches, acknowledgements, re-sending), no sensors."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field

import gmqtt
from gmqtt.mqtt.constants import MQTTv311

from firmware_sim.alarms import sos_event
from protocols.delivery import Sender
from protocols.errors import ProtocolError
from protocols.identifiers import uuid7
from protocols.telemetry import pack_readings
from protocols.topics import Down, Up, down, up
from protocols.wire import (
    Clock,
    Lane,
    Reply,
    ReplyStatus,
    Status,
    StatusKind,
    TelemetryBatch,
    decode_ack,
    decode_command,
    encode,
)

logging.getLogger("gmqtt").setLevel(logging.CRITICAL)

_WINDOW = 4
_RESEND_S = 15.0
_MAX_WAITING = 500
_NEVER = -2
"""gmqtt does not reconnect by itself below -1; `run` does."""


@dataclass(slots=True)
class NeighbourhoodOptions:
    """How many light homes, and how they speak. Gateways are named PREFIX001, PREFIX002 …"""

    host: str = "127.0.0.1"
    port: int = 1883
    homes: int = 50
    prefix: str = "gw-n"
    password: str | None = None
    interval_s: float = 10.0
    heartbeat_s: float = 30.0
    sos_per_hour: float = 0.0
    seed: int = 1


@dataclass(slots=True)
class LightHome:
    """One gateway; what the cloud has not acknowledged stays here and is sent again."""

    gateway: str
    options: NeighbourhoodOptions
    rng: random.Random
    counts: Counter[str]
    epoch: str = ""
    seqs: Counter[Lane] = field(default_factory=Counter)
    bodies: dict[tuple[Lane, int], bytes] = field(default_factory=dict)
    senders: dict[Lane, Sender] = field(default_factory=dict)
    client: gmqtt.Client | None = None

    def __post_init__(self) -> None:
        self.epoch = f"{self.rng.getrandbits(64):016x}"
        self.senders = {lane: Sender(_WINDOW, _RESEND_S) for lane in (Lane.ALARM, Lane.LIVE)}

    async def run(self) -> None:
        """Live until cancelled."""
        await asyncio.sleep(self.rng.uniform(0, 1.5))
        while True:
            lost = asyncio.Event()
            session = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
            try:
                await self._connect(session, lost)
                await self._session(session, lost)
            except (OSError, gmqtt.mqtt.handler.MQTTConnectError, TimeoutError):
                self.counts["connect_failed"] += 1
            finally:
                client, self.client = self.client, None
                if client is not None:
                    await client.disconnect()
            for sender in self.senders.values():
                sender.disconnected()
            await asyncio.sleep(self.rng.uniform(0.5, 4.0))

    async def _connect(self, session: str, lost: asyncio.Event) -> None:
        will = gmqtt.Message(up(self.gateway, Up.STATUS), self._status(StatusKind.WILL, session), qos=1, retain=True)
        client = gmqtt.Client(self.gateway, clean_session=True, will_message=will, logger=logging.getLogger("gmqtt"))
        client.set_config({"reconnect_retries": _NEVER})
        client.set_auth_credentials(self.gateway, self.options.password)
        client.on_message = self._on_message
        client.on_disconnect = lambda *_: lost.set()
        connecting = client.connect(self.options.host, self.options.port, keepalive=30, version=MQTTv311)
        await asyncio.wait_for(connecting, 10)
        client.subscribe([gmqtt.Subscription(down(self.gateway, channel), qos=1) for channel in Down])
        self.client = client
        client.publish(up(self.gateway, Up.STATUS), self._status(StatusKind.BIRTH, session), qos=1, retain=True)

    async def _session(self, session: str, lost: asyncio.Event) -> None:
        interval = self.options.interval_s
        next_batch = time.monotonic() + self.rng.uniform(0, interval)
        next_beat = time.monotonic() + self.options.heartbeat_s * self.rng.uniform(0.5, 1.0)
        while not lost.is_set():
            now = time.monotonic()
            if now >= next_batch:
                next_batch += interval
                self._make_batch()
                if self.rng.random() < self.options.sos_per_hour * interval / 3600:
                    self.press_sos()
            if now >= next_beat:
                next_beat += self.options.heartbeat_s
                self._publish(Up.STATUS, self._status(StatusKind.HEARTBEAT, session), retain=True)
            for lane, sender in self.senders.items():
                for seq in sender.due(now):
                    sender.sent(seq, now)
                    self.counts["sent"] += 1
                    self._publish(Up.ALARM if lane is Lane.ALARM else Up.TELEMETRY, self.bodies[lane, seq])
            await asyncio.sleep(0.2)

    def _publish(self, channel: Up, body: bytes, *, retain: bool = False) -> None:
        if self.client is not None:
            self.client.publish(up(self.gateway, channel), body, qos=1, retain=retain)

    def _status(self, kind: StatusKind, session: str) -> bytes:
        last = {lane: n for lane, n in self.seqs.items() if n}
        status = Status(
            v=1,
            kind=kind,
            session=session,
            at=time.time(),
            clock=Clock.SYNCED,
            epoch=self.epoch,
            last_seq=last,
            versions={"simulator": "light"},
        )
        return encode(status)

    def _offer(self, lane: Lane, make: object) -> None:
        if self.senders[lane].pending >= _MAX_WAITING:
            self.counts["dropped"] += 1
            return
        self.seqs[lane] += 1
        seq = self.seqs[lane]
        self.bodies[lane, seq] = make(seq)  # type: ignore[operator]
        self.senders[lane].offer(seq)

    def _make_batch(self) -> None:
        now = time.time()
        rng = self.rng
        values: list[tuple[str, str, float, float | bool]] = [
            ("oximeter-1", "heart_rate", now, round(rng.gauss(74, 4))),
            ("oximeter-1", "spo2", now, round(min(100.0, rng.gauss(96.8, 0.7)), 1)),
            ("pir-living-room", "motion", now, rng.random() < 0.4),
            ("thermometer-1", "temperature", now, round(rng.gauss(24, 0.4), 1)),
        ]
        if rng.random() < 0.1:
            values += [
                ("cuff-1", "systolic", now, round(rng.gauss(134, 9))),
                ("cuff-1", "diastolic", now, round(rng.gauss(79, 6))),
            ]
        records = pack_readings(values)
        self._offer(
            Lane.LIVE,
            lambda seq: encode(
                TelemetryBatch(
                    v=1, epoch=self.epoch, lane="live", seq=seq, clock=Clock.SYNCED, sent=now, records=records
                )
            ),
        )

    def press_sos(self) -> str:
        """Raise an SOS alarm; returns its id."""
        now = time.time()
        alarm_id = uuid7(now, self.rng)
        self._offer(
            Lane.ALARM,
            lambda seq: encode(sos_event(alarm_id, self.epoch, seq, now)),
        )
        return alarm_id

    def _on_message(self, _client: object, topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        try:
            if topic == down(self.gateway, Down.ACK):
                ack = decode_ack(payload)
                settled = [(e.lane, e.ranges) for e in ack.ranges if e.epoch == self.epoch]
                settled += [(r.lane, [(r.seq, r.seq)]) for r in ack.rejected if r.epoch == self.epoch]
                for lane, ranges in settled:
                    for seq in self.senders[lane].acknowledge(ranges):
                        del self.bodies[lane, seq]
                        self.counts["settled"] += 1
            else:
                command = decode_command(payload)
                reply = Reply(v=1, id=command.id, at=time.time(), status=ReplyStatus.DONE)
                self._publish(Up.REPLY, encode(reply))
        except (ProtocolError, KeyError):
            self.counts["refused"] += 1
        return 0


async def run_neighbourhood(options: NeighbourhoodOptions, counts: Counter[str]) -> None:
    """Run all homes until cancelled."""
    async with asyncio.TaskGroup() as group:
        for i in range(1, options.homes + 1):
            home = LightHome(f"{options.prefix}{i:03d}", options, random.Random(options.seed * 10_007 + i), counts)
            group.create_task(home.run())
