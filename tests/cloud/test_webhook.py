"""Outgoing and incoming webhooks, against the published library and a real HTTP server."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from standardwebhooks import Webhook

from cloud.config import ConfigError, Notify
from cloud.notify.target import TargetError, is_global, resolve
from cloud.notify.webhook import SignatureError, SmsSender, secret_key, sign, verify

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
NOW = 1_795_000_000


def test_our_signature_is_theirs() -> None:
    """What we sign the published library accepts, and the other way round."""
    body = '{"text":"您好"}'
    now = int(datetime.now(UTC).timestamp())
    headers = {"webhook-id": "m1", "webhook-timestamp": str(now)}
    ours = headers | {"webhook-signature": sign(secret_key(SECRET), "m1", now, body.encode())}
    assert Webhook(SECRET).verify(body, ours) == {"text": "您好"}
    theirs = headers | {"webhook-signature": Webhook(SECRET).sign("m1", datetime.fromtimestamp(now, UTC), body)}
    assert verify(secret_key(SECRET), theirs, body.encode(), now) == "m1"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"webhook-id": ""}, "are needed"),
        ({"webhook-timestamp": "soon"}, "are needed"),
        ({"webhook-timestamp": str(NOW - 301)}, "301 s off"),
        ({"webhook-timestamp": str(NOW + 400)}, "-400 s off"),
        ({"webhook-id": "m2"}, "no signature"),
        ({"webhook-signature": "v1,AAAA v2,zzz"}, "no signature"),
        ({"webhook-signature": ""}, "no signature"),
    ],
)
def test_wrong_signatures_are_refused(changed: dict[str, str], words: str) -> None:
    """Forged, replayed late, from the future: refused with the reason."""
    headers = {"webhook-id": "m1", "webhook-timestamp": str(NOW)}
    headers["webhook-signature"] = sign(secret_key(SECRET), "m1", NOW, b"{}")
    assert verify(secret_key(SECRET), headers, b"{}", NOW) == "m1"
    with pytest.raises(SignatureError, match=words):
        verify(secret_key(SECRET), headers | changed, b"{}", NOW)


def test_secret_rotation() -> None:
    """One good signature among several is enough."""
    good = sign(secret_key(SECRET), "m1", NOW, b"{}")
    headers = {"webhook-id": "m1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1,b2xk {good}"}
    assert verify(secret_key(SECRET), headers, b"{}", NOW) == "m1"


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_AAAA", "whsec_" + "A" * 200, "whsec_!!!!"])
def test_bad_secrets_are_config_errors(secret: str) -> None:
    """A secret that is none is said so at start."""
    with pytest.raises(ConfigError, match="whsec_"):
        secret_key(secret)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "::1", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "::",
    ],
)  # fmt: skip
def test_private_addresses_are_not_global(address: str) -> None:
    """Addresses inside, and their disguises."""
    assert not is_global(address)


def test_public_addresses_are_global() -> None:
    """Ordinary ones."""
    assert is_global("1.1.1.1")
    assert is_global("2606:4700:4700::1111")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://1.1.1.1/", "plain http"),
        ("https://127.0.0.1/x", "not a public address"),
        ("https://[::ffff:127.0.0.1]/x", "not a public address"),
        ("https://user:pw@1.1.1.1/", "without credentials"),
        ("ftp://1.1.1.1/", "must be https"),
        ("https://1.1.1.1:99999/", "[Pp]ort"),
        ("https://8.8.8.8/", "allowed_hosts"),
    ],
)
async def test_forbidden_targets(url: str, words: str) -> None:
    """What a webhook may not call."""
    with pytest.raises(TargetError, match=words):
        await resolve(url, allow_private=False, allowed_hosts=("1.1.1.1", "127.0.0.1", "::ffff:127.0.0.1"))


class Provider(BaseHTTPRequestHandler):
    """An SMS provider that answers as told."""

    answers: ClassVar[list[tuple[int, dict[str, str]]]] = []
    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
        status, headers = self.answers.pop(0) if self.answers else (204, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if status == 200:
            try:
                self.wfile.write(b"x" * 10_000_000)
            except OSError:
                pass

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[ThreadingHTTPServer]:
    Provider.answers, Provider.got = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


async def test_answers_of_a_provider(provider: ThreadingHTTPServer, tmp_path: Path) -> None:
    """2xx is success even with an endless body; a redirect is not followed; 410 and 429 say what to do."""
    (tmp_path / "s").write_text(SECRET + "\n")
    url = f"http://127.0.0.1:{provider.server_port}/sms"
    sender = SmsSender(Notify(sms_url=url, secret_file=tmp_path / "s", allow_private_addresses=True))
    Provider.answers = [
        (204, {}),
        (200, {}),
        (302, {"location": url}),
        (410, {}),
        (429, {"retry-after": "7"}),
        (500, {"retry-after": "x"}),
    ]
    now = datetime.now(UTC).timestamp()
    outcomes = [await sender.send("m1", {"text": "您好"}, now) for _ in range(6)]
    assert [o.ok for o in outcomes] == [True, True, False, False, False, False]
    assert outcomes[3].disabled
    assert outcomes[4].retry_after_s == 7.0
    assert len(Provider.got) == 6
    headers, body = Provider.got[0]
    assert headers["host"] == f"127.0.0.1:{provider.server_port}"
    assert Webhook(SECRET).verify(body, headers)["data"] == {"text": "您好"}
    assert not (await sender.send("m1", {"text": "x" * 30_000}, now)).ok
    await sender.close()


async def test_targets_are_checked_before_sending(provider: ThreadingHTTPServer, tmp_path: Path) -> None:
    """Without the setting nothing is sent to this machine."""
    (tmp_path / "s").write_text(SECRET)
    sender = SmsSender(Notify(sms_url=f"http://127.0.0.1:{provider.server_port}/", secret_file=tmp_path / "s"))
    outcome = await sender.send("m1", {}, NOW)
    assert not outcome.ok
    assert "plain http" in outcome.detail
    assert Provider.got == []
    assert json.dumps(outcome.detail)
    await sender.close()
