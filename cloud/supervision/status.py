"""Takes the status messages of all gateways, many in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select, text, update

from cloud.context import Context, Work
from cloud.db.schema import gateways, incidents
from cloud.incidents import technical
from cloud.incidents.states import State
from cloud.supervision.conditions import PREFIXES, conditions
from cloud.supervision.outages import came_back
from protocols.wire import Status, StatusKind, encode

_MAX_HOMES = 200_000
_POSTGRES = text(
    "UPDATE gateways SET session = n.session, online = TRUE, status = CAST(n.status AS json), offline_since = NULL,"
    " reported = NULL, last_seen_at = COALESCE(CAST(n.seen AS double precision), gateways.last_seen_at)"
    " FROM unnest(CAST(:ids AS text[]), CAST(:sessions AS text[]), CAST(:statuses AS text[]),"
    " CAST(:seen AS double precision[])) AS n (id, session, status, seen) WHERE gateways.id = n.id"
)
_SQLITE = text(
    "UPDATE gateways SET session = :session, online = TRUE, status = :status, offline_since = NULL, reported = NULL,"
    " last_seen_at = COALESCE(:seen, last_seen_at) WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class Heard:
    """One status as it came. A retained one was left at the broker, and is no sign of life now."""

    gateway: str
    home: str
    status: Status
    retained: bool


class StatusIntake:
    """Keeps the gateways' rows and the technical incidents that follow from their statuses."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._causes: dict[str, set[str]] = {}

    async def accept(self, heard: Sequence[Heard]) -> None:
        """Commit statuses in the order they came. A will of an older session says nothing."""
        for turn in _turns(heard):
            try:
                async with self._context.work() as work:
                    await self._accept(work, turn)
            except BaseException:
                self._causes.clear()  # what was noted may not have been committed
                raise

    async def _accept(self, work: Work, turn: Sequence[Heard]) -> None:
        names = ("id", "home_id", "online", "session", "last_seen_at", "offline_since", "reported")
        columns = [gateways.c[name] for name in names]
        ids = sorted(h.gateway for h in turn)
        statement = select(*columns).where(gateways.c.id.in_(ids)).order_by(gateways.c.id).with_for_update()
        rows = {row["id"]: row for row in await work.all(statement)}
        known = [h for h in turn if h.gateway in rows]
        gone = [
            h.gateway
            for h in known
            if h.status.kind is StatusKind.WILL
            and rows[h.gateway]["online"]
            and rows[h.gateway]["session"] == h.status.session
        ]
        if gone:
            values = {"online": False, "offline_since": work.now}
            await work.run(update(gateways).where(gateways.c.id.in_(gone)).values(**values))
        alive = [h for h in known if h.status.kind is not StatusKind.WILL]
        if not alive:
            return
        await self._write(work, [(h, _seen(work, h, rows[h.gateway])) for h in alive])
        for h in alive:
            if not rows[h.gateway]["online"]:
                await came_back(work, rows[h.gateway])
        await self._compare(work, alive)

    async def _write(self, work: Work, alive: Sequence[tuple[Heard, float | None]]) -> None:
        values = [
            {"id": h.gateway, "session": h.status.session, "status": encode(h.status).decode(), "seen": seen}
            for h, seen in alive
        ]
        if work.context.database.is_sqlite:
            await work.connection.execute(_SQLITE, values)
            return
        lists = {name: [v[key] for v in values] for name, key in _LISTS}
        await work.connection.execute(_POSTGRES, lists)

    async def _compare(self, work: Work, alive: Sequence[Heard]) -> None:
        """Open what is new, clear what is no more."""
        await self._load(work, {h.home for h in alive} - self._causes.keys())
        for h in alive:
            before = self._causes.get(h.home, set())
            now = conditions(h.status, work.now, self._context.config.supervision, retained=h.retained)
            if now == before:
                continue
            for cause in sorted(now - before):
                await technical.open_technical(work, h.home, cause, f"gateway:{h.gateway}")
            for cause in sorted(before - now):
                await technical.clear_technical(work, h.home, cause, f"gateway:{h.gateway}")
            self._causes[h.home] = now

    async def _load(self, work: Work, unknown: set[str]) -> None:
        if not unknown:
            return
        if len(self._causes) > _MAX_HOMES:
            self._causes.clear()
        for home in unknown:
            self._causes[home] = set()
        mine = incidents.c["class"] == "technical", incidents.c.state != State.CLOSED, incidents.c.home_id.in_(unknown)
        ours = or_(*(incidents.c.cause.startswith(prefix, autoescape=True) for prefix in PREFIXES))
        open_ = incidents.c.condition_cleared_at.is_(None)
        for row in await work.all(select(incidents.c.home_id, incidents.c.cause).where(*mine, ours, open_)):
            self._causes[row["home_id"]].add(row["cause"])


_LISTS = (("ids", "id"), ("sessions", "session"), ("statuses", "status"), ("seen", "seen"))


def _turns(heard: Sequence[Heard]) -> Iterator[list[Heard]]:
    """Runs in which no gateway occurs twice."""
    turn: dict[str, Heard] = {}
    for one in heard:
        if one.gateway in turn:
            yield list(turn.values())
            turn = {}
        turn[one.gateway] = one
    if turn:
        yield list(turn.values())


def _seen(work: Work, heard: Heard, row: dict[str, Any]) -> float | None:
    """When it was heard: now, unless the broker had kept the message; None leaves what is known."""
    return work.now if not heard.retained or row["last_seen_at"] is None else None
