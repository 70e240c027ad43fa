"""Whose each device is, so that what two residents measure never mixes; the configuration says it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.readings import Device, DeviceRole

_R = DeviceRole
MEASURE = frozenset({_R.WEARABLE, _R.OXIMETER, _R.CUFF, _R.THERMOMETER, _R.SCALE, _R.BED, _R.SEAT, _R.PRESENCE})
"""Roles whose devices may report vital signs."""


@dataclass(frozen=True, slots=True)
class Wearers:
    """Devices whose vital signs belong together. `name` is a code for states, "" where all are one person's;
    `known` is False where nobody said whose they are.
    """

    name: str
    devices: frozenset[str] | None
    known: bool


class Residents:
    """The home's people as the devices tell them; `count` is how many live there.

    With one resident every device is theirs. With several, a device that nobody is named for stands alone.
    """

    def __init__(self, devices: Iterable[Device], count: int = 1) -> None:
        devices = tuple(devices)
        self._person = {d.id: d.person for d in devices if d.person is not None}
        self._several = count > 1 or len(set(self._person.values())) > 1
        self._nobodys = [d.id for d in devices if d.person is None and d.role in MEASURE]

    def wearers(self) -> list[Wearers]:
        """The groups of devices whose vital signs may be put together; each that measures some is in one."""
        if not self._several:
            return [Wearers("", None, known=True)]
        of = {p: frozenset(d for d, whose in self._person.items() if whose == p) for p in self._person.values()}
        named = [Wearers(f"person:{p}", of[p], known=True) for p in sorted(of)]
        return named + [Wearers(f"device:{d}", frozenset({d}), known=False) for d in self._nobodys]

    def apart(self, one: str, other: str, *, vitals: bool = False) -> bool:
        """Whether two devices tell of two people: named ones differ; or, for vital signs, one of them is nobody's."""
        if one == other or not self._several:
            return False
        persons = self._person.get(one), self._person.get(other)
        if None in persons:
            return vitals
        return persons[0] != persons[1]
