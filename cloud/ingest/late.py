"""Notes which closed roll-up windows late data has touched, before that data is acknowledged."""

from __future__ import annotations

from cloud.context import Work
from cloud.ingest.reading import Row
from cloud.rollup.marks import mark
from cloud.rollup.windows import QUARTER_S

_MARGIN_S = 60.0


class LateWindows:
    """Which windows the rows of one flush touch that are closed, or about to be."""

    def __init__(self, now: float, delay_s: float) -> None:
        # A window that closes while this flush is under way counts as closed, hence the margin.
        self.before_ms = int((now - delay_s + _MARGIN_S) // QUARTER_S * QUARTER_S) * 1000
        self._found: set[tuple[int, str]] = set()

    def note(self, home: str, rows: list[Row]) -> None:
        """Remember the windows of these rows that ended before `before_ms`."""
        for row in rows:
            at_ms = int(row[row.rindex(" ") + 1 :]) // 1_000_000 if isinstance(row, str) else row.at_ms
            if at_ms < self.before_ms:
                self._found.add((at_ms // 1000 // QUARTER_S * QUARTER_S, home))

    def __bool__(self) -> bool:
        return bool(self._found)

    async def put(self, work: Work) -> None:
        """Write the marks."""
        await mark(work, sorted(self._found))
