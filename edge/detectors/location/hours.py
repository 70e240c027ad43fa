"""Day and night by the clock on the home's wall."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, tzinfo


@dataclass(frozen=True, slots=True)
class Hours:
    """When the home's night begins and ends, in its time zone."""

    zone: tzinfo
    night_begins: time = time(22)
    night_ends: time = time(6)

    def night(self, at: float) -> bool:
        """Whether it is night at `at` (Unix seconds)."""
        local = datetime.fromtimestamp(at, UTC).astimezone(self.zone).time()
        if self.night_begins <= self.night_ends:
            return self.night_begins <= local < self.night_ends
        return local >= self.night_begins or local < self.night_ends
