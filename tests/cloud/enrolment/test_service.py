"""Tokens, first certificates, renewal and revocation, on both databases."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from cloud.context import Context
from cloud.enrolment import authority as ca
from cloud.enrolment import service, store
from cloud.enrolment.errors import AuthorityError, EnrolmentError, EnrolmentReason
from edge.provisioning.credentials import NewKey, Present, new_key
from tests.conftest import ManualClock
from tests.support.district import HOME, settle

_NAME = "gw-new"
_OTHER_HOME = "h-n001"
_HOUR_S, _DAY_S = 3_600.0, 86_400.0


@pytest.fixture
def authority(tmp_path: Path, clock: ManualClock) -> ca.Authority:
    return ca.create(tmp_path / "ca", "test authority", 1, clock.now)


async def _token(context: Context, gateway: str = _NAME, hours: float = 24) -> str:
    async with context.work() as work:
        return await service.add(work, gateway, HOME, hours * _HOUR_S, "test")


async def _enrol(context: Context, authority: ca.Authority, token: str, key: NewKey) -> service.Enrolled:
    async with context.work() as work:
        return await service.enrol(work, authority, token, key.request, 90)


async def _renew(
    context: Context, authority: ca.Authority, present: str, signed_by: NewKey, new: NewKey
) -> service.Enrolled:
    signer = Present("x", present, 0.0, signed_by.key)
    signature = base64.b64decode(signer.sign(new.request))
    async with context.work() as work:
        return await service.renew(work, authority, present, new.request, signature, 90)


async def test_first_certificate(context: Context, authority: ca.Authority, clock: ManualClock) -> None:
    """It names the gateway whatever the request says, is signed by the authority, and is for clients only."""
    await settle(context)
    key = new_key()
    enrolled = await _enrol(context, authority, await _token(context), key)
    certificate = x509.load_pem_x509_certificate(enrolled.certificate.encode())
    certificate.verify_directly_issued_by(authority.certificate)
    assert certificate.subject.rfc4514_string() == f"CN={_NAME}"
    assert certificate.public_key() == key.key.public_key()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert enrolled.expires_at == pytest.approx(clock.now + 90 * _DAY_S, abs=1)


async def test_a_token_is_good_once(context: Context, authority: ca.Authority) -> None:
    """The same key gets the same certificate again (the answer was lost); another key gets nothing."""
    await settle(context)
    token, key = await _token(context), new_key()
    first = await _enrol(context, authority, token, key)
    assert await _enrol(context, authority, token, key) == first
    with pytest.raises(EnrolmentError) as caught:
        await _enrol(context, authority, token, new_key())
    assert caught.value.reason is EnrolmentReason.TOKEN_USED


async def test_two_devices_with_one_token(context: Context, authority: ca.Authority) -> None:
    """Of two that ask at the same moment one is enrolled."""
    await settle(context)
    token = await _token(context)
    results = await asyncio.gather(
        *(_enrol(context, authority, token, new_key()) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(result, service.Enrolled) for result in results) == 1
    refused = [result for result in results if isinstance(result, EnrolmentError)]
    assert {error.reason for error in refused} == {EnrolmentReason.TOKEN_USED}
    assert len(refused) == 3


async def test_tokens_end(context: Context, authority: ca.Authority, clock: ManualClock) -> None:
    """After its hours, or when another is made, a token is worth nothing; an unknown one never was."""
    await settle(context)
    old = await _token(context, hours=1)
    late = await _token(context, hours=1)
    clock.now += _HOUR_S
    for token, reason in (
        (old, EnrolmentReason.TOKEN_EXPIRED),
        (late, EnrolmentReason.TOKEN_EXPIRED),
        ("a" * 32, EnrolmentReason.TOKEN_UNKNOWN),
    ):
        with pytest.raises(EnrolmentError) as caught:
            await _enrol(context, authority, token, new_key())
        assert caught.value.reason is reason


async def test_what_cannot_be_added(context: Context) -> None:
    """A home that is not there, and a gateway that stands elsewhere, are named."""
    await settle(context)
    await _token(context)
    async with context.work() as work:
        with pytest.raises(service.GatewayError, match="no home h-none"):
            await service.add(work, "gw-x", "h-none", 60, "test")
        with pytest.raises(service.GatewayError, match=f"{_NAME} stands in home {HOME}"):
            await service.add(work, _NAME, _OTHER_HOME, 60, "test")
        with pytest.raises(service.GatewayError, match="no gateway gw-none"):
            await service.revoke(work, "gw-none")


@pytest.mark.parametrize("text", ["", "rubbish", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END"])
def test_requests_that_are_none(text: str) -> None:
    """A request nobody can read is refused by name."""
    with pytest.raises(EnrolmentError) as caught:
        ca.read_request(text)
    assert caught.value.reason is EnrolmentReason.REQUEST_INVALID


def test_a_weak_key_is_refused() -> None:
    """RSA of 1,024 bits gets no certificate."""
    key = rsa.generate_private_key(65_537, 1_024)
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    with pytest.raises(EnrolmentError) as caught:
        ca.read_request(request.public_bytes(serialization.Encoding.PEM).decode())
    assert caught.value.reason is EnrolmentReason.KEY_TOO_WEAK


async def test_renewal(context: Context, authority: ca.Authority, clock: ManualClock) -> None:
    """Signed with the present key it gives a new certificate; signed with another, or too late, nothing."""
    await settle(context)
    key, next_key = new_key(), new_key()
    first = await _enrol(context, authority, await _token(context), key)
    clock.now += 60 * _DAY_S
    with pytest.raises(EnrolmentError) as caught:
        await _renew(context, authority, first.certificate, next_key, next_key)
    assert caught.value.reason is EnrolmentReason.SIGNATURE_WRONG
    second = await _renew(context, authority, first.certificate, key, next_key)
    assert second.gateway == _NAME
    assert second.expires_at == pytest.approx(clock.now + 90 * _DAY_S, abs=1)
    assert await _renew(context, authority, first.certificate, key, next_key) == second
    clock.now += 31 * _DAY_S
    with pytest.raises(EnrolmentError) as caught:
        await _renew(context, authority, first.certificate, key, new_key())
    assert caught.value.reason is EnrolmentReason.CERTIFICATE_EXPIRED


async def test_a_certificate_of_another_authority(context: Context, authority: ca.Authority, tmp_path: Path) -> None:
    """Whoever signs for himself is not known here."""
    await settle(context)
    other = ca.create(tmp_path / "other", "test authority", 1, context.now())
    key = new_key()
    foreign = other.issue(ca.read_request(key.request), _NAME, 99, context.now(), 90)
    with pytest.raises(EnrolmentError) as caught:
        await _renew(context, authority, foreign, key, new_key())
    assert caught.value.reason is EnrolmentReason.CERTIFICATE_UNKNOWN


async def test_revoked(context: Context, authority: ca.Authority) -> None:
    """A revoked gateway is on the list, can neither renew nor enrol, until it is added again."""
    await settle(context)
    key = new_key()
    first = await _enrol(context, authority, await _token(context), key)
    unused = await _token(context)
    async with context.work() as work:
        assert await service.revoke(work, _NAME) == 1
    assert await service.write_revocation_list(context, authority) == 1
    listed = x509.load_pem_x509_crl((authority.folder / ca.REVOKED).read_bytes())
    serial = x509.load_pem_x509_certificate(first.certificate.encode()).serial_number
    assert listed.get_revoked_certificate_by_serial_number(serial) is not None
    with pytest.raises(EnrolmentError) as caught:
        await _renew(context, authority, first.certificate, key, new_key())
    assert caught.value.reason is EnrolmentReason.CERTIFICATE_REVOKED
    with pytest.raises(EnrolmentError) as caught:
        await _enrol(context, authority, unused, new_key())
    assert caught.value.reason is EnrolmentReason.TOKEN_EXPIRED
    assert (await _enrol(context, authority, await _token(context), new_key())).gateway == _NAME
    async with context.look() as look:
        rows = {row["id"]: row for row in await store.listing(look)}
    assert rows[_NAME]["revoked_at"] is None
    assert rows[_NAME]["certificate_until"] is not None


def test_the_authority_is_made_once(authority: ca.Authority) -> None:
    """A second `init` would end every certificate; it is refused, and the key is for its owner only."""
    assert (authority.folder / ca.KEY).stat().st_mode & 0o777 == 0o600
    with pytest.raises(AuthorityError, match=r"ca\.key is there already"):
        ca.create(authority.folder, "another", 2, 0.0)
    assert ca.load(authority.folder).certificate == authority.certificate
    (authority.folder / ca.KEY).write_text("rubbish")
    with pytest.raises(AuthorityError):
        ca.load(authority.folder)
    with pytest.raises(AuthorityError, match="ca init"):
        ca.load(authority.folder / "nothing")
