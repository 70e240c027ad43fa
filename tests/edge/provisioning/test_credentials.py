"""Key and certificate on flash: whole or not at all, and renewed in time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cloud.enrolment import authority as ca
from edge.clock import Instant, SystemClock
from edge.files import write_whole
from edge.provisioning import client, credentials
from edge.provisioning.client import Answer, EnrolmentError
from edge.provisioning.credentials import CredentialsError, NewKey
from edge.provisioning.renewal import Renewal

_DAY_S = 86_400.0
_NOW = 1_790_000_000.0


class _Clock(SystemClock):
    def __init__(self) -> None:
        self.wall = _NOW

    def now(self) -> Instant:
        return Instant(self.wall, self.wall)


@pytest.fixture
def authority(tmp_path: Path) -> ca.Authority:
    return ca.create(tmp_path / "ca", "test authority", 1, _NOW)


def _certificate(authority: ca.Authority, key: NewKey, now: float = _NOW, serial: int = 7) -> str:
    return authority.issue(ca.read_request(key.request), "gw-1", serial, now, 90)


def test_stored_and_found_again(tmp_path: Path, authority: ca.Authority) -> None:
    """What was stored is in use; the pair before it is gone; the key is readable by its owner only."""
    folder = tmp_path / "credentials"
    for serial in (7, 8):
        key = credentials.new_key()
        pem = _certificate(authority, key, serial=serial)
        place = credentials.store(folder, key, pem, authority.pem)
        found = credentials.present(folder)
        assert (found.gateway, found.certificate) == ("gw-1", pem)
        assert (place / credentials.KEY).stat().st_mode & 0o777 == 0o600
        assert sorted(p.name for p in folder.iterdir()) == sorted(["current", f"{serial:x}"])


def test_a_power_cut_while_storing(tmp_path: Path, authority: ca.Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut before the link is turned, the old pair is still in use, whole."""
    folder = tmp_path / "credentials"
    old = credentials.new_key()
    pem = _certificate(authority, old)
    credentials.store(folder, old, pem, authority.pem)
    new = credentials.new_key()
    written = []

    def cut(path: Path, body: bytes, mode: int) -> None:
        write_whole(path, body, mode)
        written.append(path)
        if path.name == credentials.AUTHORITY:
            raise OSError(5, "power is cut", str(path))

    monkeypatch.setattr(credentials, "write_whole", cut)
    with pytest.raises(CredentialsError, match="power is cut"):
        credentials.store(folder, new, _certificate(authority, new, serial=8), authority.pem)
    assert len(written) == 3
    assert credentials.present(folder).certificate == pem


def test_answers_that_do_not_fit(tmp_path: Path, authority: ca.Authority) -> None:
    """A certificate for another key, or none at all, is refused and nothing changes."""
    folder, key = tmp_path / "credentials", credentials.new_key()
    with pytest.raises(CredentialsError, match="another key"):
        credentials.store(folder, key, _certificate(authority, credentials.new_key()), authority.pem)
    with pytest.raises(CredentialsError, match="no certificate"):
        credentials.store(folder, key, "rubbish", authority.pem)
    with pytest.raises(CredentialsError):
        credentials.present(folder)


def test_a_key_waits_for_its_certificate(tmp_path: Path) -> None:
    """After a crash between asking and storing, the same key asks again."""
    pending = tmp_path / "credentials" / "pending.key"
    first = credentials.new_key(pending)
    assert pending.stat().st_mode & 0o777 == 0o600
    assert credentials.new_key(pending).pem == first.pem


@pytest.mark.parametrize("url", ["http://anju.example", "ftp://anju.example", "anju.example", "https://"])
def test_only_https(url: str) -> None:
    """A token is never sent in the clear over a network."""
    with pytest.raises(EnrolmentError, match="https"):
        client.check_url(url)


async def test_renewed_in_time(tmp_path: Path, authority: ca.Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before two thirds of its life nothing is asked; then a failure waits with jitter, and an answer is put in use."""
    folder, clock, key = tmp_path / "credentials", _Clock(), credentials.new_key()
    credentials.store(folder, key, _certificate(authority, key), authority.pem)
    asked: list[str] = []

    def answer(self: client.EnrolmentClient, certificate: str, csr: str, signature: str) -> Answer:
        asked.append(csr)
        if len(asked) == 1:
            raise EnrolmentError("not reached")
        pem = authority.issue(ca.read_request(csr), "gw-1", 9, clock.wall, 90)
        return Answer("gw-1", pem, authority.pem, clock.wall + 90 * _DAY_S, "localhost", 8883)

    monkeypatch.setattr(client.EnrolmentClient, "renew", answer)
    renewal = Renewal("https://anju.example", None, folder, clock, random.Random(1))
    assert await renewal.step() == 3_600
    assert asked == []
    assert renewal.expires_at == pytest.approx(_NOW + 90 * _DAY_S)
    clock.wall += 61 * _DAY_S
    assert await renewal.step() < 61
    await renewal.step()
    first, second = (ca.key_hash(ca.read_request(csr).public_key()) for csr in asked)
    assert first == second, "the key made for the first try is used again"
    assert credentials.present(folder).not_after == pytest.approx(clock.wall + 90 * _DAY_S)
    assert dict(renewal.counts) == {"failed": 1, "renewed": 1}
