"""Key and certificates on flash: made on the device, replaced as a whole.

`credentials/current` is a link to the folder in use; a new key and its certificate are written to a folder of their
own, synced, and the link is turned by one rename. A power cut leaves the old or the new pair, never a mixture.
"""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge.files import sync_folder, write_whole
from edge.provisioning.places import AUTHORITY as AUTHORITY
from edge.provisioning.places import CERTIFICATE as CERTIFICATE
from edge.provisioning.places import CURRENT
from edge.provisioning.places import KEY as KEY


class CredentialsError(Exception):
    """Credentials cannot be read, written or used; the message says which file and why."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that has no certificate yet, and the request for one (PEM)."""

    key: ec.EllipticCurvePrivateKey
    request: str

    @property
    def pem(self) -> bytes:
        """The key itself."""
        form = serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass(frozen=True, slots=True)
class Present:
    """The credentials in use; `not_after` is Unix seconds."""

    gateway: str
    certificate: str
    not_after: float
    key: ec.EllipticCurvePrivateKey

    def sign(self, text: str) -> str:
        """Base64 of the ECDSA-SHA256 signature of `text`."""
        return base64.b64encode(self.key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))).decode()


def new_key(pending: Path | None = None) -> NewKey:
    """A P-256 key and a request; with `pending` it is kept there until it has a certificate, and found again.

    The authority gives the same certificate for the same key: a power cut between asking and storing costs nothing.
    Raises CredentialsError.
    """
    try:
        if pending is not None and pending.is_file():
            loaded = serialization.load_pem_private_key(pending.read_bytes(), None)
            if isinstance(loaded, ec.EllipticCurvePrivateKey):
                return _requesting(loaded)
        made = _requesting(ec.generate_private_key(ec.SECP256R1()))
        if pending is not None:
            pending.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_whole(pending, made.pem, 0o600)
    except (OSError, ValueError, TypeError) as error:
        raise CredentialsError(f"{pending}: {error}") from None
    return made


def store(folder: Path, key: NewKey, certificate: str, authority: str) -> Path:
    """Put a key with its certificates in use; returns the folder to name in the configuration.

    Raises CredentialsError, also if the certificate is not one for the key.
    """
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        x509.load_pem_x509_certificate(authority.encode())
    except ValueError as error:
        raise CredentialsError(f"the answer holds no certificate: {error}") from None
    if found.public_key() != key.key.public_key():
        raise CredentialsError("the answer's certificate is for another key")
    name = f"{found.serial_number:x}"
    place = folder / name
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(place / KEY, key.pem, 0o600)
        write_whole(place / CERTIFICATE, certificate.encode(), 0o644)
        write_whole(place / AUTHORITY, authority.encode(), 0o644)
        turning = folder / f".{CURRENT}"
        turning.unlink(missing_ok=True)
        turning.symlink_to(name)
        turning.replace(folder / CURRENT)
        sync_folder(folder)
        for old in folder.iterdir():
            if old.is_dir() and not old.is_symlink() and old.name != name:
                shutil.rmtree(old)
    except OSError as error:
        raise CredentialsError(f"{error.filename or folder}: {error.strerror}") from None
    return folder / CURRENT


def present(folder: Path) -> Present:
    """The credentials in use. Raises CredentialsError."""
    try:
        text = (folder / CURRENT / CERTIFICATE).read_text(encoding="ascii")
        certificate = x509.load_pem_x509_certificate(text.encode())
        key = serialization.load_pem_private_key((folder / CURRENT / KEY).read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise CredentialsError(f"{folder / CURRENT}: {error}") from None
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key() or not names:
        raise CredentialsError(f"{folder / CURRENT}: {KEY} is not the key of {CERTIFICATE}")
    return Present(str(names[0].value), text, certificate.not_valid_after_utc.timestamp(), key)


def _requesting(key: ec.EllipticCurvePrivateKey) -> NewKey:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "anju-gateway")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return NewKey(key, request.public_bytes(serialization.Encoding.PEM).decode())
