"""OwnTracks: phones that report where they are (`{base}/{user}/{device}`, `…/event`)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from edge.readings import Device, Reading
from edge.sources.base import NOTHING, Heard, Message, Seen
from edge.sources.roster import Roster
from edge.sources.timing import TimeLimits, check_time
from edge.sources.values import decode_object, reading
from protocols.errors import ProtocolError, Reason

HOME: Final = "home"
"""The waypoint that is the home, however it is capitalised."""

FIELDS: Final = (
    ("acc", "accuracy", "m"),
    ("lat", "lat", None),
    ("lon", "lon", None),
    ("vel", "speed", "km/h"),
    ("batt", "battery", "%"),
)
"""(field, metric, unit); accuracy comes first, because a position is judged by it. vel is in km/h."""

_LIMITS = TimeLimits()


class OwnTracksSource:
    """Fixes carry their own time, so a retained or repeated one is no sign of life, and is taken once."""

    name = "owntracks"

    def __init__(self, devices: Iterable[Device], base: str = "owntracks") -> None:
        self._base = base
        self._roster = Roster(self.name, devices)
        self._newest: dict[str, float] = {}
        self.counts = self._roster.counts

    def filters(self) -> frozenset[str]:
        """Locations and transitions of all phones."""
        return frozenset({f"{self._base}/+/+", f"{self._base}/+/+/event"})

    def wants(self, topic: str) -> bool:
        """Whatever is below the base topic."""
        return topic.startswith(self._base + "/")

    def seen(self) -> Iterable[Seen]:
        """Phones that spoke."""
        return self._roster.seen()

    def read(self, message: Message) -> Heard:
        """A location, transition or will; raises ProtocolError."""
        parts = message.topic[len(self._base) + 1 :].split("/")
        if len(parts) < 2:
            raise ProtocolError(Reason.WRONG_TOPIC, message.topic[:200], f"is not {self._base}/user/device")
        address = "/".join(parts[:2])[:128]
        device = self._roster.find(address)
        body = decode_object(message.payload, f"{self.name}.{address}")
        offers = frozenset({"lat", "lon", "accuracy", "battery"})
        self._roster.note(Seen(self.name, address, address, "OwnTracks", offers, id=device.id if device else None))
        if device is None:
            return NOTHING
        kind = body.get("_type")
        if kind == "lwt":
            return NOTHING if message.retained else Heard(online=((device.id, False),))
        if kind not in ("location", "transition"):
            self.counts["other_type"] += 1
            return NOTHING
        return self._fix(device, body, message)

    def _fix(self, device: Device, body: dict[str, Any], message: Message) -> Heard:
        where = f"{self.name}.{device.id}"
        at = _time(body.get("tst"), message, where)
        transition = body["_type"] == "transition"
        newest = self._newest.get(device.id, 0.0)
        if not transition and at <= newest:
            self.counts["repeated"] += 1
            return NOTHING
        self._newest[device.id] = max(at, newest)
        readings: list[Reading] = []
        refused: list[ProtocolError] = []
        for key, metric, unit in FIELDS:
            if body.get(key) is None:
                continue
            try:
                readings.append(reading(device.id, metric, at, body[key], unit, where))
            except ProtocolError as error:
                refused.append(error)
        if not {"lat", "lon"} <= {r.metric for r in readings}:
            readings = [r for r in readings if r.metric not in ("lat", "lon", "accuracy")]
        home = _at_home(body)
        if home is not None:
            readings.append(Reading(device.id, "at_home", at, home))
        alive = frozenset() if message.retained else frozenset({device.id})
        return Heard(tuple(readings), alive=alive, refused=tuple(refused))


def _time(raw: object, message: Message, where: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise ProtocolError(Reason.MALFORMED, f"{where}.tst", "is no Unix time")
    if not message.clock_trusted:
        return message.arrival
    check_time(float(raw), message.arrival, _LIMITS, f"{where}.tst")
    return float(raw)


def _at_home(body: dict[str, Any]) -> bool | None:
    if body["_type"] == "transition":
        if str(body.get("desc", "")).strip().lower() != HOME:
            return None
        return {"enter": True, "leave": False}.get(str(body.get("event")))
    regions = body.get("inregions")
    return any(str(r).strip().lower() == HOME for r in regions) if isinstance(regions, list) else None
