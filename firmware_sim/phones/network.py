"""The phones and the two directions of their messages, signed by Standard Webhooks with the published library."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

_MAX_PHONES = 500
_MAX_MESSAGES = 200
_SEND_TRIES = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One SMS; `incoming` from the phone's point of view."""

    id: str
    at: float
    text: str
    incoming: bool


@dataclass(slots=True)
class PhoneNetwork:
    """Phones by number, newest activity last."""

    secret: str
    inbound_secret: str
    cloud_url: str
    phones: OrderedDict[str, list[Message]] = field(default_factory=OrderedDict)
    seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    counts: Counter[str] = field(default_factory=Counter)

    def verify(self, body: bytes, headers: dict[str, str]) -> dict[str, Any]:
        """The content of a webhook; raises standardwebhooks' WebhookVerificationError."""
        content: dict[str, Any] = Webhook(self.secret).verify(body, headers)
        return content

    def deliver(self, message_id: str, to: str, text: str) -> bool:
        """Put a message on a phone; False if it is there already (a webhook sent twice)."""
        if message_id in self.seen:
            self.counts["duplicate"] += 1
            return False
        self.seen[message_id] = None
        while len(self.seen) > _MAX_PHONES * _MAX_MESSAGES:
            self.seen.popitem(last=False)
        self._add(to, Message(message_id, time.time(), text, incoming=True))
        self.counts["delivered"] += 1
        return True

    def _add(self, number: str, message: Message) -> None:
        messages = self.phones.setdefault(number, [])
        messages.append(message)
        del messages[:-_MAX_MESSAGES]
        self.phones.move_to_end(number)
        while len(self.phones) > _MAX_PHONES:
            self.phones.popitem(last=False)

    async def receipt(self, client: httpx.AsyncClient, message_id: str) -> None:
        """Tell the cloud that the phone has the message."""
        data = {"message_id": message_id, "status": "delivered"}
        await self._post(client, "receipt", str(uuid.uuid4()), data)

    async def answer(self, client: httpx.AsyncClient, number: str, text: str) -> str:
        """A person writes back; returns what the cloud made of it."""
        message_id = str(uuid.uuid4())
        self._add(number, Message(message_id, time.time(), text, incoming=False))
        data = {"id": message_id, "from": number, "text": text}
        return await self._post(client, "inbound", message_id, data)

    async def _post(self, client: httpx.AsyncClient, kind: str, message_id: str, data: dict[str, Any]) -> str:
        body = json.dumps({"type": f"sms.{kind}", "data": data}, ensure_ascii=False)
        for attempt in range(_SEND_TRIES):
            at = datetime.now(UTC)
            headers = {
                "webhook-id": message_id,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": Webhook(self.inbound_secret).sign(message_id, at, body),
                "content-type": "application/json",
            }
            try:
                answer = await client.post(f"{self.cloud_url}/hooks/sms/{kind}", content=body.encode(), headers=headers)
                if answer.is_success:
                    return str(answer.json()["result"])
                self.counts[f"{kind}_refused"] += 1
                if answer.status_code < 500:
                    return f"refused: {answer.status_code}"
            except httpx.HTTPError:
                self.counts[f"{kind}_failed"] += 1
            await asyncio.sleep(0.3 * 2**attempt)
        return "unreachable"
