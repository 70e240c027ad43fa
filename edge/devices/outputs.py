"""Lamps, sirens and speakers that announce themselves by Home Assistant discovery, as a draft of `[[alarms.outputs]]`.
Pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from edge.alarms.outputs import OutputKind
from edge.devices.draft import quoted
from edge.sources.discovery import Command, commands
from protocols.errors import ProtocolError

KINDS: dict[str, OutputKind] = {
    "light": OutputKind.LAMP,
    "siren": OutputKind.SIREN,
    "switch": OutputKind.LAMP,
    "notify": OutputKind.SPEAKER,
    "text": OutputKind.SPEAKER,
}
"""Component → what it can do for an alarm. What a switch feeds nobody knows: it is drafted as a comment."""


@dataclass(frozen=True, slots=True)
class Announced:
    """One discovery message."""

    topic: str
    payload: bytes


def draft_outputs(prefix: str, announced: Iterable[Announced], known: frozenset[str]) -> str:
    """`[[alarms.outputs]]` of everything that takes commands and is not in `known` (command topics); "" for nothing."""
    found: dict[str, Command] = {}
    for one in announced:
        try:
            found |= {c.topic: c for c in commands(prefix, one.topic, one.payload, frozenset(KINDS))}
        except ProtocolError:
            continue
    return "\n\n".join(_block(found[topic]) for topic in sorted(found.keys() - known))


def _block(command: Command) -> str:
    kind = KINDS[command.component]
    lines = [f"[[alarms.outputs]] # {_plain(command.name)}", f"name = {quoted(command.topic)}", f'kind = "{kind}"']
    lines.append('dialect = "home_assistant"')
    if kind is not OutputKind.SPEAKER:
        on, off = (json.dumps({"state": word}) if command.as_json else word for word in (command.on, command.off))
        lines += [f"on = {quoted(on)}", f"off = {quoted(off)}"]
    if command.component == "switch":
        lines = [f"# {line}" for line in lines]
    return "\n".join(lines)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()
