"""Standard Webhooks 1.0.0: signing what goes out, verifying what comes in."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from cloud.config import ConfigError, Notify, read_secret
from cloud.notify.target import TargetError, resolve

TOLERANCE_S = 300.0
MAX_BODY_BYTES = 20_000
_MAX_ANSWER_BYTES = 64 * 1024
_TIMEOUT_S = 8.0


class SignatureError(ValueError):
    """The request was not signed with our secret, or not now."""


def secret_key(secret: str) -> bytes:
    """The key of `whsec_` + base64 of 24 to 64 bytes. Raises ConfigError."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ConfigError("a webhook secret is whsec_ and the base64 of 24 to 64 bytes")
    return key


def sign(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of webhook-signature."""
    mac = hmac.new(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def verify(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> str:
    """Check a request; returns its webhook-id. Raises SignatureError."""
    message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not message_id or not stamp.isascii() or not stamp.isdecimal() or len(stamp) > 12:
        raise SignatureError("webhook-id and webhook-timestamp are needed")
    if abs(now - int(stamp)) > TOLERANCE_S:
        raise SignatureError(f"webhook-timestamp is {now - int(stamp):.0f} s off, at most {TOLERANCE_S:.0f}")
    wanted = sign(key, message_id, int(stamp), body).encode()
    given = headers.get("webhook-signature", "").split()
    if not any(hmac.compare_digest(wanted, candidate.encode()) for candidate in given[:10]):
        raise SignatureError("no signature in webhook-signature fits")
    return message_id


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try. `retry_after_s` is the receiver's wish; `disabled`: it never wants one again (410)."""

    ok: bool
    detail: str = ""
    retry_after_s: float | None = None
    disabled: bool = False


class SmsSender:
    """Sends messages to the SMS provider's webhook."""

    def __init__(self, config: Notify) -> None:
        self._config = config
        self._key = secret_key(read_secret(config.secret_file)) if config.sms_url and config.secret_file else b""
        if config.sms_url and not config.secret_file:
            raise ConfigError("notify.secret_file: needed when notify.sms_url is set")
        self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False)

    async def close(self) -> None:
        """Close connections."""
        await self._client.aclose()

    async def send(self, message_id: str, data: dict[str, Any], now: float) -> Outcome:
        """Try once; never raises."""
        url = self._config.sms_url
        if url is None:
            return Outcome(False, "notify.sms_url is not configured")
        stamp = int(now)
        content = {"type": "sms.send", "timestamp": stamp, "data": data}
        body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BODY_BYTES:
            return Outcome(False, f"body of {len(body)} bytes, at most {MAX_BODY_BYTES}")
        try:
            target = await resolve(
                url,
                allow_private=self._config.allow_private_addresses,
                allowed_hosts=self._config.allowed_hosts,
            )
            request = self._client.build_request(
                "POST",
                target.pinned_url,
                content=body,
                headers={
                    "host": f"{target.host}:{target.port}",
                    "content-type": "application/json",
                    "webhook-id": message_id,
                    "webhook-timestamp": str(stamp),
                    "webhook-signature": sign(self._key, message_id, stamp, body),
                },
                extensions={"sni_hostname": target.host},
            )
            answer = await self._client.send(request, stream=True)
            try:
                return _outcome(answer, await _head(answer))
            finally:
                await answer.aclose()
        except (httpx.HTTPError, TargetError, OSError) as error:
            return Outcome(False, f"{type(error).__name__}: {error}"[:300])


async def _head(answer: httpx.Response) -> str:
    """The beginning of the answer; a longer one is cut off, not read."""
    read = b""
    async for chunk in answer.aiter_bytes():
        read += chunk
        if len(read) > _MAX_ANSWER_BYTES:
            break
    return read[:200].decode("utf-8", "replace")


def _outcome(answer: httpx.Response, text: str) -> Outcome:
    if answer.is_success:
        return Outcome(True)
    detail = f"{answer.status_code} {text}".strip()
    wish = answer.headers.get("retry-after", "")
    retry_after = float(wish) if answer.status_code in (429, 503) and wish.isdecimal() and len(wish) < 6 else None
    return Outcome(False, detail, retry_after, disabled=answer.status_code == 410)
