"""One connection to the cloud's broker: TLS as configured, and the end of a link told apart by who caused it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import Any

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.reasoncodes import ReasonCode

from edge.config import CloudBroker
from edge.uplink.tls import client_context

CONNECT_S = 5.0
"""How long TCP and the broker's answer to CONNECT may take each."""
_LEAVE_S = 1.0


class Cause(StrEnum):
    """Why there is no link, as shown by `anju-gateway status`."""

    LOST = "lost"
    HALF_OPEN = "half_open"
    BROKER_CERTIFICATE = "broker_certificate_not_trusted"
    OUR_CERTIFICATE = "our_certificate_refused"
    TLS_VERSION = "tls_version_refused"
    NOT_AUTHORISED = "not_authorised"
    BAD_CREDENTIALS = "bad_credentials"
    BAD_IDENTIFIER = "identifier_refused"
    PROTOCOL = "mqtt_version_refused"
    UNAVAILABLE = "broker_unavailable"
    SUBSCRIPTION = "subscription_refused"


ADVICE: dict[Cause, str] = {
    Cause.LOST: "the line, or the broker is away; it is tried again by itself",
    Cause.HALF_OPEN: "the line swallows messages; it is tried again by itself",
    Cause.BROKER_CERTIFICATE: "check cloud_broker.ca_file, host and the time of this machine; never turn TLS off",
    Cause.OUR_CERTIFICATE: "check cert_file and key_file: expired, revoked or of another authority? provision again",
    Cause.TLS_VERSION: 'the broker knows no TLS 1.3; mend it, or set cloud_broker.tls_min = "1.2"',
    Cause.NOT_AUTHORISED: "wrong password, or the broker does not know this gateway",
    Cause.BAD_CREDENTIALS: "check cloud_broker.password_file and gateway.id",
    Cause.BAD_IDENTIFIER: "the broker does not take gateway.id as a client identifier",
    Cause.PROTOCOL: "the broker does not speak MQTT 3.1.1",
    Cause.UNAVAILABLE: "the broker is there and takes nobody; it is tried again by itself",
    Cause.SUBSCRIPTION: "the broker's access list does not let this gateway read its own topics",
}
"""What somebody is to do, in one line, as `anju-gateway status` says it."""


