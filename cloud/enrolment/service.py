"""Adding, enrolling, renewing and revoking gateways.

Theory of operation. `add` gives a token of 160 random bits, kept as its hash, good once and for a time. A device sends
the token with a request for a key made on it; using up the token and recording the certificate are one transaction. A
device that lost the answer asks again with the same key and gets the same certificate; with another key it gets
nothing. Renewal is signed with the old key. Revoking takes effect in three places: ingest does not know the gateway
any more, its certificates stand on the revocation list, and it can neither enrol nor renew.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from cloud.context import Context, Work
from cloud.enrolment import store
from cloud.enrolment.authority import REVOKED, Authority, key_hash, read_request, replace_file
from cloud.enrolment.errors import EnrolmentError, EnrolmentReason
from cloud.registry.gateways import registry_changed

_TOKEN_BYTES = 20
_SERIAL_BITS = 158  # RFC 5280 allows 20 octets, the first bit zero


class GatewayError(ValueError):
    """A gateway cannot be added or revoked; the message names it and says why."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a gateway is given."""

    gateway: str
    certificate: str
    expires_at: float


def new_serial(work: Work) -> int:
    """A serial number nobody can guess."""
    return work.context.rng.getrandbits(_SERIAL_BITS) | 1


async def add(work: Work, gateway: str, home: str, lifetime_s: float, by: str) -> str:
    """Register a gateway in a home and return its token; a token it had before ends. Raises GatewayError."""
    if not await store.home_exists(work, home):
        raise GatewayError(f"there is no home {home}")
    known = await store.gateway(work, gateway)
    if known is not None and known["home_id"] != home and known["revoked_at"] is None:
        raise GatewayError(f"{gateway} stands in home {known['home_id']}; revoke it there first")
    await store.put_gateway(work, gateway, home, known=known is not None)
    await store.end_tokens(work, gateway)
    secret = base64.b32encode(work.context.rng.randbytes(_TOKEN_BYTES)).decode().lower()
    await store.add_token(work, gateway, _hash(secret), work.now + lifetime_s, by)
    await registry_changed(work)
    return secret


async def enrol(work: Work, authority: Authority, token: str, csr: str, days: float) -> Enrolled:
    """A first certificate for the holder of a token. Raises EnrolmentError."""
    request = read_request(csr)
    key = key_hash(request.public_key())
    used_now = await store.use_token(work, _hash(token), key)
    row = await store.token(work, _hash(token))
    if row is None:
        raise EnrolmentError(EnrolmentReason.TOKEN_UNKNOWN, "there is no such token")
    gateway = row["gateway_id"]
    if used_now:
        await _standing(work, gateway)
        return await _issue(work, authority, request, gateway, days)
    again = await store.certificate_of_key(work, gateway, key) if row["used_key"] == key else None
    if again is not None:
        return Enrolled(gateway, again["pem"], again["expires_at"])
    if row["used_at"] is not None:
        raise EnrolmentError(EnrolmentReason.TOKEN_USED, "this token has been used; ask for another")
    raise EnrolmentError(EnrolmentReason.TOKEN_EXPIRED, "this token has run out; ask for another")


async def renew(work: Work, authority: Authority, present: str, csr: str, signature: bytes, days: float) -> Enrolled:
    """A new certificate for a gateway that signs the request (its PEM text) with its present key.

    Raises EnrolmentError.
    """
    request = read_request(csr)
    old = _own_certificate(authority, present)
    row = await store.certificate(work, old.serial_number)
    if row is None:
        raise EnrolmentError(EnrolmentReason.CERTIFICATE_UNKNOWN, "certificate: it was not issued here")
    if row["revoked_at"] is not None:
        raise EnrolmentError(EnrolmentReason.CERTIFICATE_REVOKED, f"{row['gateway_id']}: its certificate is revoked")
    if row["expires_at"] <= work.now:
        raise EnrolmentError(EnrolmentReason.CERTIFICATE_EXPIRED, f"{row['gateway_id']}: enrol again with a new token")
    _check_signature(old, csr.encode(), signature)
    await _standing(work, row["gateway_id"])
    again = await store.certificate_of_key(work, row["gateway_id"], key_hash(request.public_key()))
    if again is not None:
        return Enrolled(row["gateway_id"], again["pem"], again["expires_at"])
    return await _issue(work, authority, request, row["gateway_id"], days)


async def revoke(work: Work, gateway: str) -> int:
    """Shut a gateway out; returns how many good certificates it had. Raises GatewayError."""
    if await store.gateway(work, gateway) is None:
        raise GatewayError(f"there is no gateway {gateway}")
    await store.end_tokens(work, gateway)
    count = await store.revoke(work, gateway)
    await registry_changed(work)
    return count


async def write_revocation_list(context: Context, authority: Authority) -> int:
    """Write the list the broker reads; returns how many certificates are on it. Raises OSError."""
    async with context.look() as look:
        revoked = await store.revoked(look)
    number = int(context.now() * 1_000)
    data = authority.revocation_list(revoked, number, context.now())
    replace_file(authority.folder / REVOKED, data)
    return len(revoked)


async def _standing(work: Work, gateway: str) -> None:
    row = await store.gateway(work, gateway)
    if row is None or row["revoked_at"] is not None:
        raise EnrolmentError(EnrolmentReason.GATEWAY_REVOKED, f"{gateway} is not in service")


async def _issue(
    work: Work, authority: Authority, request: x509.CertificateSigningRequest, gateway: str, days: float
) -> Enrolled:
    serial = new_serial(work)
    pem = authority.issue(request, gateway, serial, work.now, days)
    expires_at = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp()
    await store.add_certificate(work, serial, gateway, key_hash(request.public_key()), pem, expires_at)
    return Enrolled(gateway, pem, expires_at)


def _own_certificate(authority: Authority, pem: str) -> x509.Certificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        certificate.verify_directly_issued_by(authority.certificate)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        raise EnrolmentError(EnrolmentReason.CERTIFICATE_UNKNOWN, "certificate: it was not issued here") from None
    return certificate


def _check_signature(certificate: x509.Certificate, text: bytes, signature: bytes) -> None:
    key = certificate.public_key()
    try:
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise EnrolmentError(EnrolmentReason.SIGNATURE_WRONG, "renewal is for P-256 keys; enrol again with a token")
        key.verify(signature, text, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise EnrolmentError(EnrolmentReason.SIGNATURE_WRONG, "signature: it is not of the present key") from None


def _hash(token: str) -> str:
    return hashlib.sha256(token.strip().lower().encode()).hexdigest()
