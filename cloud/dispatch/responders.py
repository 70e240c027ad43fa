"""Who can be sent to an incident, best first, each with the reasons for its place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from cloud.context import Work
from cloud.db.schema import assignments, homes, responders
from cloud.incidents import store
from cloud.incidents.actions import ACTIVE

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius (IUGG)."""
_ROLE_ORDER = {"nurse": 0, "volunteer": 1, "social_worker": 2, "ambulance": 3}


@dataclass(frozen=True, slots=True)
class Ranked:
    """One responder; `reasons` are codes, the decisive one first."""

    responder: dict[str, Any]
    eligible: bool
    distance_m: float | None
    reasons: tuple[str, ...]


def distance_m(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance in metres of two WGS-84 positions (haversine formula)."""
    p1, p2 = math.radians(lat1), math.radians(lat2)
    half = math.sin((p2 - p1) / 2) ** 2 + math.cos(p1) * math.cos(p2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


async def rank(work: Work, incident_id: str) -> list[Ranked]:
    """All responders for one incident. Raises NotFoundError."""
    incident = await store.load(work, incident_id)
    home = await work.one(select(homes).where(homes.c.id == incident["home_id"]))
    busy = {
        row["responder_id"]
        for row in await work.all(select(assignments.c.responder_id).where(assignments.c.state.in_(ACTIVE)))
    }
    oldest = work.now - work.context.config.dispatch.location_max_age_s
    ranked = [_judge(row, home or {}, busy, oldest, work.now) for row in await work.all(select(responders))]
    return sorted(ranked, key=_place)


def _judge(row: dict[str, Any], home: dict[str, Any], busy: set[str], oldest: float, now: float) -> Ranked:
    reasons: list[str] = []
    if not row["on_duty"]:
        reasons.append("off_duty")
    if row["id"] in busy:
        reasons.append("on_a_job")
    if row["rest_until"] is not None and row["rest_until"] > now:
        reasons.append("resting")
    eligible = not reasons
    distance = None
    if row["lat"] is not None and row["lon"] is not None and home:
        distance = distance_m(row["lat"], row["lon"], home["lat"], home["lon"])
        reasons.append("near" if distance < 2_000 else "far")
        if row["located_at"] is None or row["located_at"] < oldest:
            reasons.append("old_location")
    else:
        reasons.append("no_location")
    if home and row["sub_district"] == home["sub_district"]:
        reasons.append("same_sub_district")
    return Ranked(row, eligible, distance, tuple(reasons))


def _place(candidate: Ranked) -> tuple[object, ...]:
    known = candidate.distance_m if candidate.distance_m is not None else math.inf
    late = "old_location" in candidate.reasons
    # A stale position is worth half a kilometre of doubt.
    return not candidate.eligible, known + 500 * late, _ROLE_ORDER.get(candidate.responder["role"], 9)
