"""Acknowledgements for what a flush has stored or refused, one message for each gateway."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloud.ingest import quarantine
from cloud.ingest.flow import Message
from cloud.ingest.reading import Reading
from cloud.registry.gateways import Route
from protocols.delivery import RangeSet
from protocols.wire import Ack, AckRanges, Lane, Rejection, SeqRange, encode

_MAX_REJECTED = 1_000
"""As many as one acknowledgement may name."""


def acks_for(
    routes: Sequence[Route | None],
    readings: Sequence[Reading],
    messages: Sequence[Message],
    now: float,
    pace: float | None,
) -> dict[Route, Ack]:
    """What to answer each gateway."""
    stored: dict[Route, dict[tuple[str, str], list[int]]] = {}
    rejected: dict[Route, list[Rejection]] = {}
    for route, reading, (_, payload) in zip(routes, readings, messages, strict=True):
        if route is None:
            continue
        if reading.epoch:
            stored.setdefault(route, {}).setdefault((reading.epoch, reading.lane), []).append(reading.seq)
        if reading.errors:
            place = quarantine.place_of(payload, quarantine.TELEMETRY_LANES)
            if place.epoch and place.lane and place.seq:
                entry = Rejection(place.epoch, place.lane, place.seq, reading.errors[0].reason)
                rejected.setdefault(route, []).append(entry)
    return {
        route: Ack(
            v=1,
            at=now,
            ranges=[
                AckRanges(epoch, Lane(lane), ranges_of(sequences))
                for (epoch, lane), sequences in stored.get(route, {}).items()
            ],
            rejected=rejected.get(route, [])[:_MAX_REJECTED],
            pace=pace,
        )
        for route in stored | rejected
    }


def encode_acks(
    routes: Sequence[Route | None],
    readings: Sequence[Reading],
    messages: Sequence[Message],
    now: float,
    pace: float | None,
) -> Iterator[tuple[bytes, bytes]]:
    """(topic, payload) for each gateway. A gateway with one good batch, the usual case, is answered by a short way."""
    once: dict[Route, int] = {}
    again: set[int] = set()
    for i, (route, reading) in enumerate(zip(routes, readings, strict=True)):
        if route is None:
            continue
        first = once.setdefault(route, i)
        if first != i:
            again |= {first, i}
        elif reading.errors:
            again.add(i)
    tail = f', "pace":{pace}}}' if pace is not None else "}"
    head = f'{{"v":1,"at":{now!r},"ranges":[{{"epoch":"'
    for route, i in once.items():
        if i not in again:
            r = readings[i]
            seq = r.seq
            yield (
                route.ack_topic,
                f'{head}{r.epoch}","lane":"{r.lane}","ranges":[[{seq},{seq}]]}}]{tail}'.encode(),
            )
    if again:
        many = [i for i in range(len(routes)) if i in again or (routes[i] is not None and once[routes[i]] in again)]  # type: ignore[index]
        acks = acks_for([routes[i] for i in many], [readings[i] for i in many], [messages[i] for i in many], now, pace)
        for route, ack in acks.items():
            yield route.ack_topic, encode(ack)


def pace_only(
    routes: Sequence[Route | None], readings: Sequence[Reading], now: float, pace: float | None
) -> Iterator[tuple[bytes, bytes]]:
    """Ask the gateways that sent back-log to go slowly; nothing is acknowledged."""
    payload = encode(Ack(v=1, at=now, pace=pace))
    for route in {r for r, reading in zip(routes, readings, strict=False) if r and reading.lane == Lane.BACKLOG}:
        yield route.ack_topic, payload


def ranges_of(sequences: Sequence[int]) -> list[SeqRange]:
    """Sequences as ascending ranges."""
    if len(sequences) == 1:
        return [(sequences[0], sequences[0])]
    ranges = RangeSet()
    for seq in sequences:
        ranges.add(seq)
    return list(ranges)
