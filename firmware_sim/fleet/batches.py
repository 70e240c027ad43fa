"""Payloads of the fleet: ten values a batch, made from a number alone, so that nothing is kept for sending again."""

from __future__ import annotations

import random

from firmware_sim.alarms import sos_event
from protocols.identifiers import uuid7
from protocols.wire import Clock, Status, StatusKind, encode

_RECORDS = (
    '[{"bn":"oximeter-1/","bt":%d,"n":"heart_rate","u":"beat/min","v":%d,"t":%s},'
    '{"n":"spo2","u":"%%","v":%s,"t":%s},{"n":"respiration_rate","u":"1/min","v":%d,"t":%s},'
    '{"n":"body_temperature","u":"Cel","v":%s,"t":%s},{"n":"systolic","u":"mm[Hg]","v":%d,"t":%s},'
    '{"n":"diastolic","u":"mm[Hg]","v":%d,"t":%s},{"n":"glucose","u":"mmol/l","v":%s,"t":%s},'
    '{"n":"weight","u":"kg","v":%s,"t":%s},{"n":"oxygen_therapy","vb":%s,"t":%s},{"n":"consciousness","vs":"A","t":%s}]'
)
VALUES = 10


def numbers(home: int, seq: int) -> tuple[int, float, int, float, int, int, float, float, bool]:
    """Ten plausible values (the last is always the text A), the same for the same home and sequence."""
    x = (home * 2_654_435_761 + seq * 40_503) & 0xFFFFFFFF
    return (
        58 + x % 40,
        93 + (x >> 4) % 70 / 10,
        12 + (x >> 7) % 10,
        36 + (x >> 10) % 15 / 10,
        105 + (x >> 13) % 50,
        62 + (x >> 16) % 30,
        4 + (x >> 19) % 60 / 10,
        48 + (x >> 22) % 400 / 10,
        (x >> 27) % 31 == 0,
    )


def batch(epoch: str, lane: str, home: int, seq: int, at_ms: int) -> bytes:
    """A telemetry batch of ten values, all measured at `at_ms`."""
    hr, spo2, rr, temp, sys, dia, glucose, weight, oxygen = numbers(home, seq)
    t = f"0.{at_ms % 1000:03d}".rstrip("0").rstrip(".")
    records = _RECORDS % (
        at_ms // 1000, hr, t, spo2, t, rr, t, temp, t, sys, t, dia, t, glucose, t, weight, t,
        "true" if oxygen else "false", t, t,
    )  # fmt: skip
    return (
        f'{{"v":1,"epoch":"{epoch}","lane":"{lane}","seq":{seq},"clock":"synced","sent":{at_ms / 1000!r},'
        f'"records":{records}}}'
    ).encode()


def flat(home: int, seq: int, at_ms: int) -> bytes:
    """The same values as one flat JSON object, as a peer likes them best."""
    hr, spo2, rr, temp, sys, dia, glucose, weight, oxygen = numbers(home, seq)
    return (
        f'{{"home":"h-f{home:06d}","device":"oximeter-1","t":{at_ms},"heart_rate":{hr},"spo2":{spo2},'
        f'"respiration_rate":{rr},"body_temperature":{temp},"systolic":{sys},"diastolic":{dia},"glucose":{glucose},'
        f'"weight":{weight},"oxygen_therapy":{"true" if oxygen else "false"},"consciousness":"A"}}'
    ).encode()


def alarm(epoch: str, seq: int, now: float, rng: random.Random) -> bytes:
    """An SOS alarm raised at `now`."""
    return encode(sos_event(uuid7(now, rng), epoch, seq, now))


def status(kind: StatusKind, session: str, epoch: str, now: float) -> bytes:
    """A birth, heartbeat or will."""
    return encode(
        Status(
            v=1, kind=kind, session=session, at=now, clock=Clock.SYNCED, epoch=epoch, versions={"simulator": "fleet"}
        )
    )
