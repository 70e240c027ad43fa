"""The perfusion index under the names of the dialects that tell it, from the message to a saturation's judgement."""

from __future__ import annotations

import json

import pytest

from edge.detectors.base import Detection
from edge.detectors.vitals import VitalsDetector
from edge.readings import Device, DeviceRole
from edge.sources.base import Message
from edge.sources.build import build_sources
from firmware_sim.devices import pack

NOW = 1_795_000_000.0
OWN = Device("oxi", DeviceRole.OXIMETER)
HOME_ASSISTANT = Device("oxi", DeviceRole.OXIMETER, source="homeassistant", address="oxi-1")


def _senml(at: float, perfusion: tuple[float, str], spo2: float) -> list[Message]:
    topic, body = pack("oxi", at, perfusion_index=perfusion, spo2=(spo2, "%"))
    return [Message(topic, body, at)]


def _percent(at: float, perfusion: float, spo2: float) -> list[Message]:
    return _senml(at, (perfusion, "%"), spo2)


def _share(at: float, perfusion: float, spo2: float) -> list[Message]:
    return _senml(at, (perfusion / 100, "/"), spo2)


def _states(at: float, perfusion: float, spo2: float) -> list[Message]:
    return [Message("oxi/pi", str(perfusion).encode(), at), Message("oxi/spo2", str(spo2).encode(), at)]


def _entities(*object_ids: str) -> list[Message]:
    """As ESPHome announces them: no device class, the object id says what it is."""
    topics = ("oxi/pi", "oxi/spo2")
    bodies = [{"stat_t": topic, "unit_of_meas": "%", "dev": {"ids": ["oxi-1"]}} for topic in topics]
    return [
        Message(f"homeassistant/sensor/oxi/{object_id}/config", json.dumps(body).encode(), NOW, retained=True)
        for object_id, body in zip(object_ids, bodies, strict=True)
    ]


@pytest.mark.parametrize(
    ("device", "announced", "said"),
    [
        (OWN, [], _percent),
        (OWN, [], _share),
        (HOME_ASSISTANT, _entities("perfusion_index", "spo2"), _states),
        (HOME_ASSISTANT, _entities("perfusion-index", "SpO2"), _states),
    ],
    ids=["senml in per cent", "senml as a share", "home assistant", "home assistant, spelled otherwise"],
)
def test_a_weak_pulse_is_told_by_every_dialect(device: Device, announced: list[Message], said: object) -> None:
    """With 0.15 % a saturation of 84 raises nothing; with 2.5 % the same saturation does."""
    assert callable(said)
    sources, detector = build_sources([device]), VitalsDetector()
    for message in announced:
        sources.read(message)
    found: dict[float, list[Detection]] = {0.15: [], 2.5: []}
    for n, perfusion in enumerate((0.15, 2.5)):
        for t in range(300):
            at = NOW + 300 * n + t
            for message in said(at, perfusion, 84.0):
                for reading in sources.read(message).readings:
                    found[perfusion] += detector.on_reading(reading, at)
            found[perfusion] += detector.on_tick(at)
    assert found[0.15] == []
    assert detector.counts["perfusion"] >= 299
    assert [d.reason for d in found[2.5]] == ["news2_single_sign_3"]
