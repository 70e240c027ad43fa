"""What was seen on the home broker as a table for a person, and as TOML ready to be checked and pasted. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from edge.readings import DeviceRole
from edge.sources.base import Seen

ROLES = (
    ("fall_detected", DeviceRole.PRESENCE),
    ("smoke", DeviceRole.SMOKE),
    ("gas", DeviceRole.GAS),
    ("co", DeviceRole.GAS),
    ("flood", DeviceRole.FLOOD),
    ("spo2", DeviceRole.OXIMETER),
    ("systolic", DeviceRole.CUFF),
    ("weight", DeviceRole.SCALE),
    ("contact_open", DeviceRole.CONTACT),
    ("presence", DeviceRole.PRESENCE),
    ("motion", DeviceRole.MOTION),
    ("lat", DeviceRole.GPS),
    ("humidity", DeviceRole.CLIMATE),
    ("temperature", DeviceRole.CLIMATE),
    ("button", DeviceRole.BUTTON),
)
"""Metric offered → role to suggest, the most telling first. What offers none of these is listed, not guessed."""


def table(seen: Iterable[Seen]) -> str:
    """One line per device: configured name or `unknown`, dialect, address, model, what it offers."""
    rows = [
        f"{s.id or 'unknown':<20} {s.source:<14} {s.address:<24} {s.model or s.name:<32} {', '.join(sorted(s.metrics))}"
        for s in sorted(seen, key=lambda s: (s.id is None, s.source, s.address))
    ]
    return "\n".join(rows) or "no devices heard"


def draft(seen: Iterable[Seen]) -> str:
    """[[devices]] of everything that is not configured; what has no clear role is commented out."""
    taken: set[str] = set()
    blocks = [_block(one, taken) for one in sorted(seen, key=lambda s: (s.source, s.address)) if one.id is None]
    return "\n\n".join(["# Check each role, and add room and person before use.", *blocks]) + "\n"


def _block(one: Seen, taken: set[str]) -> str:
    role = next((role for metric, role in ROLES if metric in one.metrics), None)
    lines = [
        "[[devices]]",
        f"id = {quoted(_identifier(one, taken))}",
        f"role = {quoted(role or 'button')}",
        f"source = {quoted(one.source)}",
        f"address = {quoted(one.address)}",
        '# room = "bedroom"',
    ]
    if role is None:
        lines = [line if line.startswith("#") else f"# {line}" for line in lines]
    offers = ", ".join(sorted(one.metrics)) or "nothing known"
    return "\n".join([_comment(f"{one.name} {one.model}: offers {offers}"), *lines])


def _identifier(one: Seen, taken: set[str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", (one.name or one.address).lower()).strip("-")[:50] or one.source
    name, n = stem, 2
    while name in taken:
        name, n = f"{stem}-{n}", n + 1
    taken.add(name)
    return name


def quoted(text: str) -> str:
    """A TOML basic string: JSON's escapes are a subset of TOML's."""
    return json.dumps(text).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    """A comment on one line, whatever a device calls itself."""
    return "# " + "".join(c if c.isprintable() else " " for c in text).strip()
