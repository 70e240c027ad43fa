"""Home Assistant discovery messages as entities: both forms, abbreviations and the base topic resolved. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge.sources import homeassistant_words as words
from edge.sources.values import decode_object
from protocols.errors import ProtocolError, Reason
from protocols.metrics import METRICS


@dataclass(frozen=True, slots=True)
class Availability:
    """Where a device says whether it is there."""

    topic: str
    available: str
    not_available: str
    template: str | None


@dataclass(frozen=True, slots=True)
class Entity:
    """One value, event or switch of a device; `addresses` are the names its device goes by."""

    key: str
    component: str
    addresses: tuple[str, ...]
    name: str
    model: str
    metric: str | None
    state_topic: str | None
    template: str | None
    unit: str | None
    on: str
    off: str
    attributes_topic: str | None
    command_topic: str | None
    expire_after_s: float | None
    availability: tuple[Availability, ...]


def parse(prefix: str, topic: str, payload: bytes) -> list[Entity]:
    """Entities of one config message; raises ProtocolError."""
    parts = topic[len(prefix) + 1 :].split("/")
    if len(parts) not in (3, 4) or parts[-1] != "config":
        raise ProtocolError(Reason.WRONG_TOPIC, topic[:200], f"is not {prefix}/component/[node/]object/config")
    body = _long(decode_object(payload, "discovery"), 0)
    component, key = parts[0], "/".join(parts[:-1])
    if component != "device":
        return [_entity(key, component, parts[-2], body, {})] if component in words.READ | words.COMMANDED else []
    components = body.get("components")
    if not isinstance(components, dict):
        raise ProtocolError(Reason.MALFORMED, "discovery.components", "is not an object")
    shared = {k: v for k, v in body.items() if k != "components"}
    return [
        _entity(f"{key}/{name[:64]}", one["platform"], name, one, shared)
        for name, one in list(components.items())[:64]
        if isinstance(one, dict) and one.get("platform") in words.READ | words.COMMANDED
    ]


def _long(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth < 6:
        return {words.ABBREVIATIONS.get(k, k): _long(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list) and depth < 6:
        return [_long(v, depth + 1) for v in value]
    return value


def _entity(key: str, component: str, object_id: str, own: dict[str, Any], shared: dict[str, Any]) -> Entity:
    body = shared | own
    base = body.get("~")
    device = body.get("device")
    device = device if isinstance(device, dict) else {}
    object_id = str(body.get("object_id") or object_id)
    off_on = ("not_home", "home") if component == "device_tracker" else ("OFF", "ON")
    names = ("payload_not_home", "payload_home") if component == "device_tracker" else ("payload_off", "payload_on")
    expire = body.get("expire_after")
    return Entity(
        key=key[:200],
        component=component,
        addresses=_addresses(device) or (object_id[:128],),
        name=str(device.get("name") or "")[:64],
        model=f"{device.get('manufacturer') or ''} {device.get('model') or ''}".strip()[:80],
        metric=_metric(component, str(body.get("device_class") or ""), object_id),
        state_topic=_topic(body.get("state_topic"), base),
        template=_text(body.get("value_template")),
        unit=_text(body.get("unit_of_measurement")),
        on=str(body.get(names[1], "PRESS" if component == "button" else off_on[1]))[:64],
        off=str(body.get(names[0], off_on[0]))[:64],
        attributes_topic=_topic(body.get("json_attributes_topic"), base),
        command_topic=_topic(body.get("command_topic"), base),
        expire_after_s=float(expire) if isinstance(expire, (int, float)) and 0 < expire < 1e7 else None,
        availability=_availability(body, base),
    )


def _metric(component: str, device_class: str, object_id: str) -> str | None:
    if component == "device_tracker":
        return "at_home"
    found = words.DEVICE_CLASS.get((component, device_class))
    return found or (object_id if not device_class and object_id in METRICS and component in words.READ else None)


def _addresses(device: dict[str, Any]) -> tuple[str, ...]:
    ids = device.get("identifiers")
    ids = ids if isinstance(ids, list) else [ids] if ids else []
    pairs = device.get("connections")
    macs = [p[1] for p in pairs if isinstance(p, list) and len(p) == 2] if isinstance(pairs, list) else []
    return tuple(str(one)[:128] for one in [*ids, *macs][:8])


def _availability(body: dict[str, Any], base: object) -> tuple[Availability, ...]:
    listed = body.get("availability")
    entries = listed if isinstance(listed, list) else [listed] if isinstance(listed, dict) else []
    if body.get("availability_topic"):
        entries = [{**body, "topic": body["availability_topic"], "value_template": body.get("availability_template")}]
    return tuple(
        Availability(
            topic,
            str(one.get("payload_available", "online"))[:64],
            str(one.get("payload_not_available", "offline"))[:64],
            _text(one.get("value_template")),
        )
        for one in entries[:8]
        if isinstance(one, dict) and (topic := _topic(one.get("topic"), base)) is not None
    )


def _topic(raw: object, base: object) -> str | None:
    """A topic with `~` at either end replaced; one with wildcards or of absurd length is none."""
    if not isinstance(raw, str) or not raw:
        return None
    if isinstance(base, str):
        raw = base + raw[1:] if raw.startswith("~") else raw
        raw = raw[:-1] + base if raw.endswith("~") else raw
    return raw if len(raw) <= 256 and not set(raw) & set("+#\0") else None


def _text(raw: object) -> str | None:
    return raw if isinstance(raw, str) and raw else None
