"""Payloads as devices send them: payload in, readings out, by one table per dialect (corpus/*.json).

Each entry names where its form is published. `quoted`: the payload, or the attributes used of it, stand there as they
are. `composed`: names, types, units and words stand there, the values were chosen.
"""

from __future__ import annotations

import json
from collections import Counter
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
PUBLISHED = ("github.com/", "gist.github.com/")


def _bytes(payload: Any) -> bytes:
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


def test_the_corpus_is_broad() -> None:
    """At least 60 payloads over at least 30 models; every dialect has its part."""
    models = {(dialect, entry["model"].partition(",")[0]) for dialect, entry in CORPUS}
    assert len(CORPUS) >= 60
    assert len(models) >= 30
    assert min(Counter(dialect for dialect, _ in CORPUS).values()) >= 10


@pytest.mark.parametrize(("dialect", "entry"), CORPUS, ids=[f"{name}-{entry['model']}" for name, entry in CORPUS])
def test_each_entry_names_its_source(dialect: str, entry: dict[str, Any]) -> None:
    """A public repository with the path in it, and whether the payload stands there."""
    repository, _, path = entry["source"].partition(" ")
    assert repository.startswith(PUBLISHED)
    assert repository.count("/") == 2
    assert path
    assert entry["verified"] in ("quoted", "composed")


def test_no_entry_stands_twice() -> None:
    """The same payload for the same device says nothing more."""
    seen = Counter(json.dumps([d, {k: v for k, v in e.items() if k != "model"}], sort_keys=True) for d, e in CORPUS)
    assert [key for key, n in seen.items() if n > 1] == []


@pytest.mark.parametrize(("dialect", "entry"), CORPUS, ids=[f"{name}-{entry['model']}" for name, entry in CORPUS])
def test_payload_in_readings_out(dialect: str, entry: dict[str, Any]) -> None:
    """Exactly these readings, in the registry's units, exactly these parts refused, and who is there or gone."""
    device = Device("d", DeviceRole(entry["role"]), source=dialect, address=entry.get("address", "x"))
    sources = build_sources([device], DialectNames(receivers={"OMG": "bedroom"}))
    for topic, payload in entry.get("setup", ()):
        assert any(_matches(f, topic) for f in sources.filters())
        sources.read(Message(topic, _bytes(payload), NOW))
    heard = sources.read(Message(entry["topic"], _bytes(entry["payload"]), NOW))
    assert {r.metric: r.value for r in heard.readings} == pytest.approx(entry["readings"])
    assert len(heard.readings) == len(entry["readings"])
    assert [e.reason for e in heard.refused] == entry.get("refused", [])
    assert [list(pair) for pair in heard.online] == entry.get("online", [])
    if heard.readings:
        assert any(_matches(f, entry["topic"]) for f in sources.filters())
        assert heard.alive == {"d"}


def _matches(pattern: str, topic: str) -> bool:
    """MQTT's rule for topic filters."""
    parts, levels = pattern.split("/"), topic.split("/")
    for i, part in enumerate(parts):
        if part == "#":
            return True
        if i >= len(levels) or part not in ("+", levels[i]):
            return False
    return len(parts) == len(levels)
