"""The district's certificate authority: a key, its certificate and a revocation list in one folder.

The key stays on the machine that answers enrolment (mode 0600). Certificates are P-256 and name the gateway as common
name, which the broker takes for the MQTT user name. Formats: RFC 5280 (certificates, revocation list), RFC 2986
(requests).
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cloud.enrolment.errors import AuthorityError, EnrolmentError, EnrolmentReason

KEY, CERTIFICATE, REVOKED = "ca.key", "ca.crt", "crl.pem"
_YEAR_S = 365.25 * 86_400
_AUTHORITY_YEARS = 20
_CLOCK_SLACK_S = 3_600.0
_RSA_BITS = 2_048
_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})


@dataclass(frozen=True, slots=True)
class Authority:
    """An authority that has been opened; it can sign."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """Its certificate, which gateways and broker trust."""
        return _pem(self.certificate)

    def issue(self, request: x509.CertificateSigningRequest, gateway: str, serial: int, now: float, days: float) -> str:
        """A client certificate (PEM) for the request's key. The subject is `gateway`, whatever the request says."""
        usage = [ExtendedKeyUsageOID.CLIENT_AUTH]
        return self._sign(request.public_key(), gateway, serial, now, days, usage, [x509.DNSName(gateway)])

    def issue_broker(self, hosts: Sequence[str], serial: int, now: float, days: float) -> tuple[str, str]:
        """Key and certificate (PEM) of a broker reached by these names or addresses; the first is its subject."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = [ExtendedKeyUsageOID.SERVER_AUTH]
        names = [_host(host) for host in hosts]
        return _key_pem(key).decode(), self._sign(key.public_key(), hosts[0], serial, now, days, usage, names)

    def revocation_list(self, revoked: Iterable[tuple[int, float]], number: int, now: float) -> bytes:
        """The signed list (PEM) of (serial, revoked at).

        It is valid as long as the authority: it lies beside the broker and is written anew at each revocation; with
        a list that has run out, OpenSSL would refuse every gateway of the district.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(_time(now - _CLOCK_SLACK_S))
            .next_update(self.certificate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
        )
        for serial, at in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(_time(at)).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _sign(
        self,
        key: CertificatePublicKeyTypes,
        name: str,
        serial: int,
        now: float,
        days: float,
        usage: Sequence[x509.ObjectIdentifier],
        alternatives: Sequence[x509.GeneralName],
    ) -> str:
        until = min(_time(now + days * 86_400), self.certificate.not_valid_after_utc)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(serial)
            .not_valid_before(_time(now - _CLOCK_SLACK_S))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return _pem(certificate)


def create(folder: Path, name: str, serial: int, now: float) -> Authority:
    """Make a new authority in `folder`. Raises AuthorityError if there is one already, or the folder cannot be used."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(name))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(_time(now - _CLOCK_SLACK_S))
        .not_valid_after(_time(now + _AUTHORITY_YEARS * _YEAR_S))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    authority = Authority(folder, key, certificate)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(_key_pem(key))
        replace_file(folder / CERTIFICATE, authority.pem.encode())
        replace_file(folder / REVOKED, authority.revocation_list((), 1, now))
    except FileExistsError:
        raise AuthorityError(f"{folder / KEY} is there already; an authority is made once") from None
    except OSError as error:
        raise AuthorityError(f"{error.filename or folder}: {error.strerror}") from None
    return authority


def load(folder: Path) -> Authority:
    """Open the authority in `folder`. Raises AuthorityError."""
    try:
        key = serialization.load_pem_private_key((folder / KEY).read_bytes(), None)
        certificate = x509.load_pem_x509_certificate((folder / CERTIFICATE).read_bytes())
    except OSError as error:
        raise AuthorityError(f"{error.filename}: {error.strerror}; `anju-cloud ca init` makes an authority") from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise AuthorityError(f"{folder}: {error}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityError(f"{folder}: {KEY} is not the key of {CERTIFICATE}")
    return Authority(folder, key, certificate)


def read_request(pem: str) -> x509.CertificateSigningRequest:
    """A request whose signature holds and whose key is strong enough. Raises EnrolmentError."""
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        valid = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise EnrolmentError(EnrolmentReason.REQUEST_INVALID, f"csr: {error}") from None
    if not valid:
        raise EnrolmentError(EnrolmentReason.REQUEST_INVALID, "csr: its signature is not of its own key")
    strong = (
        (isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES)
        or isinstance(key, ed25519.Ed25519PublicKey)
        or (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _RSA_BITS)
    )
    if not strong:
        raise EnrolmentError(EnrolmentReason.KEY_TOO_WEAK, f"csr: P-256, Ed25519 or RSA of {_RSA_BITS} bits is needed")
    return request


def key_hash(key: CertificatePublicKeyTypes) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo), as hex."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = hashes.Hash(hashes.SHA256())
    digest.update(key.public_bytes(serialization.Encoding.DER, form))
    return digest.finalize().hex()


def replace_file(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file so that a reader, or a power cut, finds the old or the new one whole."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _time(at: float) -> datetime:
    return datetime.fromtimestamp(int(at), UTC)
