"""Topic names of the cloud link (`anju/v1/…`) and of the home broker (`home/v1/…`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from protocols.errors import ProtocolError, Reason

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")
"""Gateways, homes and devices: lower-case letters, digits and dashes, 1 to 63 characters."""

_CLOUD_ROOT = "anju/v1"
_HOME_ROOT = "home/v1"


class Up(StrEnum):
    """What a gateway sends."""

    TELEMETRY = "telemetry"
    ALARM = "alarm"
    STATUS = "status"
    REPLY = "reply"


class Down(StrEnum):
    """What a gateway is sent."""

    ACK = "ack"
    COMMAND = "command"


class HomeUp(StrEnum):
    """What a device in the home sends to the home broker."""

    SENML = "senml"
    WAVE = "wave"


class HomeDown(StrEnum):
    """What the gateway sends to a device in the home."""

    SAY = "say"


@dataclass(frozen=True, slots=True)
class UpTopic:
    """A parsed `anju/v1/{gateway}/up/{channel}`."""

    gateway: str
    channel: Up


@dataclass(frozen=True, slots=True)
class HomeTopic:
    """A parsed `home/v1/{device}/{channel}`."""

    device: str
    channel: HomeUp


def check_identifier(value: str, where: str) -> str:
    """Return `value`; raises ProtocolError unless it can stand in a topic as one level."""
    if not IDENTIFIER.match(value):
        raise ProtocolError(Reason.WRONG_TOPIC, where, f"{value[:80]!r} is not an identifier ({IDENTIFIER.pattern})")
    return value


def up(gateway: str, channel: Up) -> str:
    """Topic a gateway publishes on."""
    return f"{_CLOUD_ROOT}/{gateway}/up/{channel}"


def down(gateway: str, channel: Down) -> str:
    """Topic a gateway subscribes to."""
    return f"{_CLOUD_ROOT}/{gateway}/down/{channel}"


def up_filter(channel: Up) -> str:
    """Subscription of the cloud to one channel of all gateways."""
    return f"{_CLOUD_ROOT}/+/up/{channel}"


def parse_up(topic: str) -> UpTopic:
    """Parse a gateway's topic; raises ProtocolError (WRONG_TOPIC)."""
    parts = topic.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != _CLOUD_ROOT or parts[3] != "up" or parts[4] not in set(Up):
        raise ProtocolError(
            Reason.WRONG_TOPIC, topic[:200], "is not anju/v1/{gateway}/up/{telemetry|alarm|status|reply}"
        )
    return UpTopic(check_identifier(parts[2], topic[:200]), Up(parts[4]))


def home_up(device: str, channel: HomeUp) -> str:
    """Topic a device in the home publishes on."""
    return f"{_HOME_ROOT}/{device}/{channel}"


def home_up_filter(channel: HomeUp) -> str:
    """Subscription of the gateway to one channel of all devices in the home."""
    return f"{_HOME_ROOT}/+/{channel}"


def home_down(device: str, channel: HomeDown) -> str:
    """Topic a speaker, lamp or other device in the home is told on."""
    return f"{_HOME_ROOT}/{device}/{channel}"


def parse_home_up(topic: str) -> HomeTopic:
    """Parse a home device's topic; raises ProtocolError (WRONG_TOPIC)."""
    parts = topic.split("/")
    if len(parts) != 4 or "/".join(parts[:2]) != _HOME_ROOT or parts[3] not in set(HomeUp):
        raise ProtocolError(Reason.WRONG_TOPIC, topic[:200], "is not home/v1/{device}/{senml|wave}")
    return HomeTopic(check_identifier(parts[2], topic[:200]), HomeUp(parts[3]))
