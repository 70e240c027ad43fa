"""Payloads as devices send them: payload in, readings out, by one table per dialect (corpus/*.json).

Each entry names where its form is published. `quoted`: the payload, or the attributes used of it, stand there as they
are. `composed`: names, types, units and words stand there, the values were chosen.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edge.readings import Device, DeviceRole
from edge.sources.base import Message
from edge.sources.build import DialectNames, build_sources
from edge.sources.dispatch import Sources
from protocols.errors import ProtocolError
from protocols.metrics import check_value

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


WRONG: tuple[Any, ...] = (None, True, -1, 1e300, 10**30, "", "x" * 300, "\0", [], [[]], {}, {"x": None}, ["on", 1])


def _mutants(payload: Any) -> Iterator[Any]:
    """`payload` with one part of it, at any depth, replaced by something else or gone."""
    yield from WRONG
    if isinstance(payload, dict):
        for key, inner in payload.items():
            rest = {k: v for k, v in payload.items() if k != key}
            yield rest
            yield from ({**rest, key: mutant} for mutant in _mutants(inner))
    elif isinstance(payload, list):
        for i, inner in enumerate(payload):
            yield from ([*payload[:i], mutant, *payload[i + 1 :]] for mutant in _mutants(inner))


@pytest.mark.parametrize("dialect", sorted({name for name, _ in CORPUS}))
def test_each_part_replaced_by_nonsense(dialect: str) -> None:
    """Whatever stands in the place of any value of any payload or announcement: a reading of the device, or a refusal
    that names its place; nothing else.
    """
    refused: list[ProtocolError] = []
    for entry in (entry for name, entry in CORPUS if name == dialect):
        device = Device("d", DeviceRole(entry["role"]), source=dialect, address=entry.get("address", "x"))
        messages = [*entry.get("setup", ()), [entry["topic"], entry["payload"]]]
        for i, (topic, payload) in enumerate(messages):
            sources = build_sources([device], DialectNames(receivers={"OMG": "bedroom"}))
            for mutant in _mutants(payload):
                changed = [*messages[:i], [topic, mutant], *messages[i + 1 :]]
                for t, p in changed:
                    refused += _refusals(sources, Message(t, _bytes(p), NOW))
    assert refused
    assert all(error.where for error in refused)


def _refusals(sources: Sources, message: Message) -> Sequence[ProtocolError]:
    try:
        heard = sources.read(message)
    except ProtocolError as error:
        return [error]
    assert {r.device for r in heard.readings} <= {"d"}
    assert all(check_value(r.metric, r.value, None, "here") == r.value for r in heard.readings)
    return heard.refused


def _matches(pattern: str, topic: str) -> bool:
    """MQTT's rule for topic filters."""
    parts, levels = pattern.split("/"), topic.split("/")
    for i, part in enumerate(parts):
        if part == "#":
            return True
        if i >= len(levels) or part not in ("+", levels[i]):
            return False
    return len(parts) == len(levels)
