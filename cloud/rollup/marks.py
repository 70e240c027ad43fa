"""Which windows must be computed again, as rows: written by ingest before it acknowledges, removed by the job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, select, text

from cloud.context import Work
from cloud.db.schema import rollup_marks as table

Mark = tuple[int, str]
"""Begin of the window (Unix seconds), home."""
_AT_ONCE = 10_000
_POSTGRES = text(
    "INSERT INTO rollup_marks (window_at, home_id, version)"
    " SELECT w, h, 1 FROM unnest(CAST(:windows AS bigint[]), CAST(:homes AS text[])) AS new (w, h) ORDER BY w, h"
    " ON CONFLICT (window_at, home_id) DO UPDATE SET version = rollup_marks.version + 1"
)
_SQLITE = text(
    "INSERT INTO rollup_marks (window_at, home_id, version) VALUES (:window, :home, 1)"
    " ON CONFLICT (window_at, home_id) DO UPDATE SET version = version + 1"
)


async def mark(work: Work, marks: Sequence[Mark]) -> None:
    """Mark windows of homes, each once; a window that is being computed meanwhile will be computed again."""
    if not marks:
        return
    if work.context.database.is_sqlite:
        await work.connection.execute(_SQLITE, [{"window": at, "home": home} for at, home in marks])
        return
    for begin in range(0, len(marks), _AT_ONCE):
        windows, homes = zip(*marks[begin : begin + _AT_ONCE], strict=True)
        await work.connection.execute(_POSTGRES, {"windows": list(windows), "homes": list(homes)})


async def oldest_window(work: Work, before: int) -> int | None:
    """The oldest marked window that began before `before`; None if there is none."""
    found = await work.connection.scalar(select(func.min(table.c.window_at)).where(table.c.window_at < before))
    return int(found) if found is not None else None


async def marks_of(work: Work, window_at: int, limit: int) -> dict[str, int]:
    """Homes marked in one window, with the version to hand to `settle`."""
    rows = await work.all(
        select(table.c.home_id, table.c.version)
        .where(table.c.window_at == window_at)
        .order_by(table.c.home_id)
        .limit(limit)
    )
    return {row["home_id"]: row["version"] for row in rows}


async def settle(work: Work, window_at: int, done: dict[str, int]) -> None:
    """Remove marks that were not set again since they were read."""
    if not done:
        return
    own = table.c.home_id == bindparam("home"), table.c.version == bindparam("seen")
    statement = delete(table).where(table.c.window_at == window_at, *own)
    await work.connection.execute(statement, [{"home": home, "seen": version} for home, version in done.items()])


async def count_marks(work: Work) -> int:
    """How many windows of homes wait to be computed again."""
    return int(await work.connection.scalar(select(func.count()).select_from(table)) or 0)
