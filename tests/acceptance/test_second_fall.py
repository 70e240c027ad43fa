"""A second fall after a first one, through the whole chain: asked about, and seen by who works on the first."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as mqtt
import pytest

from protocols.waveform import WaveFrame, encode_wave
from tests.edge.detectors import fall_physics as physics
from tests.support.chain import Chain, Operator, all_accepted, leave, running_chain, wait_for

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(120)]

_WEARABLE = "waist-1"
_SIGNAL, _ = physics.fall(after_s=12)
_LONG_AGO_S, _SOON_S = 600.0, 60.0


def _fall(devices: mqtt.Client, shift_s: float, seq: int) -> None:
    """A wearable's signal around a fall, all at once, stamped as if it had been so much later (earlier: below 0)."""
    begin = time.time() - len(_SIGNAL) / 50 + shift_s
    sent = []
    for frame in physics.frames(_SIGNAL, at=begin):
        frame = replace(frame, seq=frame.seq + seq)
        steps = np.round(frame.samples * 1000).astype(np.int16)
        wave = WaveFrame(_WEARABLE, frame.seq, frame.at, 50.0, 0.001, 16.0, 0.0, ("ax", "ay", "az"), steps)
        sent.append(devices.publish(f"home/v1/{_WEARABLE}/wave", encode_wave(wave), qos=1))
    all_accepted(devices, sent)


def _asked(chain: Chain) -> int:
    return sum(e["phrase"] == "fall_question" for e in chain.log("gw-demo", "said"))


def _log(incident: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in incident["events"]]


def _with_alarms(operator: Operator, n: int) -> dict[str, Any]:
    found: list[dict[str, Any]] = wait_for(
        f"{n} raised falls",
        lambda: [i for i in operator.open_life() if [a["state"] for a in i["alarms"]] == ["raised"] * n],
    )
    return found[0]


def test_a_second_fall(tmp_path: Path) -> None:
    """The resident falls, answers nothing, and an operator takes the incident; ten minutes later there is another fall
    by the same wearable: asked about anew, raised, and an alarm of its own on the incident that is held. A third within
    the same two minutes is neither asked about nor an alarm, but stands in the log.
    """
    with running_chain(tmp_path) as chain:
        devices, operator = chain.publisher(), chain.operator()
        _fall(devices, -_LONG_AGO_S, 0)
        first = _with_alarms(operator, 1)
        assert first["kind"] == "fall"
        held = operator.act(first["id"], "claim")
        asked = _asked(chain)

        _fall(devices, 0.0, 1_000)
        second = _with_alarms(operator, 2)
        assert second["id"] == first["id"], "nobody is sent twice"
        assert second["claimed_by"] == held["claimed_by"], "the operator keeps it"
        assert second["version"] > held["version"], "and sees that there is more"
        before, after = sorted(alarm["at"] for alarm in second["alarms"])
        assert after - before == pytest.approx(_LONG_AGO_S, abs=30)
        assert {(a["kind"], a["device"], a["raised_by"]) for a in second["alarms"]} == {("fall", _WEARABLE, "gateway")}
        assert len({a["alarm_id"] for a in second["alarms"]}) == 2
        assert all(a["evidence"][0]["excerpt"] for a in second["alarms"]), "each has its own signal"
        assert "alarm_attached" in _log(second)
        assert _asked(chain) >= 2 * asked > 0, "the resident is asked anew"

        asked = _asked(chain)
        _fall(devices, _SOON_S, 2_000)
        third = wait_for(
            "it stands in the log", lambda: [i for i in operator.open_life() if _log(i).count("alarm_evidence") == 1]
        )[0]
        assert len(third["alarms"]) == 2
        assert {e["numbers"].get("times") for a in third["alarms"] for e in a["evidence"]} == {None, 2.0}
        assert _asked(chain) == asked
        operator.leave()
        leave(devices)
