"""One file per message: whoever changes the format must look at what an older peer sends.

To add a message write its file; an existing file changes only with the version.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from protocols import senml, wire
from protocols.errors import Reason
from protocols.waveform import WaveFrame, decode_wave, encode_wave

GOLDEN = Path(__file__).parent / "golden"
ALARM = "01920000-0000-7000-8000-000000000001"
EPOCH = "0123456789abcdef"
T = 1_795_000_000.25


def _alarm(kind: wire.AlarmKind, state: wire.AlarmState, reason: str, **differs: Any) -> wire.AlarmEvent:
    usual: dict[str, Any] = {
        "seq": 4,
        "priority": wire.Priority.HIGH,
        "clock": wire.Clock.SYNCED,
        "sent": T + 3,
        "changed_at": T,
    }
    return wire.AlarmEvent(
        v=1, alarm_id=ALARM, epoch=EPOCH, kind=kind, state=state, at=T, reason=reason, **(usual | differs)
    )


def _heartbeat(**more: Any) -> wire.Status:
    return wire.Status(v=1, kind=wire.StatusKind.HEARTBEAT, session="s-1", at=T, **more)


MESSAGES: dict[str, tuple[object, Callable[[bytes], object]]] = {
    "telemetry": (
        wire.TelemetryBatch(
            v=1,
            epoch=EPOCH,
            lane="live",
            seq=7,
            clock=wire.Clock.SYNCED,
            sent=T,
            records=[
                senml.Record(bn="oxi-1/", bt=1_795_000_000.0, n="heart_rate", u="beat/min", v=71.5),
                senml.Record(n="worn", vb=True, t=0.5),
                senml.Record(n="room", vs="hall", t=1.0),
            ],
        ),
        wire.decode_telemetry,
    ),
    "alarm": (
        _alarm(
            wire.AlarmKind.FALL,
            wire.AlarmState.PENDING,
            "impact_posture_stillness",
            seq=3,
            clock=wire.Clock.UNSYNCED,
            changed_at=T + 2.5,
            device="wrist-1",
            room="bathroom",
            position=wire.Position(22.5, 114.0, 12.0, T),
            evidence=[
                wire.Evidence(
                    "fall_wrist",
                    "wrist-1",
                    T,
                    "impact_posture_stillness",
                    {"peak_g": 4.2},
                    wire.Excerpt(T - 1, 50.0, "g", ["ax", "ay", "az"], [[0.0, 0.5, 1.0], [0.25, 0.5, 1.5]]),
                )
            ],
            decide_by=T + 33,
        ),
        wire.decode_alarm,
    ),
    **{
        f"alarm-{kind}": (
            _alarm(kind, wire.AlarmState.RAISED, reason, priority=wire.Priority.MEDIUM, device="air-1", room="bedroom"),
            wire.decode_alarm,
        )
        for kind, reason in (
            (wire.AlarmKind.HEAT, "heat_danger"),
            (wire.AlarmKind.COLD, "cold_below_12"),
            (wire.AlarmKind.STOVE, "stove_unattended"),
            (wire.AlarmKind.UNUSUAL, "unusual_value"),
        )
    },
    "alarm-told": (
        _alarm(
            wire.AlarmKind.SOS,
            wire.AlarmState.CANCELLED_BY_RESIDENT,
            "resident_cancelled",
            seq=9,
            sent=T + 300,
            changed_at=T + 240,
            device="sos-1",
            told=[
                wire.Told("女儿", "modem_sms", T + 60, wire.TellOutcome.SENT),
                wire.Told("Mr Li", "http_sms", T + 120, wire.TellOutcome.FAILED),
                wire.Told("王医生", "modem_sms", T + 180, wire.TellOutcome.UNKNOWN),
                wire.Told("女儿", "modem_sms", T + 250, wire.TellOutcome.SENT, wire.ToldWhat.STAND_DOWN),
            ],
        ),
        wire.decode_alarm,
    ),
    "status": (
        _heartbeat(
            clock=wire.Clock.SYNCED,
            epoch=EPOCH,
            last_seq={wire.Lane.LIVE: 7},
            spool=wire.SpoolStatus({wire.Lane.BACKLOG: 2}, 4096, 512_000_000, 1),
            disk_free_bytes=10**9,
            battery_percent=87.5,
            mains=True,
            versions={"anju": "0.1.0"},
            sensors=[wire.SensorStatus("oxi-1", T - 5, 60.0, 91.0)],
            counters={"malformed": 2},
        ),
        wire.decode_status,
    ),
    "status-faults": (
        _heartbeat(
            versions={"anju": "0.1.0", "config": "7"},
            faults=["detector_failed:wrist-1", "fallback_sms", "sensor_battery_low:oxi-1"],
        ),
        wire.decode_status,
    ),
    "status-shed": (
        _heartbeat(
            spool=wire.SpoolStatus(
                {wire.Lane.BACKLOG: 2}, 4096, 512_000_000, 3, [wire.Shed("thinned", T - 900, T - 5, 3, 1_200)]
            )
        ),
        wire.decode_status,
    ),
    "ack": (
        wire.Ack(
            v=1,
            at=T,
            ranges=[wire.AckRanges(EPOCH, wire.Lane.LIVE, [(1, 5), (7, 9)])],
            rejected=[wire.Rejection(EPOCH, wire.Lane.LIVE, 6, Reason.OUT_OF_RANGE)],
            pace=2.0,
        ),
        wire.decode_ack,
    ),
    "command-progress": (
        wire.Progress(1, "c-1", T, "i-1", wire.ProgressStage.DISPATCHED, "nurse", ALARM),
        wire.decode_command,
    ),
    "command-stood-down": (
        wire.Progress(1, "c-6", T, "i-1", wire.ProgressStage.STOOD_DOWN, None, ALARM, (ALARM,)),
        wire.decode_command,
    ),
    "command-send-again": (wire.SendAgain(1, "c-2", T, EPOCH, wire.Lane.BACKLOG, 3, 9), wire.decode_command),
    "command-test-alarm": (wire.TestAlarm(1, "c-3", T), wire.decode_command),
    "command-silence": (wire.Silence(1, "c-4", T, ALARM), wire.decode_command),
    "command-config": (
        wire.Configure(1, "c-5", T, 7, {"alarms": {"question_s": 20}, "log_level": "info"}, 600.0),
        wire.decode_command,
    ),
    "reply": (wire.Reply(1, "c-1", T, wire.ReplyStatus.DONE, "7 messages"), wire.decode_reply),
    "say": (wire.Say(1, "s-1", "are_you_ok", "zh", "您还好吗？", "loud", 10.0), wire.decode_say),
}


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_message(name: str) -> None:
    """What we write today is the file, byte for byte, and the file reads as the same value."""
    message, decode = MESSAGES[name]
    stored = (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")
    assert wire.encode(message) == stored
    assert decode(stored) == message


def test_waveform() -> None:
    """The same for the binary frame."""
    samples = np.array([[0, -1, 2048], [32767, -32768, 5]], np.int16)
    frame = WaveFrame("wrist-1", 12, T, 50.0, 0.0005, 16.0, 0.0, ("ax", "ay", "az"), samples)
    stored = (GOLDEN / "wave.bin").read_bytes()
    assert encode_wave(frame) == stored
    back = decode_wave(stored)
    assert (back.device, back.seq, back.start, back.channels) == ("wrist-1", 12, T, frame.channels)
    assert np.array_equal(back.samples, samples)


def test_no_file_without_a_test() -> None:
    """Every golden file belongs to a message."""
    assert {path.stem for path in GOLDEN.iterdir()} == {*MESSAGES, "wave"}


def test_an_older_peer_reads_a_newer_message() -> None:
    """Fields that are not known are passed over."""
    for name, (message, decode) in MESSAGES.items():
        newer = msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes()) | {"field_of_tomorrow": [1]}
        assert decode(msgspec.json.encode(newer)) == message
