"""What each dialect's devices are sent, and which of a voice assistant's events are answers."""

from __future__ import annotations

import json

import pytest

from edge.alarms import Speak
from edge.alarms.answers import AnswerSource, answer
from edge.alarms.ladder import DEFAULTS, Loudness
from edge.alarms.outputs import Output, OutputDialect, OutputKind, messages
from edge.phrases import PHRASES
from protocols.wire import decode_say

_ASK = Speak("fall_question", "a")
_SIREN = Speak("smoke_siren", "a", Loudness.SIREN)
_END = Speak("silenced", "a", ends=True)


@pytest.mark.parametrize(
    ("output", "speak", "topic", "payload"),
    [
        (Output("灯", OutputKind.LAMP, OutputDialect.ZIGBEE2MQTT), _ASK, "zigbee2mqtt/灯/set", "blink"),
        (Output("s", OutputKind.SIREN, OutputDialect.ZIGBEE2MQTT), _SIREN, "zigbee2mqtt/s/set", "emergency"),
        (Output("s", OutputKind.SIREN, OutputDialect.ZIGBEE2MQTT), _END, "zigbee2mqtt/s/set", "stop"),
        (Output("plug", OutputKind.LAMP, OutputDialect.TASMOTA), _ASK, "cmnd/plug/POWER", "BLINK"),
        (Output("plug", OutputKind.LAMP, OutputDialect.TASMOTA), _END, "cmnd/plug/POWER", "OFF"),
        (Output("x/c", OutputKind.SIREN, OutputDialect.HOME_ASSISTANT), _SIREN, "x/c", "ON"),
        (Output("x/c", OutputKind.SIREN, OutputDialect.HOME_ASSISTANT, on="PRESS"), _SIREN, "x/c", "PRESS"),
        (Output("x/say", OutputKind.SPEAKER, OutputDialect.HOME_ASSISTANT), _ASK, "x/say", "Have you fallen"),
    ],
)
def test_commands_of_the_dialects(output: Output, speak: Speak, topic: str, payload: str) -> None:
    """Each device is told on its own topic in its own words."""
    ((to, what),) = messages(speak, (output,), "en", "1")
    assert to == topic
    assert payload in what.decode()
    if output.dialect is OutputDialect.ZIGBEE2MQTT:
        json.loads(what)


def test_a_siren_never_asks() -> None:
    """A question reaches speakers and lamps; a siren keeps silent, so that it always means danger."""
    outputs = tuple(Output("d", kind, OutputDialect.TASMOTA) for kind in (OutputKind.SIREN, OutputKind.LAMP))
    assert [what for _, what in messages(_ASK, outputs, "zh", "1")] == [b"BLINK"]
    assert [what for _, what in messages(_SIREN, outputs, "zh", "1")] == [b"ON", b"ON"]


def test_our_own_speaker_gets_phrase_and_text() -> None:
    """A speaker of our own is told code, text and loudness."""
    ((topic, payload),) = messages(_SIREN, (Output("spk", OutputKind.SPEAKER),), "zh", "1")
    say = decode_say(payload)
    assert (topic, say.phrase, say.loudness, say.text) == (
        "home/v1/spk/say",
        "smoke_siren",
        "siren",
        PHRASES["smoke_siren"]["zh"],
    )


def test_every_ladder_has_its_words() -> None:
    """Every phrase of the built-in ladders exists in both languages."""
    for ladder in DEFAULTS:
        for step in (*ladder.steps, ladder.raised):
            assert all(PHRASES[step.phrase][lang] for lang in ("zh", "en"))


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b'{"intent":{"name":"Cancel"}}', "cancel"),
        ('{"intent":{"name":"救命"}}'.encode(), "help"),
        (b'{"intent":{"name":"weather"}}', None),
        (b'{"intent":"cancel"}', None),
        (b'{"intent":{"name":1}}', None),
        (b"\xff", None),
        (b"[" * 50_000, None),
    ],
)
def test_voice_answers(payload: bytes, said: str | None) -> None:
    """Only the configured words at the configured place are answers; anything else is none, whatever it is."""
    source = AnswerSource("va/event", frozenset({"cancel"}), frozenset({"救命"}), "intent.name")
    assert answer((source,), "va/event", payload) == said
    assert answer((source,), "va/other", payload) is None
