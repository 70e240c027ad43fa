"""What a process can be run as, alone or together with others."""

from __future__ import annotations

from collections.abc import Iterable

ROLES = ("alarms", "telemetry", "dispatch", "api")
"""`alarms` takes alarms, statuses and answers, and sends commands; `telemetry` takes the time series."""
TOGETHER = {"ingest": ("alarms", "telemetry")}
"""Names for several roles. Where a district's telemetry fills a core, alarms have a process of their own."""


def expand(names: Iterable[str]) -> frozenset[str]:
    """The roles that `names` stand for; of none, all. Raises ValueError with the name that is not known."""
    found: set[str] = set()
    for name in names:
        if name not in ROLES and name not in TOGETHER:
            raise ValueError(name)
        found.update(TOGETHER.get(name, (name,)))
    return frozenset(found or ROLES)


def place(roles: Iterable[str]) -> int:
    """The place of the first of `roles` in ROLES: processes of different roles tell by it which port is theirs."""
    return min(ROLES.index(role) for role in roles)
