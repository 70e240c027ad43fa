"""Fusion and notices in a gateway as it is wired: from a device's message to the event on flash."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.detectors.unusual import ROW_S
from protocols.faults import Fault
from protocols.waveform import WaveFrame, encode_wave
from protocols.wire import AlarmKind, AlarmState, Priority
from tests.edge.detectors import fall_physics
from tests.support.wired import WiredHome, wired_home

_FAMILY = {"modem": {"port": "/dev/ttyUSB0"}, "phones": ["13800138000"], "after_s": 5}


async def test_an_unusual_number_becomes_a_notice_over_a_restart(tmp_path: Path) -> None:
    """A plug without a rule, watched for a week with a restart in every phase: one notice and its end, and neither the
    resident nor the family hears of it.
    """
    rng, rows = random.Random(3), round(86_400 / ROW_S)
    devices = [{"id": "plug", "role": "switch", "room": "kitchen"}, {"id": "sos", "role": "sos"}]
    wrong = range(5 * rows + 100, 5 * rows + 180)
    with wired_home(tmp_path, devices=devices, unusual={"without_rule": True}, fallback=_FAMILY) as home:
        for n in range(6 * rows + 100):
            usual = 40 + 30 * (0.3 < n % rows / rows < 0.9) + rng.gauss(0, 2)
            await home.says("plug", "power", round(400.0 if n in wrong else usual, 1))
            await home.passes(ROW_S, ROW_S)
            if n in (2 * rows, wrong.start + 40):
                await home.restart()
        await home.says("sos", "sos", True)
        began, ended = home.alarms(AlarmKind.UNUSUAL)
        assert (began.state, began.priority, began.device, began.room) == (
            AlarmState.RAISED, Priority.LOW, "plug", "kitchen",
        )  # fmt: skip
        assert began.evidence[0].numbers["power"] == 400.0
        assert began.evidence[0].detector == "unusual_power"
        assert (ended.alarm_id, ended.state, ended.reason) == (began.alarm_id, AlarmState.CLEARED, began.reason)
        rung = {case.alarm.kind for case in home.gateway.fallback.tellings.cases.values()}
        assert rung == {AlarmKind.SOS}


def _crying(home: WiredHome) -> list[tuple[str | None, AlarmState]]:
    """Which devices are reported for crying; this home has no broker, which is a fault of its own."""
    told = home.alarms(AlarmKind.TECHNICAL)
    return [(event.device, event.state) for event in told if event.reason == Fault.SENSOR_CRIES_OFTEN]


async def test_a_sensor_that_cries_often_is_reported_and_still_heard(tmp_path: Path) -> None:
    """Four calls that the resident takes back within a day: a fault, which the fifth call does not wait for; a restart
    between the calls forgets none of them.
    """
    devices = [{"id": "sos", "role": "sos"}, {"id": "wall", "role": "button"}]
    with wired_home(tmp_path, devices=devices) as home:
        await home.passes(40)
        for n in range(4):
            assert _crying(home) == []
            await home.says("sos", "sos", True)
            await home.says("sos", "sos", False)
            await home.passes(10)
            await home.says("wall", "button", "cancel")
            await home.passes(3_600, 60)
            if n == 1:
                await home.restart()
                await home.passes(40)
        assert _crying(home) == [("sos", AlarmState.RAISED)]
        await home.says("sos", "sos", True)
        assert home.alarms(AlarmKind.SOS)[-1].state is AlarmState.RAISED


@pytest.mark.parametrize(("wet_s", "reported"), [(20, True), (400, False)])
async def test_a_sensor_that_chatters_is_reported_and_still_heard(tmp_path: Path, wet_s: int, reported: bool) -> None:
    """Water for some seconds, dry, and water again: every time it is an alarm, and the fifth is, too. Water that stays
    for more than five minutes each time is no chatter.
    """
    devices = [{"id": "flood", "role": "flood", "room": "bathroom"}]
    with wired_home(tmp_path, devices=devices) as home:
        await home.passes(40)
        for _ in range(4):
            assert _crying(home) == []
            await home.says("flood", "flood", True)
            await home.passes(wet_s)
            await home.says("flood", "flood", False)
            await home.passes(40)
        assert _crying(home) == [("flood", AlarmState.RAISED)] * reported
        await home.says("flood", "flood", True)
        floods = home.alarms(AlarmKind.FLOOD)
        assert [event.state for event in floods] == [AlarmState.RAISED, AlarmState.CLEARED] * 4 + [AlarmState.RAISED]


@pytest.mark.parametrize(
    ("awake", "risks", "priority"),
    [(True, [], "medium"), (False, [], "low"), (True, ["dementia"], "high"), (False, ["dementia"], "medium")],
)
async def test_profile_and_confidence_set_the_priority(
    tmp_path: Path, awake: bool, risks: list[str], priority: str
) -> None:
    """The outside door opens at night and nobody comes back. Where no sensor inside has spoken for hours, the home may
    as well be deaf: a step lower; for a resident with dementia it is a step higher.
    """
    devices = [
        {"id": "front-door", "role": "contact", "room": "entrance"},
        {"id": "pir", "role": "motion", "room": "hall"},
    ]
    with wired_home(tmp_path, devices=devices, resident={"risks": risks}) as home:
        await home.says("pir", "motion", True)
        await home.passes(13 * 3600, 250)
        if awake:
            await home.says("pir", "motion", False)
        await home.says("front-door", "contact_open", True)
        await home.says("front-door", "contact_open", False)
        await home.passes(700, 50)
        event = home.alarms(AlarmKind.WANDERING)[0]
        assert (event.priority, event.reason) == (priority, "left_at_night")
        assert event.evidence[0].numbers["confidence"] == (0.7 if awake else 0.4)


async def test_a_second_fall_is_an_alarm_of_its_own(tmp_path: Path) -> None:
    """Down before a radar, up again unseen by the call centre, and down once more twenty minutes later by the watch."""
    devices = [{"id": "radar", "role": "presence", "room": "bathroom"}, {"id": "watch", "role": "wearable"}]
    with wired_home(tmp_path, devices=devices) as home:
        await home.says("radar", "fall_detected", True)
        await home.passes(60)
        await home.says("watch", "fall_detected", True)
        await home.passes(1_200, 20)
        await home.says("watch", "fall_detected", False)
        await home.passes(40)
        await home.says("watch", "fall_detected", True)
        await home.passes(60)
        falls = home.alarms(AlarmKind.FALL)
        by_alarm = {event.alarm_id: event for event in falls}
        assert len(by_alarm) == 2
        first, second = by_alarm.values()
        assert [e.device for e in first.evidence] == ["radar", "watch"]
        assert (second.state, [e.device for e in second.evidence]) == (AlarmState.RAISED, ["watch"])
        assert second.at - first.at > 1_200


async def _falls(home: WiredHome, seq: int) -> None:
    """A wearable's frames around a fall, each when it is complete."""
    signal, _ = fall_physics.fall(peak=6.0, after_s=12.0)
    for frame in fall_physics.frames(signal, at=home.now):
        home.now = frame.at + 0.5
        wave = replace(frame, seq=frame.seq + seq)
        steps = np.round(wave.samples * 1000).astype(np.int16)
        body = encode_wave(WaveFrame("watch", wave.seq, wave.at, 50.0, 0.001, 16.0, 0.0, ("ax", "ay", "az"), steps))
        await home.gateway.pipeline.take("home/v1/watch/wave", body)
        await home.gateway.pipeline.tick()


