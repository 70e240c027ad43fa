"""The registry of metrics: measurement, unit, type and physical range of everything a home may report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from protocols.errors import ProtocolError, Reason

Value = float | bool | str
MAX_TEXT = 64


class Measurement(StrEnum):
    """Time-series measurements; a metric belongs to exactly one."""

    VITALS = "vitals"
    ACTIVITY = "activity"
    LOCATION = "location"
    ENVIRONMENT = "environment"
    DEVICE = "device"


class Type(StrEnum):
    """The one type a metric has for ever (a store refuses a field that changes type)."""

    NUMBER = "number"
    FLAG = "flag"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `low`..`high` is the range a sensor can physically report, not the healthy one."""

    name: str
    measurement: Measurement
    type: Type
    unit: str = ""
    low: float = float("-inf")
    high: float = float("inf")
    loinc: str | None = None


_M = Measurement
_N, _F, _T = Type.NUMBER, Type.FLAG, Type.TEXT

METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("heart_rate", _M.VITALS, _N, "beat/min", 0, 350, "8867-4"),
        Metric("respiration_rate", _M.VITALS, _N, "1/min", 0, 120, "9279-1"),
        Metric("spo2", _M.VITALS, _N, "%", 0, 100, "59408-5"),
        Metric("perfusion_index", _M.VITALS, _N, "%", 0, 30, "61006-3"),
        Metric("body_temperature", _M.VITALS, _N, "Cel", 20, 46, "8310-5"),
        Metric("systolic", _M.VITALS, _N, "mm[Hg]", 0, 350, "8480-6"),
        Metric("diastolic", _M.VITALS, _N, "mm[Hg]", 0, 250, "8462-4"),
        Metric("weight", _M.VITALS, _N, "kg", 0, 400, "29463-7"),
        Metric("glucose", _M.VITALS, _N, "mmol/l", 0, 60, "15074-8"),
        Metric("oxygen_therapy", _M.VITALS, _F),
        Metric("consciousness", _M.VITALS, _T),
        Metric("motion", _M.ACTIVITY, _F),
        Metric("contact_open", _M.ACTIVITY, _F),
        Metric("presence", _M.ACTIVITY, _F),
        Metric("vibration", _M.ACTIVITY, _F),
        Metric("fall_detected", _M.ACTIVITY, _F),
        Metric("bed_occupied", _M.ACTIVITY, _F),
        Metric("sos", _M.ACTIVITY, _F),
        Metric("button", _M.ACTIVITY, _T),
        Metric("steps", _M.ACTIVITY, _N, "count", 0, 1e6),
        Metric("worn", _M.ACTIVITY, _F),
        Metric("peak_acceleration", _M.ACTIVITY, _N, "m/s2", 0, 1000),
        Metric("lat", _M.LOCATION, _N, "lat", -90, 90),
        Metric("lon", _M.LOCATION, _N, "lon", -180, 180),
        Metric("accuracy", _M.LOCATION, _N, "m", 0, 1e6),
        Metric("speed", _M.LOCATION, _N, "m/s", 0, 150),
        Metric("room", _M.LOCATION, _T),
        Metric("at_home", _M.LOCATION, _F),
        Metric("temperature", _M.ENVIRONMENT, _N, "Cel", -60, 120),
        Metric("humidity", _M.ENVIRONMENT, _N, "%RH", 0, 100),
        Metric("illuminance", _M.ENVIRONMENT, _N, "lx", 0, 200_000),
        Metric("power", _M.ENVIRONMENT, _N, "W", 0, 100_000),
        Metric("co_ppm", _M.ENVIRONMENT, _N, "ppm", 0, 10_000),
        Metric("smoke", _M.ENVIRONMENT, _F),
        Metric("gas", _M.ENVIRONMENT, _F),
        Metric("co", _M.ENVIRONMENT, _F),
        Metric("flood", _M.ENVIRONMENT, _F),
        Metric("battery", _M.DEVICE, _N, "%EL", 0, 100),
        Metric("battery_low", _M.DEVICE, _F),
        Metric("rssi", _M.DEVICE, _N, "dBm", -200, 50),
        Metric("mains", _M.DEVICE, _F),
        Metric("tamper", _M.DEVICE, _F),
    )
}

CONVERSIONS: dict[tuple[str, str], tuple[float, float]] = {
    ("1/s", "1/min"): (60.0, 0.0),
    ("Hz", "1/min"): (60.0, 0.0),
    ("beat/s", "beat/min"): (60.0, 0.0),
    ("/", "%"): (100.0, 0.0),
    ("/", "%RH"): (100.0, 0.0),
    ("/", "%EL"): (100.0, 0.0),
    ("K", "Cel"): (1.0, -273.15),
    ("kW", "W"): (1000.0, 0.0),
    ("Pa", "mm[Hg]"): (1 / 133.322387415, 0.0),
    ("kPa", "mm[Hg]"): (1000 / 133.322387415, 0.0),
    ("g", "kg"): (0.001, 0.0),
    ("[degF]", "Cel"): (5 / 9, -160 / 9),
    ("[lb_av]", "kg"): (0.45359237, 0.0),
    ("mg/dl", "mmol/l"): (1 / 18.0182, 0.0),
    ("mg/m3", "ppm"): (24.055 / 28.01, 0.0),
    ("ug/m3", "ppm"): (24.055e-3 / 28.01, 0.0),
    ("mi/h", "m/s"): (0.44704, 0.0),
    ("km/h", "m/s"): (1 / 3.6, 0.0),
}
"""(unit received, unit of the registry) → (factor, offset). The only gas told in ppm is carbon monoxide: 28.01 g/mol,
and 24.055 l/mol at 20 °C and 1013 hPa (ideal gas)."""


def check_value(name: str, value: Value, unit: str | None, where: str) -> Value:
    """Return `value` in the registry's unit; raises ProtocolError naming `where` if name, unit, type or range is
    wrong.
    """
    metric = METRICS.get(name)
    if metric is None:
        raise ProtocolError(Reason.UNKNOWN_METRIC, where, f"{name[:64]!r} is not a known metric")
    if metric.type is Type.FLAG:
        if not isinstance(value, bool):
            raise ProtocolError(Reason.WRONG_TYPE, where, f"{name} is true or false, got {value!r:.40}")
        return value
    if metric.type is Type.TEXT:
        if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT:
            raise ProtocolError(
                Reason.WRONG_TYPE, where, f"{name} is a text of 1 to {MAX_TEXT} characters, got {value!r:.40}"
            )
        return value
    if isinstance(value, (bool, str)):
        raise ProtocolError(Reason.WRONG_TYPE, where, f"{name} is a number, got {value!r:.40}")
    return _check_number(metric, value, unit, where)


def _check_number(metric: Metric, value: float, unit: str | None, where: str) -> float:
    if unit and unit != metric.unit:
        conversion = CONVERSIONS.get((unit, metric.unit))
        if conversion is None:
            raise ProtocolError(Reason.WRONG_UNIT, where, f"{metric.name} is in {metric.unit}, got {unit[:16]!r}")
        value = value * conversion[0] + conversion[1]
    if not metric.low <= value <= metric.high:
        reason = Reason.OUT_OF_RANGE if abs(value) != float("inf") and value == value else Reason.NOT_FINITE
        raise ProtocolError(
            reason, where, f"{metric.name} {value:g} {metric.unit} is outside {metric.low:g} to {metric.high:g}"
        )
    return value
