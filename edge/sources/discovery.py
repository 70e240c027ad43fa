"""Home Assistant discovery messages as entities: both forms, abbreviations and the base topic resolved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from edge.sources import homeassistant_words as words
from edge.sources.values import decode_object
from protocols.errors import ProtocolError, Reason
from protocols.metrics import METRICS


class Mode(StrEnum):
    """When an entity with several availability topics is there."""

    ALL = "all"
    ANY = "any"
    LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Availability:
    """Where a device says whether it is there."""

    topic: str
    available: str
    not_available: str
    template: str | None


@dataclass(frozen=True, slots=True)
class Entity:
    """One value, event or output of a device; `addresses` are the names its device goes by.

    `on` and `off` are the words of a flag (home and not home of a tracker); a trigger fires on `on`, "" on any message.
    `event_field` is where the state names an event, if no template is to make an event of it.
    """

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
    reset: str
    action: str
    event_types: frozenset[str]
    event_field: str | None
    attributes_topic: str | None
    attributes_template: str | None
    expire_after_s: float | None
    off_delay_s: float | None
    availability: tuple[Availability, ...]
    mode: Mode


@dataclass(frozen=True, slots=True)
class Command:
    """Where an output takes its commands, and the words for on and off; `as_json`: as `{"state": word}`."""

    component: str
    name: str
    topic: str
    on: str
    off: str
    as_json: bool


def commands(prefix: str, topic: str, payload: bytes, wanted: frozenset[str]) -> list[Command]:
    """What a config message offers to command, of the components in `wanted`; raises ProtocolError."""
    parts = topic[len(prefix) + 1 :].split("/")
    if not topic.startswith(prefix + "/") or len(parts) not in (3, 4) or parts[-1] != "config":
        return []
    body = _entity_keys(decode_object(payload, "discovery"))
    components = body.get("components")
    if parts[0] != "device":
        bodies = [body | {"platform": parts[0]}]
    elif isinstance(components, dict):
        shared = {k: v for k, v in body.items() if k != "components"}
        bodies = [shared | _entity_keys(one) for one in list(components.values())[:64] if isinstance(one, dict)]
    else:
        return []
    return [c for b in bodies if str(b.get("platform")) in wanted and (c := _command(b)) is not None]


def _command(body: dict[str, Any]) -> Command | None:
    topic = _topic(body.get("command_topic"), body.get("~"))
    if topic is None:
        return None
    device = body.get("device") or {}
    name = f"{device.get('name') or ''} {body.get('name') or ''}".strip()[:80]
    off, on = _words(str(body["platform"]), body)
    return Command(str(body["platform"]), name, topic, on, off, body.get("schema") == "json")


def parse(prefix: str, topic: str, payload: bytes) -> list[Entity]:
    """Entities of one config message; raises ProtocolError."""
    parts = topic[len(prefix) + 1 :].split("/")
    if len(parts) not in (3, 4) or parts[-1] != "config":
        raise ProtocolError(Reason.WRONG_TOPIC, topic[:200], f"is not {prefix}/component/[node/]object/config")
    body = _entity_keys(decode_object(payload, "discovery"))
    component, key = parts[0], "/".join(parts[:-1])
    if component != "device":
        return [_entity(key, component, parts[-2], body, {})] if component in words.READ | words.LISTED else []
    components = body.get("components")
    if not isinstance(components, dict):
        raise ProtocolError(Reason.MALFORMED, "discovery.components", "is not an object")
    shared = {k: v for k, v in body.items() if k != "components"}
    found = [(name, _entity_keys(one)) for name, one in list(components.items())[:64] if isinstance(one, dict)]
    return [
        _entity(f"{key}/{name[:64]}", str(one["platform"]), name, one, shared)
        for name, one in found
        if str(one.get("platform")) in words.READ | words.LISTED
    ]


def _long(value: Any, table: Mapping[str, str]) -> dict[str, Any]:
    return {table.get(k, k): v for k, v in value.items()} if isinstance(value, dict) else {}


def _entity_keys(raw: dict[str, Any]) -> dict[str, Any]:
    """Long keys at each level by the table of that level: `t` is a topic only where topics are."""
    body = _long(raw, words.ENTITY)
    if "device" in body:
        body["device"] = _long(body["device"], words.DEVICE)
    listed = body.get("availability")
    if listed is not None:
        body["availability"] = [
            _long(e, words.AVAILABILITY) for e in (listed if isinstance(listed, list) else [listed])
        ]
    return body


def _entity(key: str, component: str, object_id: str, own: dict[str, Any], shared: dict[str, Any]) -> Entity:
    body = shared | own
    base, device = body.get("~"), body.get("device") or {}
    object_id = str(body.get("object_id") or object_id)
    trigger = component == "device_automation"
    off, on = _words(component, body)
    types = body.get("event_types")
    origin = body.get("origin")
    source = str(origin.get("name")) if isinstance(origin, dict) else ""
    return Entity(
        key=key[:200],
        component=component,
        addresses=_addresses(device) or (object_id[:128],),
        name=str(device.get("name") or "")[:64],
        model=f"{device.get('manufacturer') or ''} {device.get('model') or ''}".strip()[:80],
        metric=_metric(component, str(body.get("device_class") or ""), object_id),
        state_topic=_topic(body.get("topic" if trigger else "state_topic"), base),
        template=_text(body.get("value_template")),
        unit=_text(body.get("unit_of_measurement")),
        on=on,
        off=off,
        reset=str(body.get("payload_reset", "None"))[:64],
        action=str(body.get("type") or "")[:64],
        event_types=frozenset(str(t)[:64] for t in types[:64]) if isinstance(types, list) else frozenset(),
        event_field=words.EVENT_FIELD.get(source) if component == "event" else None,
        attributes_topic=_topic(body.get("json_attributes_topic"), base),
        attributes_template=_text(body.get("json_attributes_template")),
        expire_after_s=_seconds(body.get("expire_after")),
        off_delay_s=_seconds(body.get("off_delay")) if component == "binary_sensor" else None,
        availability=_availability(body, base),
        mode=_mode(body.get("availability_mode")),
    )


def _words(component: str, body: dict[str, Any]) -> tuple[str, str]:
    """The words for off and on; a number or flag in their place counts as Home Assistant prints it."""
    if component == "device_automation":
        return "", str(body.get("payload") or "")[:64]
    if component == "device_tracker":
        return str(body.get("payload_not_home", "not_home"))[:64], str(body.get("payload_home", "home"))[:64]
    return str(body.get("payload_off", "OFF"))[:64], str(body.get("payload_on", "ON"))[:64]


def _metric(component: str, device_class: str, object_id: str) -> str | None:
    if component == "device_tracker":
        return "at_home"
    name = object_id.lower().replace("-", "_")
    found = words.OBJECT_ID.get((component, name)) or words.DEVICE_CLASS.get((component, device_class))
    by_name = not device_class and name in METRICS and component in ("sensor", "binary_sensor")
    return found or (name if by_name else None)


def _addresses(device: dict[str, Any]) -> tuple[str, ...]:
    ids = device.get("identifiers")
    ids = ids if isinstance(ids, list) else [ids] if ids else []
    pairs = device.get("connections")
    pairs = pairs if isinstance(pairs, list) else []
    pairs = [pairs] if len(pairs) == 2 and all(isinstance(p, str) for p in pairs) else pairs
    macs = [p[1] for p in pairs if isinstance(p, list) and len(p) == 2]
    return tuple(str(one)[:128] for one in [*ids, *macs][:8])


def _availability(body: dict[str, Any], base: object) -> tuple[Availability, ...]:
    entries = body.get("availability") or []
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
        if (topic := _topic(one.get("topic"), base)) is not None
    )


def _mode(raw: object) -> Mode:
    return Mode(raw) if isinstance(raw, str) and raw in Mode.__members__.values() else Mode.LATEST


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


def _seconds(raw: object) -> float | None:
    """A time in seconds, also as text; None: there is none."""
    if isinstance(raw, bool) or not isinstance(raw, (int, float, str)):
        return None
    try:
        number = float(raw[:20] if isinstance(raw, str) else raw)
    except (ValueError, OverflowError):
        return None
    return number if 0 < number < 1e7 else None
