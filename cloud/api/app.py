"""The HTTP application: API, event stream, SMS hooks, pages, console."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cloud.api import enrolment, homes, hooks, incidents, pages, platform, problems, sessions, stream
from cloud.api.fanout import Fanout
from cloud.api.models import Health
from cloud.api.sessions import Guessing, own_page_only
from cloud.config import read_secret
from cloud.context import Context
from cloud.db.schema import gateways
from cloud.notify.webhook import secret_key
from cloud.supervision.platform import live_roles
from cloud.timeseries.base import TimeSeriesStore

CONSOLE = Path(__file__).resolve().parents[1] / "web" / "dist"
_MAX_BODY_BYTES = 64 * 1024
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; "
        "form-action 'self'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_DESCRIPTION = """Telecare for elders at home: incidents, homes, people, and a stream of what changes.

Sign in by `POST /api/v1/sign-in`; the session is a cookie. Every request that changes something needs the header
`X-Requested-With: anju`. Errors are problem+json (RFC 9457) with a stable `code`. Times are Unix seconds in UTC.
"""


def build_app(context: Context, store: TimeSeriesStore, fanout: Fanout | None = None) -> FastAPI:
    """The application; `fanout`, which its maker runs, feeds the event streams."""
    app = FastAPI(
        title="Anju", version=version("anju"), description=_DESCRIPTION, docs_url=None, redoc_url=None,
        openapi_url="/api/v1/openapi.json",
    )  # fmt: skip
    app.state.context = context
    app.state.store = store
    app.state.guessing = Guessing()
    app.state.fanout = fanout or Fanout(context)
    secret = context.config.notify.inbound_secret_file
    app.state.inbound_key = secret_key(read_secret(secret)) if secret else None
    problems.install(app)
    api = APIRouter(prefix="/api/v1", dependencies=[Depends(own_page_only)])
    for part in (sessions, incidents, homes, platform, stream, enrolment):
        api.include_router(part.router)
    app.include_router(api)
    app.include_router(hooks.router)
    app.include_router(pages.router)
    app.include_router(_health())
    _console(app)

    @app.middleware("http")
    async def limits(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        length = request.headers.get("content-length", "0")
        if "transfer-encoding" in request.headers and not request.url.path.startswith("/hooks/"):
            length = "unknown"  # the hooks count for themselves what they read
        if not length.isdecimal() or int(length) > _MAX_BODY_BYTES:
            problem = {"title": "Too large", "status": 413, "code": "oversized", "detail": f"at most {_MAX_BODY_BYTES}"}
            return JSONResponse(problem, 413, media_type="application/problem+json")
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        if request.url.path.startswith("/api/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return app


def _health() -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/healthz", operation_id="alive", response_class=PlainTextResponse)
    async def alive() -> str:
        """The process answers."""
        return "ok"

    @router.get("/readyz", operation_id="ready", responses={503: {"model": Health}})
    async def ready(request: Request, response: Response) -> Health:
        """Whether this process can answer: database and time series do, else 503 names which not.

        A role that nobody fills is named, and is no reason to take the console away from its operators.
        """
        found: list[str] = []
        missing: list[str] = []
        context: Context = request.app.state.context
        try:
            async with context.look() as work:
                await work.one(select(gateways.c.id).limit(1))
                missing = sorted({"alarms", "telemetry", "dispatch"} - await live_roles(work))
        except (SQLAlchemyError, OSError) as error:
            found.append(f"database: {str(error).partition(chr(10))[0]}")
        store: TimeSeriesStore = request.app.state.store
        if (problem := await store.check()) is not None:
            found.append(f"time series: {problem}")
        response.status_code = 503 if found else 200
        return Health(ready=not found, problems=found, missing_roles=missing)

    return router


def _console(app: FastAPI) -> None:
    """The built console; without one a line that says so."""
    if (CONSOLE / "assets").is_dir():
        app.mount("/assets", StaticFiles(directory=CONSOLE / "assets"), name="assets")

    @app.get("/", include_in_schema=False, response_model=None)
    async def index() -> Response:
        page = CONSOLE / "index.html"
        if not page.is_file():
            return PlainTextResponse("The console is not built; scripts/bootstrap builds it.\n", 404)
        return FileResponse(page, headers={"Cache-Control": "no-cache"})
