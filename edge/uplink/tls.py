"""TLS to the cloud, also while nobody knows the time: certificates are then judged by a floor, never left unjudged.

A gateway without a battery-backed clock may wake in 1970, and NTP may come only through the link that TLS guards.
While the clock is not synchronised OpenSSL still checks chain, name and purpose, and this module checks the dates:
there must be one moment, not before the floor, at which every certificate of the verified chain is valid.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL 1.1 and newer; Python has no name for it."""


@dataclass(frozen=True, slots=True)
class Validity:
    """When one certificate is valid, Unix seconds, both ends included."""

    subject: str
    not_before: float
    not_after: float


def check_dates(chain: Iterable[Validity], floor: float) -> None:
    """Raise ssl.SSLCertVerificationError unless the chain is valid at some moment from `floor` on."""
    certificates = list(chain)
    if not certificates:
        raise ssl.SSLCertVerificationError("the peer has shown no certificate")
    moment = max(floor, *(c.not_before for c in certificates))
    for certificate in certificates:
        if certificate.not_after < moment:
            raise ssl.SSLCertVerificationError(
                f"{certificate.subject} ended at {certificate.not_after:.0f}, it is {moment:.0f} or later"
            )


class _FloorSocket(ssl.SSLSocket):
    """Judges the dates as part of the handshake: before it, nothing is sent."""

    def do_handshake(self, block: bool = False) -> None:
        """As ssl.SSLSocket; also raises ssl.SSLCertVerificationError for the dates."""
        super().do_handshake(block)
        _judge(self)


class _FloorObject(ssl.SSLObject):
    """The same for asyncio and httpx."""

    def do_handshake(self) -> None:
        """As ssl.SSLObject; also raises ssl.SSLCertVerificationError for the dates."""
        super().do_handshake()
        _judge(self)


class FloorContext(ssl.SSLContext):
    """A client's context for an unknown time; make it by `client_context`."""

    sslsocket_class = _FloorSocket
    sslobject_class = _FloorObject
    floor: float = 0.0


def client_context(ca_file: str | None, floor: float | None) -> ssl.SSLContext:
    """A verifying client context: chain, name, purpose and dates; TLS 1.2 or newer.

    `floor` None: the system's clock is right and OpenSSL judges the dates. Otherwise Unix seconds that have certainly
    passed. Raises OSError, ssl.SSLError for a bad `ca_file`.
    """
    if floor is None:
        return ssl.create_default_context(cafile=ca_file)
    context = FloorContext(ssl.PROTOCOL_TLS_CLIENT)
    context.floor = floor
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _NO_CHECK_TIME)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(cafile=ca_file)
    return context


def _judge(connection: ssl.SSLSocket | ssl.SSLObject) -> None:
    context = connection.context
    assert isinstance(context, FloorContext)
    # The verified chain has a public name only from Python 3.13 on.
    native: Any = connection._sslobj  # type: ignore[union-attr]
    check_dates((_validity(certificate.get_info()) for certificate in native.get_verified_chain()), context.floor)


def _validity(info: dict[str, Any]) -> Validity:
    subject = ", ".join("=".join(pair) for part in info.get("subject", ()) for pair in part)
    return Validity(subject, ssl.cert_time_to_seconds(info["notBefore"]), ssl.cert_time_to_seconds(info["notAfter"]))
