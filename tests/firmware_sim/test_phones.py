"""The simulated phone network takes what is signed, each message once."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import httpx
from standardwebhooks import Webhook

from firmware_sim.phones.app import build_app
from firmware_sim.phones.network import PhoneNetwork

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def _signed(data: dict[str, str], message_id: str) -> tuple[str, dict[str, str]]:
    body = json.dumps({"type": "sms.send", "data": data})
    at = datetime.now(UTC)
    signature = Webhook(SECRET).sign(message_id, at, body)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(at.timestamp()))}
    return body, headers | {"webhook-signature": signature}


async def test_signed_messages_arrive_once() -> None:
    """Unsigned, malformed and doubled ones change nothing on the phone."""
    network = PhoneNetwork(SECRET, SECRET, "http://127.0.0.1:9")
    app = build_app(network, {"10000000001": "林演示"})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://phones") as client:
        body, headers = _signed({"message_id": "m1", "to": "10000000001", "text": "【安居】您好"}, "m1")
        for _ in range(2):
            assert (await client.post("/sms", content=body, headers=headers)).status_code == 204
        assert (await client.post("/sms", content=body)).status_code == 401
        assert (await client.post("/sms", content=body + " ", headers=headers)).status_code == 401
        wrong, signed = _signed({"to": "10000000001"}, "m2")
        assert (await client.post("/sms", content=wrong, headers=signed)).status_code == 422
        found = (await client.get("/messages")).json()
        page = (await client.get("/")).text
    assert [m["text"] for m in found["10000000001"]] == ["【安居】您好"]
    assert (network.counts["delivered"], network.counts["duplicate"]) == (1, 1)
    assert "林演示" in page
