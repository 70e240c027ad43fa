"""Signing in: an HttpOnly, SameSite=Strict cookie whose hash is kept; roles; protection against guessing."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import deque
from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from sqlalchemy import ColumnElement, delete, select

from cloud.api.models import Me, SignIn
from cloud.api.problems import RESPONSES, ApiError
from cloud.context import Context, Work
from cloud.db.schema import sessions, users
from cloud.incidents.actions import Actor
from cloud.registry.passwords import password_matches

COOKIE = "anju_session"
OPERATORS = ("operator", "supervisor", "admin")
"""Roles that work at the console."""
_TRIES = 8
_TRIES_IN_S = 60.0
_MAX_WATCHED = 10_000


class Guessing:
    """Counts failures per key over a minute; too many, and the next is refused."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[float]] = {}

    def check(self, key: str) -> None:
        """Raises ApiError 429 while there were too many failures."""
        failures = self._failures.get(key)
        if failures is None:
            return
        while failures and time.monotonic() - failures[0] > _TRIES_IN_S:
            failures.popleft()
        if len(failures) >= _TRIES:
            wait = str(round(_TRIES_IN_S - (time.monotonic() - failures[0])) + 1)
            raise ApiError(429, "too_many_attempts", f"try again in {wait} s", {"Retry-After": wait})

    def failed(self, key: str) -> None:
        """Note a failure; the longest-known key is forgotten when there are too many."""
        self._failures.setdefault(key, deque(maxlen=_TRIES)).append(time.monotonic())
        while len(self._failures) > _MAX_WATCHED:
            self._failures.pop(next(iter(self._failures)))


def context_of(request: Request) -> Context:
    """The application's context."""
    context: Context = request.app.state.context
    return context


InContext = Annotated[Context, Depends(context_of)]


def own_page_only(request: Request) -> None:
    """Refuse what another site's page could send with our cookie: it cannot set this header."""
    if request.method not in ("GET", "HEAD", "OPTIONS") and request.headers.get("x-requested-with") != "anju":
        raise ApiError(403, "not_from_our_page", "the header X-Requested-With: anju is needed")


def _open(now: float) -> tuple[ColumnElement[bool], ...]:
    """Sessions that have not ended, of users who may sign in."""
    return sessions.c.user_id == users.c.id, sessions.c.expires_at > now, users.c.disabled_at.is_(None)


async def _user(request: Request, context: InContext) -> dict[str, Any]:
    if request.cookies.get(COOKIE):
        async with context.look() as work:
            row = await work.one(select(users).where(sessions.c.token_hash == session_of(request), *_open(work.now)))
        if row is not None:
            return row
    raise ApiError(401, "not_signed_in", "sign in first")


SignedIn = Annotated[dict[str, Any], Depends(_user)]


def _operator(user: SignedIn) -> Actor:
    if user["role"] not in OPERATORS:
        raise ApiError(403, "wrong_role", f"the role {user['role']} does not permit this")
    return Actor(user["id"], user["name"], area_of_user(user))


Operator = Annotated[Actor, Depends(_operator)]


def area_of_user(user: dict[str, Any]) -> str | None:
    """The only sub-district an operator may see; None: all."""
    return None if user["role"] == "admin" else user["sub_district"]


def _of_the_whole_district(actor: Operator) -> Actor:
    if actor.area is not None:
        raise ApiError(403, "wrong_role", "this is for operators of the whole district")
    return actor


DistrictOperator = Annotated[Actor, Depends(_of_the_whole_district)]


def session_of(request: Request) -> str:
    """The hash by which the request's session is kept; of no cookie, one that no session has."""
    return _hash(request.cookies.get(COOKIE, ""))


async def operators_among(work: Work, token_hashes: Collection[str]) -> dict[str, str | None]:
    """Those of the sessions that are open and an operator's, each with the area the operator may see."""
    rows = await work.all(
        select(sessions.c.token_hash, users.c.role, users.c.sub_district).where(
            sessions.c.token_hash.in_(token_hashes), users.c.role.in_(OPERATORS), *_open(work.now)
        )
    )
    return {row["token_hash"]: area_of_user(row) for row in rows}


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


router = APIRouter(tags=["session"], responses={k: v for k, v in RESPONSES.items() if k in (401, 403, 422)})


@router.post("/sign-in", operation_id="signIn")
async def sign_in(body: SignIn, request: Request, response: Response, context: InContext) -> Me:
    """Sign in; the answer sets the session cookie."""
    guessing: Guessing = request.app.state.guessing
    address = request.client.host if request.client else "?"
    key = f"login:{body.login} from {address}"
    guessing.check(key)
    async with context.look() as work:
        user = await work.one(select(users).where(users.c.login == body.login, users.c.disabled_at.is_(None)))
    if not await asyncio.to_thread(password_matches, user["password_hash"] if user else None, body.password):
        guessing.failed(key)
        raise ApiError(401, "wrong_password", "login or password is wrong")
    assert user is not None
    token = secrets.token_urlsafe(32)
    lifetime = context.config.api.session_hours * 3600
    async with context.work() as work:
        await work.run(delete(sessions).where(sessions.c.expires_at < work.now))
        row = {"token_hash": _hash(token), "user_id": user["id"], "created_at": work.now}
        await work.run(sessions.insert().values(**row, expires_at=work.now + lifetime))
    response.set_cookie(
        COOKIE, token, max_age=int(lifetime), httponly=True, samesite="strict", secure=context.config.api.secure_cookie
    )
    return Me(**user)


@router.post("/sign-out", status_code=204, operation_id="signOut")
async def sign_out(request: Request, response: Response, context: InContext) -> None:
    """End the session; without one this does nothing."""
    async with context.work() as work:
        await work.run(delete(sessions).where(sessions.c.token_hash == session_of(request)))
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=context.config.api.secure_cookie)


@router.get("/me", operation_id="me")
async def me(user: SignedIn) -> Me:
    """Who is signed in."""
    return Me(**user)
