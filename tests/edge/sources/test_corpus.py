"""Payloads as devices send them: payload in, readings out, by one table per dialect (corpus/*.json)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge.readings import Device, DeviceRole
from edge.sources.base import Message
from edge.sources.build import DialectNames, build_sources

NOW = 1_795_000_000.0
CORPUS: list[tuple[str, dict[str, Any]]] = [
    (path.stem, entry)
    for path in sorted((Path(__file__).parent / "corpus").glob("*.json"))
    for entry in json.loads(path.read_text(encoding="utf-8"))
]


def _bytes(payload: Any) -> bytes:
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


def test_the_corpus_is_broad() -> None:
    """At least 60 payloads over at least 30 models, each saying where its form is published, and
    whether it is quoted or composed of the attributes published there.
    """
    entries = [entry for _, entry in CORPUS]
    assert len(entries) >= 60
    assert len({entry["model"].partition(",")[0] for entry in entries}) >= 30
    assert all(entry["source"] for entry in entries)


@pytest.mark.parametrize(("dialect", "entry"), CORPUS, ids=[f"{name}-{entry['model']}" for name, entry in CORPUS])
def test_payload_in_readings_out(dialect: str, entry: dict[str, Any]) -> None:
    """Exactly these readings, in the registry's units, and exactly these parts refused."""
    device = Device("d", DeviceRole(entry["role"]), source=dialect, address=entry.get("address", "x"))
    sources = build_sources([device], DialectNames(receivers={"OMG": "bedroom"}))
    for topic, payload in entry.get("setup", ()):
        sources.read(Message(topic, _bytes(payload), NOW))
    assert any(_matches(f, entry["topic"]) for f in sources.filters())
    heard = sources.read(Message(entry["topic"], _bytes(entry["payload"]), NOW))
    assert {r.metric: r.value for r in heard.readings} == pytest.approx(entry["readings"])
    assert [e.reason for e in heard.refused] == entry.get("refused", [])


def _matches(pattern: str, topic: str) -> bool:
    """MQTT's rule for topic filters."""
    parts, levels = pattern.split("/"), topic.split("/")
    for i, part in enumerate(parts):
        if part == "#":
            return True
        if i >= len(levels) or part not in ("+", levels[i]):
            return False
    return len(parts) == len(levels)
