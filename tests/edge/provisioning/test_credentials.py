"""Key and certificate on flash: whole or not at all, and renewed in time."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from cloud.enrolment import authority as ca
from edge.clock import Instant, SystemClock
from edge.files import write_whole
from edge.provisioning import client, credentials
from edge.provisioning.client import EnrolmentError
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


@contextmanager
def _enrolment(answer: Callable[[str], tuple[int, dict[str, Any]]]) -> Iterator[str]:
    """The cloud's endpoint on this machine; `answer` makes status and body of a certificate request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = answer(asked["csr"])
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


async def test_renewed_in_time(tmp_path: Path, authority: ca.Authority) -> None:
    """Before two thirds of its life nothing is asked; then a failure waits with jitter, and an answer is put in use.
    The daemon itself has loaded nothing for it.
    """
    folder, clock, key = tmp_path / "credentials", _Clock(), credentials.new_key()
    credentials.store(folder, key, _certificate(authority, key), authority.pem)
    asked: list[str] = []

    def answer(csr: str) -> tuple[int, dict[str, Any]]:
        asked.append(csr)
        if len(asked) == 1:
            return 503, {"code": "away", "detail": "not now"}
        pem = authority.issue(ca.read_request(csr), "gw-1", 9, clock.wall, 90)
        return 200, {
            "gateway": "gw-1", "certificate": pem, "authority": authority.pem,
            "expires_at": clock.wall + 90 * _DAY_S, "broker_host": "localhost", "broker_port": 8883,
        }  # fmt: skip

    with _enrolment(answer) as url, capture_logs() as logs:
        renewal = Renewal(url, None, folder, clock, random.Random(1))
        assert await renewal.step() == 3_600
        assert asked == []
        assert renewal.expires_at == pytest.approx(_NOW + 90 * _DAY_S)
        clock.wall += 61 * _DAY_S
        assert await renewal.step() < 61
        await renewal.step()
    first, second = (ca.key_hash(ca.read_request(csr).public_key()) for csr in asked)
    assert first == second, "the key made for the first try is used again"
    assert credentials.present(folder).not_after == pytest.approx(clock.wall + 90 * _DAY_S)
    assert renewal.expires_at == pytest.approx(clock.wall + 90 * _DAY_S)
    assert dict(renewal.counts) == {"failed": 1, "renewed": 1}
    assert "503 away not now" in logs[0]["error"]


@pytest.mark.parametrize("content", [None, "rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
async def test_what_is_no_certificate_is_told(tmp_path: Path, content: str | None) -> None:
    """A certificate that is not there, or is none, is a failure that is tried again."""
    (tmp_path / "current").mkdir()
    if content is not None:
        (tmp_path / "current" / credentials.CERTIFICATE).write_text(content)
    renewal = Renewal("https://anju.example", None, tmp_path, _Clock(), random.Random(1))
    assert await renewal.step() <= 60
    assert dict(renewal.counts) == {"failed": 1}
