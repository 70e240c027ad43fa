"""The configured devices of one dialect by their address, and the table of those seen; both bounded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import MOST_SEEN, Seen

PRESS_MEANS: dict[DeviceRole, dict[str, str]] = {
    DeviceRole.SOS: {"": "sos"},
    DeviceRole.BUTTON: {
        "single": "cancel",
        "click": "cancel",
        "short": "cancel",
        "press": "cancel",
        "on": "cancel",
        "double": "help",
        "triple": "help",
        "quadruple": "help",
        "quad": "help",
        "penta": "help",
        "many": "help",
        "long": "help",
        "hold": "help",
        "emergency": "sos",
        "sos": "sos",
    },
}
"""Role → what a press means where the configuration says nothing; "" stands for any press. Who presses many times in a
row wants help.
"""

NO_PRESS = frozenset({"", "none", "clear", "disarm"})
"""Actions that are none."""
ENDS = frozenset({"release", "released", "stop"})
"""Last words of actions that end a press."""
_BETWEEN = re.compile(r"[_\- ]")
_SERIOUS = ("cancel", "help", "sos")


class Roster:
    """Who is configured, and who was heard of."""

    def __init__(self, source: str, devices: Iterable[Device]) -> None:
        self.source = source
        self._by_address = {_key(d.address): d for d in devices if d.source == source and d.address}
        self._seen: dict[str, Seen] = {}
        self.counts: Counter[str] = Counter()

    def find(self, *addresses: str) -> Device | None:
        """The device configured under any of these names."""
        return next((d for a in addresses if (d := self._by_address.get(_key(a))) is not None), None)

    def note(self, seen: Seen) -> Seen:
        """Remember a device; beyond the limit unconfigured ones are counted as `unseen`."""
        known = self._seen.get(seen.address)
        if known is not None:
            seen = replace(
                seen,
                name=seen.name or known.name,
                model=seen.model or known.model,
                metrics=seen.metrics | known.metrics,
                interval_s=seen.interval_s or known.interval_s,
                id=seen.id or known.id,
            )
        elif len(self._seen) >= MOST_SEEN and seen.id is None:
            self.counts["unseen"] += 1
            return seen
        self._seen[seen.address] = seen
        return seen

    def seen(self) -> Iterable[Seen]:
        """Devices heard of."""
        return tuple(self._seen.values())


def press(device: Device, action: str, at: float) -> Reading | None:
    """What a press of a button means: an SOS, an answer to the question, or nothing.

    `action` counts whole, or by its words: `1_single`, `single_left` and `button_double_press` are presses of one of
    several buttons. Of several words that are known the most serious one counts (`on_hold` is a hold).
    """
    action = action.lower()
    words = _BETWEEN.split(action)
    if is_end(action):
        return None
    table = {word.lower(): means for word, means in device.actions} or PRESS_MEANS.get(device.role, {})
    meaning = table.get(action) or max((table[w] for w in words if w and w in table), key=_SERIOUS.index, default="")
    meaning = meaning or table.get("", "")
    if not meaning:
        return None
    return Reading(device.id, "sos", at, True) if meaning == "sos" else Reading(device.id, "button", at, meaning)


def is_end(action: str) -> bool:
    """Whether an action is the end of a press, or none at all."""
    return action.lower() in NO_PRESS or _BETWEEN.split(action.lower())[-1] in ENDS


def _key(address: str | None) -> str:
    return (address or "").strip().lower()
