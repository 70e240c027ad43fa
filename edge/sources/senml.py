"""SenML from the home broker: checks each record against the device, the metric registry and the clock."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from edge.readings import Device, Reading
from edge.sources.timing import TimeLimits, check_time
from protocols import senml
from protocols.errors import ProtocolError, Reason
from protocols.metrics import check_value
from protocols.topics import HomeUp, parse_home_up

REMEMBERED = 512
"""Values remembered per device and metric to recognise one that is sent again."""

_EVENTS = frozenset({"sos", "button"})
_DANGERS = frozenset({"sos", "button", "smoke", "gas", "co", "flood", "fall_detected"})
"""Never refused for their time stamp: whichever clock is wrong, somebody needs help now."""
_MAX_REFUSED = 64


class SenmlSource:
    """Turns SenML packs of configured devices into readings.

    `read` raises when the whole pack must be refused. When only some of its records are bad, the good ones are
    returned; the bad ones are counted in `counts` by reason and handed out once by `take_refused`. A value already
    seen (same device, metric, time and value) is dropped as `duplicate`. From a retained message, which the broker
    may have kept for weeks, nothing is taken that has no time of its own or that is an event (`sos`, `button`):
    dropped as `retained`.
    """

    def __init__(self, devices: Iterable[Device], limits: TimeLimits | None = None) -> None:
        self._devices = frozenset(device.id for device in devices)
        self._limits = limits or TimeLimits()
        self._seen: dict[tuple[str, str], deque[tuple[int, object]]] = {}
        self._refused: deque[ProtocolError] = deque(maxlen=_MAX_REFUSED)
        self.counts: Counter[str] = Counter()

    def take_refused(self) -> list[ProtocolError]:
        """The records refused since the last call (the newest 64), for the log."""
        refused = list(self._refused)
        self._refused.clear()
        return refused

    def read(
        self, topic: str, payload: bytes, arrival: float, *, retained: bool = False, clock_trusted: bool = True
    ) -> list[Reading]:
        """Readings of one message that arrived at `arrival`; raises ProtocolError.

        With `clock_trusted=False` (the gateway has not been told the time yet) a device's own time stamp is replaced by
        the time of arrival, so that all stamps are by one clock and can be moved together once the time is known. An
        impossible stamp is refused, but replaced where a danger is told: an SOS must not be lost to a wrong clock.
        """
        device = device_of(topic, HomeUp.SENML, self._devices)
        records = senml.decode_pack(payload)
        resolved = senml.resolve(records, arrival)
        for record in resolved:
            if record.name.partition("/")[0] != device or "/" not in record.name:
                where = f"records[{record.index}].n"
                raise ProtocolError(Reason.WRONG_TOPIC, where, f"{record.name[:80]!r} is not of the topic's {device}")
        timed = _has_own_time(records) if retained or not clock_trusted else frozenset()
        readings: list[Reading] = []
        errors: list[ProtocolError] = []
        for record in resolved:
            try:
                believed = clock_trusted or record.index not in timed
                reading = self._reading(device, record, f"records[{record.index}]", arrival, believed)
            except ProtocolError as error:
                errors.append(error)
                continue
            if retained and (record.index not in timed or reading.metric in _EVENTS):
                self.counts["retained"] += 1
            elif self._is_new(reading):
                readings.append(reading)
            else:
                self.counts[Reason.DUPLICATE] += 1
        if errors and len(errors) == len(resolved):
            raise errors[0]
        self.counts.update(error.reason for error in errors)
        self._refused.extend(errors)
        return readings

    def _reading(self, device: str, record: senml.Resolved, where: str, arrival: float, believed: bool) -> Reading:
        metric = record.name.partition("/")[2]
        if record.value is None:
            raise ProtocolError(Reason.MALFORMED, where, f"{metric[:64]} has no value")
        value = check_value(metric, record.value, record.unit, where)
        if believed:
            try:
                check_time(record.at, arrival, self._limits, f"{where}.t")
                return Reading(device, metric, record.at, value)
            except ProtocolError:
                if metric not in _DANGERS:
                    raise
        self.counts["retimed"] += 1
        return Reading(device, metric, arrival, value)

    def _is_new(self, reading: Reading) -> bool:
        seen = self._seen.setdefault((reading.device, reading.metric), deque(maxlen=REMEMBERED))
        key = (round(reading.at * 1000), reading.value)
        if key in seen:
            return False
        seen.append(key)
        return True


def device_of(topic: str, channel: HomeUp, devices: frozenset[str]) -> str:
    """The configured device a home topic belongs to; raises ProtocolError (WRONG_TOPIC, UNKNOWN_DEVICE)."""
    parsed = parse_home_up(topic)
    if parsed.channel is not channel:
        raise ProtocolError(Reason.WRONG_TOPIC, topic[:200], f"is not a {channel} topic")
    if parsed.device not in devices:
        raise ProtocolError(Reason.UNKNOWN_DEVICE, topic[:200], f"{parsed.device} is not configured in this home")
    return parsed.device


def _has_own_time(records: list[senml.Record]) -> frozenset[int]:
    """Places of the records whose time is absolute (RFC 8428, 4.5.3), not counted from now."""
    base = 0.0
    own: set[int] = set()
    for i, record in enumerate(records):
        base = record.bt if record.bt is not None else base
        if base + (record.t or 0.0) >= senml.RELATIVE_BELOW:
            own.add(i)
    return frozenset(own)
