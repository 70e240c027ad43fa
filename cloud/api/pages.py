"""Pages that an SMS leads to: family and responder, opened by a code, for a phone, without JavaScript."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import select

from cloud.api.page_texts import text_of
from cloud.api.problems import ApiError
from cloud.api.sessions import Guessing, InContext
from cloud.api.vitals import Vital, vitals_of
from cloud.context import Context, Work
from cloud.db.schema import access_codes, assignments, contacts, homes, incidents, residents, responders
from cloud.incidents.actions import answer_call, answer_job
from cloud.incidents.queries import incident_detail
from cloud.incidents.store import NotAllowedError
from cloud.notify.outbox import CODE_LENGTH
from cloud.notify.texts import Lang, clock_text, kind_text, outcome_text
from cloud.timeseries.base import StoreError, TimeSeriesStore

router = APIRouter(include_in_schema=False)
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)
_VITALS_AGE_S = 6 * 3600
_STEPS: dict[str, tuple[str, ...]] = {
    "new": ("opened",),
    "claimed": ("claimed", "taken_over"),
    "dispatched": ("dispatched",),
    "on_scene": ("responder_arrived",),
    "closed": ("closed",),
}
"""How far help has come, and the entries of the log that say so."""
_AFTER_CLOSE_S = 24 * 3600


def _render(name: str, lang: Lang, status: int = 200, **values: Any) -> HTMLResponse:
    html = _templates.get_template(name).render(t=lambda key, **v: text_of(key, lang, **v), lang=lang, **values)
    return HTMLResponse(html, status, {"Cache-Control": "no-store"})


def _lang(request: Request, default: Lang = "zh") -> Lang:
    asked = request.query_params.get("lang")
    return asked if asked in ("zh", "en") else default  # type: ignore[return-value]


@router.get("/s")
async def enter_code(request: Request) -> HTMLResponse:
    """Asks for the code of an SMS."""
    return _ask_code(request)


@router.post("/s")
async def open_code(request: Request, context: InContext, code: Annotated[str, Form(max_length=40)] = "") -> Response:
    """Leads to the page a code opens."""
    try:
        row = await _row(request, context, code)
    except ApiError as error:
        return _no_page(request, error.status)
    return _onward(request, f"/{'f' if row['contact_id'] else 'r'}/{row['code']}")


def _ask_code(request: Request, status: int = 200, problem: str = "") -> HTMLResponse:
    """The form for the code. It hands on a language only if one was chosen: a person has one of their own."""
    return _render("code.html", _lang(request), status, problem=problem, chosen="lang" in request.query_params)


def _no_page(request: Request, status: int) -> HTMLResponse:
    """Asks for the code again and says why: it is wrong, or somebody guesses."""
    return _ask_code(request, status, "too_many" if status == 429 else "wrong")


def _onward(request: Request, path: str) -> RedirectResponse:
    """To another page, in the language that was chosen on this one."""
    asked = request.query_params.get("lang")
    return RedirectResponse(f"{path}?lang={asked}" if asked in ("zh", "en") else path, 303)


async def _row(request: Request, context: Context, code: str) -> dict[str, Any]:
    """The code's row. Raises ApiError 404, or 429 when somebody guesses."""
    guessing: Guessing = request.app.state.guessing
    key = f"code:{request.client.host if request.client else '?'}"
    guessing.check(key)
    cleaned = code.strip().upper()
    async with context.look() as work:
        row = None
        if len(cleaned) == CODE_LENGTH:
            row = await work.one(
                select(access_codes, incidents.c.closed_at)
                .join(incidents, incidents.c.id == access_codes.c.incident_id)
                .where(access_codes.c.code == cleaned, access_codes.c.expires_at > work.now)
            )
        if row is None or (row["closed_at"] is not None and row["closed_at"] < work.now - _AFTER_CLOSE_S):
            guessing.failed(key)
            raise ApiError(404, "unknown_code", "no such code")
    return row


def steps_of(state: str, log: Iterable[str]) -> list[tuple[str, bool]]:
    """Each step and whether it was taken: by the state at most, and only if the log (kinds of entries) has it. An
    incident that was closed before anybody arrived does not say that help was there.
    """
    happened = set(log)
    order = list(_STEPS)
    reached = order.index("on_scene" if state == "resolved" else state)
    return [(step, i <= reached and not happened.isdisjoint(_STEPS[step])) for i, step in enumerate(order)]


