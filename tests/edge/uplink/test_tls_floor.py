"""TLS while nobody knows the time, against a real server: dates are judged by the floor, all else as always."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.uplink.tls import client_context

DAY = 86_400.0
T = 1_795_000_000.0


def _issue(folder: Path, name: str, start: float, end: float, signer: str | None = None) -> None:
    """A certificate for `name` in `folder`, signed by `signer` (None: a CA of its own)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing = subject, key
    if signer is not None:
        issuer = x509.load_pem_x509_certificate((folder / f"{signer}.crt").read_bytes()).subject
        loaded = serialization.load_pem_private_key((folder / f"{signer}.key").read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        signing = loaded
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime.fromtimestamp(start, datetime.UTC))
        .not_valid_after(datetime.datetime.fromtimestamp(end, datetime.UTC))
        .add_extension(x509.BasicConstraints(ca=signer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signing, hashes.SHA256())
    )
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / f"{name}.key").write_bytes(pem)


@contextmanager
def _server(folder: Path, name: str) -> Iterator[int]:
    """A TLS server on loopback that takes one connection."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(20)

    def serve() -> None:
        try:
            plain, _ = listener.accept()
            with plain, context.wrap_socket(plain, server_side=True) as connection:
                connection.sendall(b"hello")
        except OSError:
            return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        thread.join()
        listener.close()


def _greet(folder: Path, served: str, name: str, floor: float | None) -> bytes:
    with _server(folder, served) as port, socket.create_connection(("127.0.0.1", port), 20) as plain:
        context = client_context(str(folder / "ca.crt"), floor)
        with context.wrap_socket(plain, server_hostname=name) as connection:
            return connection.recv(5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A CA valid for 20 years, a broker's certificate valid from T for 90 days: as if on another day than today."""
    _issue(tmp_path, "ca", T - 3650 * DAY, T + 3650 * DAY)
    start = datetime.datetime.now(datetime.UTC).timestamp() + 1000 * DAY
    _issue(tmp_path, "broker.test", start, start + 90 * DAY, "ca")
    _issue(tmp_path, "old.test", T - 400 * DAY, T - 310 * DAY, "ca")
    return tmp_path


def _start_of(folder: Path, name: str) -> float:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes()).not_valid_before_utc.timestamp()


def test_a_wrong_clock_does_not_lock_out(folder: Path) -> None:
    """This machine's clock lies years before the certificate: refused by the clock, taken by the floor within it."""
    start = _start_of(folder, "broker.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="not yet valid"):
        _greet(folder, "broker.test", "broker.test", None)
    assert _greet(folder, "broker.test", "broker.test", start + DAY) == b"hello"


def test_a_certificate_renewed_while_the_gateway_was_off(folder: Path) -> None:
    """One issued after the last known time is taken: the true time may well lie in it."""
    assert _greet(folder, "broker.test", "broker.test", _start_of(folder, "broker.test") - 500 * DAY) == b"hello"


def test_ended_before_the_floor_is_refused(folder: Path) -> None:
    """A certificate whose end has certainly passed is refused, by name."""
    with pytest.raises(ssl.SSLCertVerificationError, match=r"old\.test ended"):
        _greet(folder, "old.test", "old.test", T)


def test_name_and_chain_are_checked_all_the_same(folder: Path) -> None:
    """The floor forgives neither another name nor another CA."""
    floor = _start_of(folder, "broker.test") + DAY
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        _greet(folder, "broker.test", "other.test", floor)
    _issue(folder, "ca", T - 3650 * DAY, T + 3650 * DAY)
    with pytest.raises(ssl.SSLCertVerificationError, match="verify failed"):
        _greet(folder, "broker.test", "broker.test", floor)
