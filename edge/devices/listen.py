"""Listens on the home broker for a while, as a client of its own that disturbs nobody."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid

import aiomqtt

from edge.config import GatewayConfig, read_secret
from edge.devices.draft import draft, table
from edge.sources.base import Message
from edge.sources.build import build_sources
from edge.sources.dispatch import Sources
from protocols.errors import ProtocolError


async def listen(config: GatewayConfig, seconds: float) -> Sources:
    """All dialects after `seconds` of listening. Raises aiomqtt.MqttError if the broker cannot be reached."""
    sources = build_sources(config.home_devices(), config.dialect_names(), every=True)
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
                    with contextlib.suppress(ProtocolError):
                        sources.read(Message(str(message.topic), payload, time.time(), bool(message.retain)))
    return sources


def report(config: GatewayConfig, seconds: float, *, discover: bool) -> str:
    """The table of devices, or the draft of a configuration."""
    seen = asyncio.run(listen(config, seconds)).seen()
    return draft(seen) if discover else table(seen)
