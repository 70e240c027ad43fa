"""When the cloud has not taken a raised alarm in time, the gateway itself tells the family, once per alarm and
phone.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from edge.alarm_config import FallbackSection
from edge.clock import Clock
from edge.config import read_secret
from protocols.wire import AlarmState, TellOutcome, Told

if TYPE_CHECKING:
    import httpx

log = structlog.get_logger()

RETRY_S = (0.0, 2.0, 5.0, 15.0, 30.0, 60.0)
_RAISED = (AlarmState.RAISED, AlarmState.ESCALATED)


@dataclass(slots=True)
class Waiting:
    """Which raised alarms the cloud has not acknowledged, since when (monotonic). Pure."""

    after_s: float
    since: dict[str, float] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def raised(self, alarm_id: str, now: float) -> None:
        """An alarm was raised."""
        self.since.setdefault(alarm_id, now)

    def settled(self, alarm_ids: Iterable[str]) -> None:
        """The cloud has these, or they ended."""
        for alarm_id in alarm_ids:
            self.since.pop(alarm_id, None)
            self.told.discard(alarm_id)

    def due(self, now: float) -> list[str]:
        """Alarms the cloud did not take in time; each is returned once."""
        late = [a for a, since in self.since.items() if now - since >= self.after_s and a not in self.told]
        self.told.update(late)
        return late


class FallbackSms:
    """Sends the SMS of alarms that the cloud did not take."""

    def __init__(
        self, config: FallbackSection, gateway: str, clock: Clock, on_told: Callable[[str, Told], Awaitable[None]]
    ) -> None:
        """`on_told` hears of every message what became of it, with the alarm's id."""
        self._config = config
        self._gateway = gateway
        self._clock = clock
        self._on_told = on_told
        self.waiting = Waiting(config.after_s)
        self.counts: Counter[str] = Counter()

    def watch(self, alarm_id: str, state: AlarmState) -> None:
        """Tell of an alarm's new state, which the cloud does not have yet."""
        if state in _RAISED:
            self.waiting.raised(alarm_id, self._clock.now().mono)
        else:
            self.waiting.settled([alarm_id])

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        if self._config.sms_url is None or self._config.secret_file is None:
            return
        import httpx  # only a gateway with this fallback pays for it

        key = base64.b64decode(read_secret(self._config.secret_file).removeprefix("whsec_"))
        async with httpx.AsyncClient(timeout=10, follow_redirects=False) as client:
            while True:
                await asyncio.sleep(0.5)
                for alarm_id in self.waiting.due(self._clock.now().mono):
                    for phone in self._config.phones:
                        outcome = await self._send(client, key, alarm_id, phone)
                        self.counts[outcome] += 1
                        at = self._clock.now().wall
                        await self._on_told(alarm_id, Told(f"…{phone[-4:]}", "http_sms", at, outcome))

    async def _send(self, client: httpx.AsyncClient, key: bytes, alarm_id: str, phone: str) -> TellOutcome:
        import httpx

        message_id = f"{alarm_id}-{hashlib.sha256(phone.encode()).hexdigest()[:8]}"
        text = f"【安居】家中设备 {self._gateway} 发出求助，平台暂时无法连接，请马上联系家人。"
        body = json.dumps({"type": "sms.send", "data": {"message_id": message_id, "to": phone, "text": text}})
        for wait in RETRY_S:
            await asyncio.sleep(wait)
            stamp = str(int(self._clock.now().wall))
            mac = hmac.new(key, f"{message_id}.{stamp}.{body}".encode(), hashlib.sha256).digest()
            headers = {
                "webhook-id": message_id,
                "webhook-timestamp": stamp,
                "webhook-signature": "v1," + base64.b64encode(mac).decode(),
                "content-type": "application/json",
            }
            try:
                answer = await client.post(self._config.sms_url or "", content=body.encode(), headers=headers)
                if answer.is_success:
                    log.info("fallback_sms_sent", alarm_id=alarm_id)
                    return TellOutcome.SENT
                log.warning("fallback_sms_refused", alarm_id=alarm_id, status=answer.status_code)
            except httpx.HTTPError as error:
                log.warning("fallback_sms_failed", alarm_id=alarm_id, error=str(error))
        return TellOutcome.FAILED
