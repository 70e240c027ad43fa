"""How speakers, lamps and sirens of each dialect are told to prompt: a phrase in, MQTT messages out. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum

from edge.alarms.ladder import Loudness
from edge.alarms.states import Speak
from edge.phrases import PHRASES, Lang
from protocols.topics import HomeDown, home_down
from protocols.wire import Say, encode


class OutputKind(StrEnum):
    """What the device does when it is told to."""

    SPEAKER = "speaker"
    LAMP = "lamp"
    SIREN = "siren"


class OutputDialect(StrEnum):
    """Whose MQTT topics the device listens to."""

    ANJU = "anju"
    ZIGBEE2MQTT = "zigbee2mqtt"
    TASMOTA = "tasmota"
    HOME_ASSISTANT = "home_assistant"


@dataclass(frozen=True, slots=True)
class Output:
    """One device that can prompt the resident.

    `name` is the device's name in its dialect: for Zigbee2MQTT the friendly name, for Tasmota the topic, for Home
    Assistant the command topic of its discovery message. `on` and `off` replace the dialect's payloads.
    """

    name: str
    kind: OutputKind
    dialect: OutputDialect = OutputDialect.ANJU
    on: str | None = None
    off: str | None = None


class Act(StrEnum):
    """What a lamp or siren is to do."""

    ASK = "ask"
    ALARM = "alarm"
    OFF = "off"


def _json(**fields: object) -> str:
    return json.dumps(fields, separators=(",", ":"))


_D, _O = OutputDialect, OutputKind
_SIREN_S = 1800
TOPICS: dict[OutputDialect, str] = {
    _D.ZIGBEE2MQTT: "zigbee2mqtt/{name}/set",
    _D.TASMOTA: "cmnd/{name}/POWER",
    _D.HOME_ASSISTANT: "{name}",
}
PAYLOADS: dict[tuple[OutputDialect, OutputKind, Act], str] = {
    (_D.ZIGBEE2MQTT, _O.LAMP, Act.ASK): _json(state="ON", effect="blink"),
    (_D.ZIGBEE2MQTT, _O.LAMP, Act.ALARM): _json(state="ON", brightness=254),
    (_D.ZIGBEE2MQTT, _O.LAMP, Act.OFF): _json(state="OFF"),
    (_D.ZIGBEE2MQTT, _O.SIREN, Act.ALARM): _json(
        warning={"mode": "emergency", "level": "very_high", "strobe": True, "duration": _SIREN_S}
    ),
    (_D.ZIGBEE2MQTT, _O.SIREN, Act.OFF): _json(
        warning={"mode": "stop", "level": "low", "strobe": False, "duration": 1}
    ),
    (_D.TASMOTA, _O.LAMP, Act.ASK): "BLINK",
    (_D.TASMOTA, _O.LAMP, Act.ALARM): "ON",
    (_D.TASMOTA, _O.LAMP, Act.OFF): "OFF",
    (_D.TASMOTA, _O.SIREN, Act.ALARM): "ON",
    (_D.TASMOTA, _O.SIREN, Act.OFF): "OFF",
    (_D.HOME_ASSISTANT, _O.LAMP, Act.ASK): "ON",
    (_D.HOME_ASSISTANT, _O.LAMP, Act.ALARM): "ON",
    (_D.HOME_ASSISTANT, _O.LAMP, Act.OFF): "OFF",
    (_D.HOME_ASSISTANT, _O.SIREN, Act.ALARM): "ON",
    (_D.HOME_ASSISTANT, _O.SIREN, Act.OFF): "OFF",
}
"""(dialect, kind, act) → payload; a siren never asks, so that it always means danger.

Zigbee2MQTT: its pages on lights (`state`, `effect`) and sirens (`warning`). Tasmota: command `Power`, where BLINK
turns itself off by `BlinkCount`. Home Assistant: the defaults of `payload_on` and `payload_off`."""

Message = tuple[str, bytes]


def act_of(speak: Speak) -> Act | None:
    """What lamps and sirens do with a phrase; None: nothing."""
    if speak.ends:
        return Act.OFF
    if speak.loudness is Loudness.SIREN:
        return Act.ALARM
    return Act.ASK if speak.phrase.endswith("_question") or speak.phrase.startswith("are_you_ok") else None


def messages(speak: Speak, outputs: tuple[Output, ...], lang: Lang, say_id: str) -> list[Message]:
    """Topic and payload for every output that has something to do with the phrase; sirens first."""
    found: list[Message] = []
    for output in sorted(outputs, key=lambda o: (OutputKind.SIREN, OutputKind.LAMP, OutputKind.SPEAKER).index(o.kind)):
        if output.dialect is OutputDialect.ANJU:
            say = Say(
                v=1,
                id=say_id,
                phrase=speak.phrase,
                lang=lang,
                text=PHRASES[speak.phrase][lang],
                loudness=speak.loudness.value,
            )
            found.append((home_down(output.name, HomeDown.SAY), encode(say)))
            continue
        payload = _payload(output, act_of(speak), speak, lang)
        if payload is not None:
            found.append((TOPICS[output.dialect].format(name=output.name), payload.encode()))
    return found


def _payload(output: Output, act: Act | None, speak: Speak, lang: Lang) -> str | None:
    """A speaker of a foreign dialect gets the text itself (Home Assistant `notify` and `text` entities)."""
    if output.kind is OutputKind.SPEAKER:
        return PHRASES[speak.phrase][lang]
    default = PAYLOADS.get((output.dialect, output.kind, act)) if act is not None else None
    if default is None:
        return None
    own = output.off if act is Act.OFF else output.on
    return own if own is not None else default
