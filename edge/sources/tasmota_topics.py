"""Tasmota's FullTopic: where a board publishes, in whatever order its owner put prefix and topic. Pure.

Published in Tasmota's documentation, MQTT, "FullTopic": a pattern of `%prefix%` (one of three words: command, status,
telemetry), `%topic%`, `%hostname%` and `%id%` (the MAC address), after which comes the name of the message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

DEFAULT: Final = "%prefix%/%topic%/"
PREFIXES: Final = ("stat", "tele")
"""Prefixes of what a board says, where it has not been changed."""
NAMES: Final = ("topic", "hostname", "id")
"""Tokens that name a board."""

_TOKEN: Final = re.compile(r"%(prefix|topic|hostname|id)%")
_BAD: Final = frozenset("+#\0$")
MAX_LENGTH: Final = 200


@dataclass(frozen=True, slots=True)
class Place:
    """One topic taken apart: the board's name there, whether it is telemetry, and the name of the message."""

    board: str
    telemetry: bool
    channel: str


class FullTopic:
    """A pattern, with those tokens already replaced that are known of one board."""

    def __init__(
        self, pattern: str, prefixes: tuple[str, str] = PREFIXES, known: Mapping[str, str] | None = None
    ) -> None:
        """Raises ValueError."""
        self.name = ""
        for token, value in (known or {}).items():
            if f"%{token}%" in pattern and value:
                pattern = pattern.replace(f"%{token}%", value)
                self.name = self.name or value
        tokens = _TOKEN.findall(pattern)
        names = [t for t in tokens if t != "prefix"]
        if tokens.count("prefix") != 1 or len(set(names)) != len(names) or not (names or self.name):
            raise ValueError(f"{pattern[:100]!r} needs %prefix% once and a token that names the board")
        if len(pattern) > MAX_LENGTH or set(pattern) & _BAD or any(not p or set(p) & _BAD for p in prefixes):
            raise ValueError(f"{pattern[:100]!r} is no FullTopic")
        self._telemetry = prefixes[1]
        self._levels = [*pattern.rstrip("/").split("/"), ""]
        self._prefixes = prefixes
        group = {"prefix": "|".join(map(re.escape, prefixes))} | dict.fromkeys(NAMES, "[^/]+")
        body = "".join(
            f"(?P<{part}>{group[part]})" if i % 2 else re.escape(part)
            for i, part in enumerate(_TOKEN.split(pattern.rstrip("/")))
        )
        self._regex = re.compile(rf"{body}/(?P<channel>[^/]+)\Z")

    def filters(self) -> frozenset[str]:
        """Topic filters of everything a board says."""
        return frozenset("/".join(self._level(level, prefix) for level in self._levels) for prefix in self._prefixes)

    @staticmethod
    def _level(level: str, prefix: str) -> str:
        level = level.replace("%prefix%", prefix)
        return "+" if not level or _TOKEN.search(level) else level

    def match(self, topic: str) -> Place | None:
        """The topic taken apart; None: it is of no such board."""
        found = self._regex.match(topic) if len(topic) <= MAX_LENGTH + 100 else None
        if found is None:
            return None
        groups = found.groupdict()
        board = self.name or next(groups[n] for n in NAMES if groups.get(n))
        return Place(board, groups["prefix"] == self._telemetry, groups["channel"])
