"""A gateway process that is killed right after a fall's impact, between real brokers: the fall is raised."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.memory import URGENT_NAME
from edge.readings import SignalFrame
from protocols.waveform import WaveFrame, encode_wave
from protocols.wire import AlarmKind
from tests.edge.detectors import fall_physics as physics
from tests.support.chain import wait_for
from tests.support.gateway import AnsweringCloud, GatewayProcess, home_and_cloud

_WEARABLE = '[[devices]]\nid = "w"\nrole = "wearable"\nposition = "waist"\n'
_SIGNAL, _IMPACT = physics.fall(after_s=12)
_HIT = int(_IMPACT * 2) + 1
"""So many frames hold the impact, and no more."""


def _send(gateway: GatewayProcess, frames: list[SignalFrame]) -> None:
    for frame in frames:
        steps = np.round(frame.samples * 1000).astype(np.int16)
        wave = WaveFrame("w", frame.seq, frame.at, 50.0, 0.001, 16.0, 0.0, ("ax", "ay", "az"), steps)
        gateway.devices.publish("home/v1/w/wave", encode_wave(wave), 1)


def _falls(cloud: AnsweringCloud) -> dict[str, str]:
    return {event.alarm_id: event.reason for _, event in list(cloud.alarms) if event.kind is AlarmKind.FALL}


@pytest.mark.parametrize("lost_s", [0.0, 4.0])
def test_a_gateway_killed_right_after_the_impact(tmp_path: Path, lost_s: float) -> None:
    """kill -9 as soon as the impact is on flash. What the wearable sent meanwhile is lost, or waits in the broker: the
    resident is asked once, and nothing is left to be judged again.
    """
    with home_and_cloud(tmp_path, more=_WEARABLE) as (gateway, cloud):
        urgent = gateway.data / URGENT_NAME
        gateway.start()
        frames = physics.frames(_SIGNAL, at=time.time() - len(_SIGNAL) / 50)
        _send(gateway, frames[:_HIT])
        wait_for("impact on flash", urgent.exists)
        assert gateway.process is not None
        gateway.process.kill()
        gateway.process.wait()
        assert _falls(cloud) == {}
        lost = round(lost_s * 2)
        gateway.start()
        assert len(gateway.log("urgent_states_restored")) == 1
        _send(gateway, [replace(f, at=f.at + lost_s, seq=f.seq + lost) for f in frames[_HIT:]])
        wait_for("fall", lambda: _falls(cloud))
        wait_for("nothing urgent", lambda: not urgent.exists())
        reason = "impact_before_power_cut" if lost else "impact_posture_stillness"
        assert list(_falls(cloud).values()) == [reason]
