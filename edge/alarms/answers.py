"""The resident's answer by voice: events of a voice assistant on the home broker become "cancel" or "help". Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

_LONGEST = 16_384


@dataclass(frozen=True, slots=True)
class AnswerSource:
    """A topic that carries answers. `field` is the path to the word in a JSON payload, dots between the keys; without
    it the payload itself is the word. Words are compared without regard to case.
    """

    topic: str
    cancel: frozenset[str]
    help: frozenset[str]
    field: str | None = None


def answer(sources: tuple[AnswerSource, ...], topic: str, payload: bytes) -> str | None:
    """`cancel`, `help`, or None if the message is no answer. A word that stands for both asks for help."""
    for source in sources:
        if source.topic == topic and len(payload) <= _LONGEST:
            word = _word(payload, source.field)
            if word in source.help:
                return "help"
            if word in source.cancel:
                return "cancel"
    return None


def _word(payload: bytes, field: str | None) -> str | None:
    try:
        text = payload.decode()
        if field is None:
            return text.strip().casefold()
        found: object = json.loads(text)
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    for key in field.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(key)
    return found.strip().casefold() if isinstance(found, str) else None
