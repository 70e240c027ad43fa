"""SMS by the API of a router or provider: one signed request a message (Standard Webhooks)."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING

import structlog

from edge.clock import Clock
from protocols.wire import TellOutcome

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger()

_TIMEOUT_S = 10.0
_TRIES = 3
"""A request whose answer is lost is repeated at once: its id tells the receiver that it is the same message."""


class RouterSms:
    """One router. `secret` is the signing key as Standard Webhooks write it (`whsec_…`), or its base64."""

    channel = "http_sms"

    def __init__(self, url: str, secret: str, clock: Clock) -> None:
        """Raises ValueError if the secret is no base64."""
        self._url = url
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._clock = clock
        self._client: httpx.AsyncClient | None = None

    async def prepare(self) -> None:
        """Nothing is known before the request itself."""
        if self._client is None:
            import httpx  # only a gateway with this fallback pays for it

            self._client = httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)

    async def send(self, message_id: str, phone: str, text: str) -> TellOutcome:
        """As Sender."""
        import httpx

        assert self._client is not None
        body = json.dumps({"type": "sms.send", "data": {"message_id": message_id, "to": phone, "text": text}})
        outcome = TellOutcome.FAILED
        for _ in range(_TRIES):
            try:
                answer = await self._client.post(self._url, content=body.encode(), headers=self._sign(message_id, body))
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
                log.warning("fallback_sms_failed", error=str(error))
                return outcome
            except httpx.HTTPError as error:
                log.warning("fallback_sms_unanswered", error=repr(error))
                outcome = TellOutcome.UNKNOWN
                continue
            if answer.is_success:
                return TellOutcome.SENT
            log.warning("fallback_sms_refused", status=answer.status_code)
            return TellOutcome.FAILED
        return outcome

    def _sign(self, message_id: str, body: str) -> dict[str, str]:
        stamp = str(int(self._clock.now().wall))
        mac = hmac.new(self._key, f"{message_id}.{stamp}.{body}".encode(), "sha256").digest()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": "v1," + base64.b64encode(mac).decode(),
            "content-type": "application/json",
        }

    async def close(self) -> None:
        """As Sender."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None
