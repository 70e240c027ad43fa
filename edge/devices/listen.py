"""Listens on the home broker for a while, as a client of its own that disturbs nobody."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid

import aiomqtt

from edge.config import GatewayConfig, read_secret
from edge.devices.draft import draft, table
from edge.devices.outputs import Announced, draft_outputs
from edge.sources.base import Message
from edge.sources.build import build_sources
from edge.sources.dispatch import Sources
from protocols.errors import ProtocolError

_MOST = 5_000
"""Discovery messages kept; a home has some hundreds."""


async def listen(config: GatewayConfig, seconds: float) -> tuple[Sources, list[Announced]]:
    """All dialects after `seconds` of listening, and what was announced by discovery.

    Raises aiomqtt.MqttError if the broker cannot be reached.
    """
    sources = build_sources(config.home_devices(), config.dialect_names(), every=True)
    prefix = config.dialects.homeassistant
    announced: list[Announced] = []
    broker = config.home_broker
    password = read_secret(broker.password_file) if broker.password_file else None
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username=broker.username,
        password=password,
        identifier=f"anju-devices-{uuid.uuid4().hex[:8]}",
        max_queued_incoming_messages=10_000,
    ) as client:
        for topic_filter in sorted(sources.filters()):
            await client.subscribe(topic_filter)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for message in client.messages:
                    payload = message.payload if isinstance(message.payload, bytes) else b""
                    topic = str(message.topic)
                    if topic.startswith(f"{prefix}/") and topic.endswith("/config") and len(announced) < _MOST:
                        announced.append(Announced(topic, payload))
                    with contextlib.suppress(ProtocolError):
                        sources.read(Message(topic, payload, time.time(), bool(message.retain)))
    return sources, announced


def report(config: GatewayConfig, seconds: float, *, discover: bool) -> str:
    """The table of devices, or the draft of a configuration."""
    sources, announced = asyncio.run(listen(config, seconds))
    if not discover:
        return table(sources.seen())
    known = frozenset(output.name for output in config.alarms.outputs)
    outputs = draft_outputs(config.dialects.homeassistant, announced, known)
    return draft(sources.seen()) + (f"\n{outputs}\n" if outputs else "")