class LinkLostError(Exception):
    """The link broke or never came to be; connecting again soon is right."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.cause = cause


class LinkRefusedError(LinkLostError):
    """The other side answered, and said no; somebody must change something, so the next try waits long."""


_REFUSED_BY_CODE = {
    "Unsupported protocol version": Cause.PROTOCOL,
    "Client identifier not valid": Cause.BAD_IDENTIFIER,
    "Bad user name or password": Cause.BAD_CREDENTIALS,
    "Not authorized": Cause.NOT_AUTHORISED,
}
"""CONNACK's return codes 1, 2, 4 and 5 (MQTT 3.1.1, 3.2.2.3) by paho's names for them."""
_REFUSED_BY_TLS = (
    ("PROTOCOL_VERSION", Cause.TLS_VERSION),
    ("UNSUPPORTED_PROTOCOL", Cause.TLS_VERSION),
    ("NO_PROTOCOLS_AVAILABLE", Cause.TLS_VERSION),
    ("CERTIFICATE", Cause.OUR_CERTIFICATE),
    ("UNKNOWN_CA", Cause.OUR_CERTIFICATE),
    ("ACCESS_DENIED", Cause.OUR_CERTIFICATE),
    ("HANDSHAKE_FAILURE", Cause.OUR_CERTIFICATE),
)
"""Parts of the names OpenSSL gives to the alerts of RFC 8446, 6.2."""


def classify(error: BaseException) -> LinkLostError:
    """What an error of connecting or of an open link means; a TLS error inside an aiomqtt one is looked for."""
    if isinstance(error, LinkLostError):
        return error
    if isinstance(error, MqttConnectError):
        name = error.rc.getName() if isinstance(error.rc, ReasonCode) else ""
        if name in _REFUSED_BY_CODE:
            return LinkRefusedError(_REFUSED_BY_CODE[name], f"the broker answered: {name}")
        return LinkLostError(Cause.UNAVAILABLE, f"the broker answered: {name or error}")
    for cause in (error, error.__context__):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return LinkRefusedError(Cause.BROKER_CERTIFICATE, cause.verify_message or str(cause))
        if isinstance(cause, ssl.SSLError):
            named = [found for part, found in _REFUSED_BY_TLS if part in (cause.reason or "")]
            if named:
                return LinkRefusedError(named[0], str(cause))
    return LinkLostError(Cause.LOST, str(error) or type(error).__name__)


def _telling(base: type[ssl.SSLSocket], tell: Callable[[ssl.SSLError], None]) -> type[ssl.SSLSocket]:
    """A socket that reports the alert that ends it: under TLS 1.3 a broker refuses our certificate only after the
    handshake, where paho would log it and wait for an answer that cannot come.
    """

    class Telling(base):  # type: ignore[misc,valid-type]
        def do_handshake(self, block: bool = False) -> None:
            """paho leaves a socket open whose handshake failed."""
            try:
                super().do_handshake(block)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except OSError:
                self.close()
                raise

        def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
            try:
                return bytes(super().recv(buflen, flags))
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError as error:
                tell(error)
                raise

    return Telling


def tls_context(
    broker: CloudBroker, floor: float | None, tell: Callable[[ssl.SSLError], None]
) -> ssl.SSLContext | None:
    """TLS 1.3 (1.2 where configured), always verifying; `floor` as in `client_context`. Raises LinkRefusedError when a
    file cannot be used.
    """
    if not broker.tls:
        return None
    try:
        context = client_context(str(broker.ca_file) if broker.ca_file else None, floor)
        if broker.cert_file:
            context.load_cert_chain(broker.cert_file, broker.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(f) for f in (broker.ca_file, broker.cert_file, broker.key_file) if f)
        raise LinkRefusedError(Cause.OUR_CERTIFICATE, f"{files}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if broker.tls_min == "1.3" else ssl.TLSVersion.TLSv1_2
    context.sslsocket_class = _telling(context.sslsocket_class or ssl.SSLSocket, tell)
    return context


@contextlib.asynccontextmanager
async def linked(broker: CloudBroker, floor: float | None, **options: Any) -> AsyncIterator[aiomqtt.Client]:
    """A connected client; whatever ends it is a LinkLostError, and leaving never waits for a dead link."""
    refused: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told(error: ssl.SSLError) -> None:
        if not refused.done():
            refused.set_exception(error)

    client = aiomqtt.Client(broker.host, broker.port, tls_context=tls_context(broker, floor, told), **options)
    client._client.connect_timeout = CONNECT_S
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.wait((entering, refused), return_when=asyncio.FIRST_COMPLETED)
        (refused if refused.done() else entering).result()
        yield client
    except (aiomqtt.MqttError, OSError) as error:
        raise classify(_told(refused) or error) from error
    finally:
        refused.cancel()
        await _leave(client, entering)


def _told(refused: asyncio.Future[None]) -> BaseException | None:
    return refused.exception() if refused.done() and not refused.cancelled() else None


async def _leave(client: aiomqtt.Client, entering: asyncio.Future[aiomqtt.Client]) -> None:
    """Say goodbye if there is somebody to say it to; then the socket goes, whatever waits in it."""
    open_ = entering.done() and not entering.cancelled() and entering.exception() is None
    if not open_:
        client._client.on_disconnect = None  # aiomqtt's looks at a future that may be cancelled by now
    if not entering.done():
        entering.cancel()
        with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
            await entering
    if open_:
        with contextlib.suppress(TimeoutError, aiomqtt.MqttError):
            async with asyncio.timeout(_LEAVE_S):
                await client.__aexit__(None, None, None)
    left = client._client.socket()
    if isinstance(left, socket.socket):
        with contextlib.suppress(OSError):
            left.shutdown(socket.SHUT_RDWR)


async def subscribe(client: aiomqtt.Client, topics: list[tuple[str, int]], timeout_s: float) -> None:
    """Subscribe; the broker must answer in time and grant all. Raises LinkRefusedError, aiomqtt.MqttError."""
    granted = await client.subscribe(topics, timeout=timeout_s)
    for (topic, _), code in zip(topics, granted, strict=True):
        if isinstance(code, ReasonCode) and code.is_failure:
            raise LinkRefusedError(Cause.SUBSCRIPTION, f"{topic}: the broker's access list does not let us read it")
