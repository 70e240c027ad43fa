"""From a dialect's words and units to values of the registry; the differences are the tables here."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from edge.readings import Reading
from protocols.errors import ProtocolError, Reason
from protocols.metrics import METRICS, Type, Value, check_value

MAX_BYTES: Final = 64 * 1024
MAX_DEPTH: Final = 12

UNITS: Final = {
    "°c": "Cel",
    "c": "Cel",
    "\u2103": "Cel",
    "celsius": "Cel",
    "°f": "[degF]",
    "f": "[degF]",
    "\u2109": "[degF]",
    "k": "K",
    "mmhg": "mm[Hg]",
    "kpa": "kPa",
    "kg": "kg",
    "g": "g",
    "lb": "[lb_av]",
    "lbs": "[lb_av]",
    "lx": "lx",
    "lux": "lx",
    "ppm": "ppm",
    "mg/m³": "mg/m3",
    "mg/m3": "mg/m3",
    "µg/m³": "ug/m3",
    "\u03bcg/m³": "ug/m3",
    "ug/m3": "ug/m3",
    "dbm": "dBm",
    "db": "dBm",
    "km/h": "km/h",
    "mph": "mi/h",
    "m/s": "m/s",
    "m": "m",
    "mmol/l": "mmol/l",
    "mg/dl": "mg/dl",
    "steps": "count",
}
"""Unit as dialects write it (lower case) → UCUM or SenML name. A per cent is the registry's own of that metric."""

PER_MINUTE: Final = frozenset({"bpm", "rpm", "brpm", "/min", "1/min", "breaths/min", "beats/min"})
"""Units of a rate: each device writes its own, and all mean once a minute."""

WORDS: Final = {
    "on": True,
    "true": True,
    "open": True,
    "detected": True,
    "yes": True,
    "1": True,
    "home": True,
    "off": False,
    "false": False,
    "closed": False,
    "clear": False,
    "no": False,
    "0": False,
    "not_home": False,
}
"""Words of flags, lower case."""

_decoder = msgspec.json.Decoder()


def decode_json(payload: bytes, where: str, limit: int = MAX_BYTES) -> Any:
    """JSON of bounded size and depth; raises ProtocolError and nothing else (NaN is no JSON)."""
    if len(payload) > limit:
        raise ProtocolError(Reason.OVERSIZED, where, f"{len(payload)} bytes, at most {limit}")
    try:
        value = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(Reason.MALFORMED, where, str(error)[:200]) from None
    _check_depth(value, where)
    return value


def decode_object(payload: bytes, where: str, limit: int = MAX_BYTES) -> dict[str, Any]:
    """As decode_json, and it is an object."""
    value = decode_json(payload, where, limit)
    if not isinstance(value, dict):
        raise ProtocolError(Reason.MALFORMED, where, "is not a JSON object")
    return value


def _check_depth(value: object, where: str) -> None:
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise ProtocolError(Reason.MALFORMED, where, f"is nested deeper than {MAX_DEPTH}")


def text(payload: bytes, where: str) -> str:
    """A short word; raises ProtocolError."""
    if len(payload) > MAX_BYTES:
        raise ProtocolError(Reason.OVERSIZED, where, f"{len(payload)} bytes, at most {MAX_BYTES}")
    try:
        return payload.decode().strip()
    except UnicodeDecodeError:
        raise ProtocolError(Reason.MALFORMED, where, "is not UTF-8") from None


def to_registry(metric: str, raw: object, unit: str | None, where: str) -> Value:
    """`raw` as a value of `metric`; raises ProtocolError (WRONG_TYPE, WRONG_UNIT, OUT_OF_RANGE, NOT_FINITE)."""
    entry = METRICS[metric]
    if entry.type is Type.FLAG:
        return check_value(metric, _flag(raw, metric, where), None, where)
    if entry.type is Type.TEXT:
        return check_value(metric, raw if isinstance(raw, str) else str(raw), None, where)
    return check_value(metric, _number(raw, metric, where), _unit(unit, metric, where), where)


def reading(device: str, metric: str, at: float, raw: object, unit: str | None, where: str) -> Reading:
    """A reading of a dialect's raw value; raises ProtocolError."""
    return Reading(device, metric, at, to_registry(metric, raw, unit, f"{where}.{metric}"))


def _flag(raw: object, metric: str, where: str) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower() if isinstance(raw, (str, int)) else ""
    if word not in WORDS:
        raise ProtocolError(Reason.WRONG_TYPE, where, f"{metric} is true or false, got {raw!r:.40}")
    return WORDS[word]


def _number(raw: object, metric: str, where: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        raise ProtocolError(Reason.WRONG_TYPE, where, f"{metric} is a number, got {raw!r:.40}")
    try:
        return float(raw[:40]) if isinstance(raw, str) else float(raw)
    except (ValueError, OverflowError):
        raise ProtocolError(Reason.WRONG_TYPE, where, f"{metric} is a number, got {raw!r:.40}") from None


def _unit(unit: str | None, metric: str, where: str) -> str | None:
    if not unit or (unit == "%" and METRICS[metric].unit in ("%", "%RH", "%EL")):
        return None
    if unit.strip().lower() in PER_MINUTE and METRICS[metric].unit in ("beat/min", "1/min"):
        return None
    known = UNITS.get(unit.strip().lower())
    if known is None:
        raise ProtocolError(Reason.WRONG_UNIT, where, f"{metric} is in {METRICS[metric].unit}, got {unit[:16]!r}")
    return known