async def _common(work: Work, row: dict[str, Any], lang: Lang) -> dict[str, Any]:
    detail = await incident_detail(work, row["incident_id"])
    assert detail is not None
    return {
        "code": row["code"],
        "incident": detail,
        "kind": kind_text(detail["kind"], lang),
        "time": clock_text(detail["opened_at"]),
        "outcome": outcome_text(detail["outcome"], lang) if detail["outcome"] else "",
        "steps": steps_of(detail["state"], (event["kind"] for event in detail["events"])),
        "open": detail["state"] != "closed",
        "now": time.time(),
    }


@router.get("/f/{code}")
async def family_page(code: str, request: Request, context: InContext) -> HTMLResponse:
    """What happened, how far help has come, and whether this person can go."""
    row = await _page_row(request, context, code, "contact_id")
    if isinstance(row, HTMLResponse):
        return row
    async with context.look() as work:
        person = await work.one(select(contacts).where(contacts.c.id == row["contact_id"]))
        lang = _lang(request, person["lang"] if person else "zh")
        values = await _common(work, row, lang)
    answers = [e for e in values["incident"]["events"] if e["actor"] == f"contact:{row['contact_id']}"]
    store: TimeSeriesStore = request.app.state.store
    vitals = await _vitals(store, values["incident"]["home"]["id"], context.now())
    answered = answers[-1]["kind"] if answers else ""
    return _render("family.html", lang, **values, person=person, answered=answered, vitals=vitals)


async def _vitals(store: TimeSeriesStore, home: str, now: float) -> list[tuple[Vital, int]] | None:
    """Vitals of the last hours with their age in minutes; None while the time series is away."""
    try:
        latest = await store.latest(home)
    except StoreError:
        return None
    return [(vital, round((now - vital.at) / 60)) for vital in vitals_of(latest, since=now - _VITALS_AGE_S)]


async def _page_row(request: Request, context: Context, code: str, who: str) -> dict[str, Any] | HTMLResponse:
    try:
        row = await _row(request, context, code)
    except ApiError as error:
        return _no_page(request, error.status)
    return row if row[who] else _no_page(request, 404)


@router.post("/f/{code}/answer")
async def family_answer(
    code: str, request: Request, context: InContext, answer: Annotated[str, Form(max_length=10)] = ""
) -> Response:
    """Takes "go" or "cannot"."""
    row = await _page_row(request, context, code, "contact_id")
    if isinstance(row, HTMLResponse):
        return row
    if answer in ("go", "cannot"):
        try:
            async with context.work() as work:
                await answer_call(work, row["incident_id"], row["contact_id"], can_go=answer == "go")
        except NotAllowedError:
            pass  # the page says that the incident is closed
    return _onward(request, f"/f/{row['code']}")


@router.get("/r/{code}")
async def responder_page(code: str, request: Request, context: InContext) -> HTMLResponse:
    """Where to go, whom to expect, and three buttons."""
    row = await _page_row(request, context, code, "responder_id")
    if isinstance(row, HTMLResponse):
        return row
    async with context.look() as work:
        person = await work.one(select(responders).where(responders.c.id == row["responder_id"]))
        lang = _lang(request, person["lang"] if person else "zh")
        values = await _common(work, row, lang)
        job = await work.one(
            select(assignments).where(
                assignments.c.incident_id == row["incident_id"], assignments.c.responder_id == row["responder_id"]
            )
        )
        home_id = values["incident"]["home"]["id"]
        home = await work.one(select(homes).where(homes.c.id == home_id))
        people = await work.all(select(residents).where(residents.c.home_id == home_id).order_by(residents.c.id))
    year = datetime.fromtimestamp(context.now(), UTC).year
    return _render("responder.html", lang, **values, person=person, job=job, home=home, people=people, year=year)


@router.post("/r/{code}/answer")
async def responder_answer(
    code: str, request: Request, context: InContext, answer: Annotated[str, Form(max_length=10)] = ""
) -> Response:
    """Takes "accept", "decline" or "arrive"."""
    row = await _page_row(request, context, code, "responder_id")
    if isinstance(row, HTMLResponse):
        return row
    if answer in ("accept", "decline", "arrive"):
        try:
            async with context.work() as work:
                await answer_job(work, row["incident_id"], row["responder_id"], answer)
        except NotAllowedError:
            pass  # the page shows the state that forbids it
    return _onward(request, f"/r/{row['code']}")
