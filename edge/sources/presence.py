"""In which room a beacon is, from how loudly each receiver hears it; slow to change its mind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

SMOOTHING: Final = 0.3
"""Weight of the newest strength."""
MARGIN_DB: Final = 6.0
"""How much louder another room must be; radio strength wanders by several dB while nobody moves."""
DWELL_S: Final = 10.0
"""For how long it must be so."""
STALE_S: Final = 60.0
"""A receiver that has not heard the beacon for this long does not count."""


@dataclass(slots=True)
class BeaconRoom:
    """One beacon. Pure; bounded by the number of configured receivers."""

    room: str | None = None
    _strength: dict[str, tuple[float, float]] = field(default_factory=dict)
    _rival: tuple[str, float] | None = None

    def heard(self, room: str, rssi: float, now: float) -> str | None:
        """Take one strength in dBm heard in `room`; returns the new room if the beacon moved."""
        before = self._strength.get(room)
        fresh = before is not None and now - before[1] <= STALE_S
        smooth = before[0] + SMOOTHING * (rssi - before[0]) if before is not None and fresh else rssi
        self._strength[room] = (smooth, now)
        live = {r: s for r, (s, at) in self._strength.items() if now - at <= STALE_S}
        loudest = max(live, key=lambda r: live[r])
        if self.room is None:
            self.room = loudest
            return loudest
        if loudest == self.room or (self.room in live and live[loudest] - live[self.room] < MARGIN_DB):
            self._rival = None
            return None
        if self._rival is None or self._rival[0] != loudest:
            self._rival = (loudest, now)
        if now - self._rival[1] < DWELL_S:
            return None
        self.room, self._rival = loudest, None
        return loudest
