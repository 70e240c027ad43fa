"""One connection to the broker (gmqtt), made anew with jitter whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Callable, Iterable, Sequence

import gmqtt
import structlog
from gmqtt.mqtt.constants import MQTTv311

from cloud.config import Broker, read_secret
from protocols.mqtt import encode_publish, read_faster, write_packets

log = structlog.get_logger()

OnMessage = Callable[[str, bytes, bool], None]
"""Topic, payload, whether the broker had retained it. Must not block."""

Publish = Callable[[str, bytes, int], bool]
"""Topic, payload, QoS: hands a message to the broker; False while there is no connection."""

_CONNECT_TIMEOUT_S = 10.0
_BACKOFF_LIMIT_S = 5.0
_KEEPALIVE_S = 20
_NEVER = -2
"""gmqtt reconnects by itself unless told a number below -1; here `run` does, with a new client each time."""

logging.getLogger("gmqtt").setLevel(logging.CRITICAL)


class BrokerConnection:
    """What comes goes to `on_message` at once; its sender sends again what we do not settle.

    So the subscription's QoS is no promise of delivery, only a price: at QoS 1 the broker keeps each message until we
    have acknowledged its packet, at QoS 0 it lets go of it at once (docs/decisions/ingest.md has the measurement).
    """

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        topics: Sequence[str],
        on_message: OnMessage,
        *,
        qos: int = 1,
        gather_s: float = 0.0,
    ) -> None:
        self._broker = broker
        self._qos = qos
        self._gather_s = gather_s
        self._client_id = client_id
        group = f"$share/{broker.share_group}/" if broker.share_group else ""
        self._topics = [f"{group}{topic}" for topic in topics]
        self._on_message = on_message
        self._client: gmqtt.Client | None = None
        self.connected = False
        self.connects = 0

    async def run(self) -> None:
        """Keep connected until cancelled."""
        failures = 0
        while True:
            lost = asyncio.Event()
            client = self._make(lost)
            try:
                await self._connect(client)
                failures = 0
                self._client, self.connected = client, True
                self.connects += 1
                log.info("broker_connected", client=self._client_id, host=self._broker.host, port=self._broker.port)
                await lost.wait()
                log.warning("broker_lost", client=self._client_id)
            except (OSError, gmqtt.mqtt.handler.MQTTConnectError, TimeoutError, ssl.SSLError) as error:
                log.warning("broker_unreachable", host=self._broker.host, port=self._broker.port, error=repr(error))
            finally:
                self._client, self.connected = None, False
                await _leave(client)
            failures += 1
            await asyncio.sleep(random.uniform(0.1, min(_BACKOFF_LIMIT_S, 0.3 * 2**failures)))

    def _make(self, lost: asyncio.Event) -> gmqtt.Client:
        client = gmqtt.Client(self._client_id, clean_session=True, logger=logging.getLogger("gmqtt"))
        client.set_config({"reconnect_retries": _NEVER})
        if self._broker.username is not None:
            secret = self._broker.password_file
            client.set_auth_credentials(self._broker.username, read_secret(secret) if secret else None)

        def on_message(_client: object, topic: str, payload: bytes, _qos: int, properties: dict[str, object]) -> int:
            self._on_message(topic, payload, bool(properties.get("retain")))
            return 0

        def on_connect(connected: gmqtt.Client, *_: object) -> None:
            read_faster(connected, self._on_message, gather_s=self._gather_s)
            connected.subscribe([gmqtt.Subscription(topic, qos=self._qos) for topic in self._topics])

        client.on_message = on_message
        client.on_connect = on_connect
        client.on_disconnect = lambda *_: lost.set()
        return client

    async def _connect(self, client: gmqtt.Client) -> None:
        tls = ssl.create_default_context(cafile=self._broker.ca_file) if self._broker.tls else False
        broker = self._broker
        connecting = client.connect(broker.host, broker.port, ssl=tls, keepalive=_KEEPALIVE_S, version=MQTTv311)
        await asyncio.wait_for(connecting, _CONNECT_TIMEOUT_S)

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> bool:
        """Hand one message to the broker; False while there is no connection."""
        client = self._client
        if client is None:
            return False
        client.publish(topic, payload, qos=qos)
        return True

    def publish_many(self, messages: Iterable[tuple[bytes, bytes]]) -> bool:
        """Hand many (topic, payload) to the broker at QoS 0 in one write; False while there is no connection."""
        client = self._client
        if client is None:
            return False
        packets = b"".join([encode_publish(topic, payload) for topic, payload in messages])
        if packets:
            write_packets(client, packets)
        return True


async def _leave(client: gmqtt.Client) -> None:
    try:
        await asyncio.wait_for(client.disconnect(), 2)
    except Exception as error:  # noqa: BLE001 - the connection is gone either way
        log.debug("broker_left", error=repr(error))