async def test_a_wearable_that_keeps_reporting_falls(tmp_path: Path) -> None:
    """A fall a minute for twenty minutes, with nobody answering and a restart in between: four questions instead of
    ten, what lies between stands as evidence, the watch is reported, and the radar's fall is an alarm as ever.
    """
    devices = [
        {"id": "watch", "role": "wearable", "position": "waist"},
        {"id": "radar", "role": "presence", "room": "bathroom"},
    ]
    with wired_home(tmp_path, devices=devices) as home:
        await home.passes(40)
        begin = home.now
        for n in range(20):
            await _falls(home, 1_000 * n)
            await home.passes(begin + 60 * (n + 1) - home.now)
            if n == 9:
                await home.restart()
                await home.passes(1)
        falls = home.alarms(AlarmKind.FALL)
        began = sorted({event.alarm_id: event.at - begin for event in falls}.values())
        assert [round(at / 60) for at in began] == [0, 3, 8, 17]
        assert {event.state for event in falls} == {AlarmState.PENDING, AlarmState.RAISED}
        times = {e.numbers["times"] for event in falls for e in event.evidence if "times" in e.numbers}
        assert {2.0, 4.0} <= times
        assert len(falls) < 20
        assert _crying(home) == [("watch", AlarmState.RAISED)]
        await home.says("radar", "fall_detected", True)
        await home.passes(200)
        assert home.alarms(AlarmKind.FALL)[-1].device == "radar"
