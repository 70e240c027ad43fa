"""What every way of sending an SMS looks like to the ladder."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from protocols.wire import TellOutcome


class Unready(StrEnum):
    """Why no SMS can leave by a channel at this moment."""

    NO_PORT = "no_port"
    NO_ANSWER = "no_answer"
    REFUSED = "refused"
    SIM_MISSING = "sim_missing"
    SIM_PIN_REQUIRED = "sim_pin_required"
    NO_NETWORK = "no_network"


class UnreadyError(Exception):
    """Nothing has been sent. The message says what to do."""

    def __init__(self, reason: Unready, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Sender(Protocol):
    """One channel. Between `prepare` and `send` the caller notes on flash that the message leaves."""

    channel: str

    async def prepare(self) -> None:
        """Find out whether a message could leave now. Raises UnreadyError."""

    async def send(self, message_id: str, phone: str, text: str) -> TellOutcome:
        """Send one SMS: sent, failed (certainly not sent), or unknown. The same id is the same message."""

    async def close(self) -> None:
        """Let go of what is held; a message under way becomes unknown."""
