"""Errors as problem+json (RFC 9457) with a stable `code`."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from cloud.incidents.store import ClaimedByOtherError, NotAllowedError, NotFoundError, VersionConflictError
from cloud.timeseries.base import StoreError


class Problem(BaseModel):
    """One error."""

    title: str
    status: int
    code: str
    detail: str = ""


class ApiError(Exception):
    """An error a route decides on."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers


RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": Problem, "description": text, "content": {"application/problem+json": {}}}
    for status, text in (
        (401, "Not signed in"),
        (403, "The role does not permit this"),
        (404, "Not found"),
        (409, "Conflict with the present state"),
        (422, "The request is malformed"),
    )
}
_TITLES = {400: "Bad request", 401: "Unauthorized", 403: "Forbidden", 404: "Not found", 409: "Conflict"}


def _answer(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    problem = Problem(title=_TITLES.get(status, code), status=status, code=code, detail=detail)
    return JSONResponse(problem.model_dump(), status, headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Turn every error into a problem."""

    @app.exception_handler(ApiError)
    async def _own(_: Request, error: ApiError) -> JSONResponse:
        return _answer(error.status, error.code, error.detail, error.headers)

    @app.exception_handler(VersionConflictError)
    async def _version(_: Request, error: VersionConflictError) -> JSONResponse:
        return _answer(409, "version_conflict", str(error))

    @app.exception_handler(ClaimedByOtherError)
    async def _other(_: Request, error: ClaimedByOtherError) -> JSONResponse:
        return _answer(409, "claimed_by_other", str(error))

    @app.exception_handler(NotAllowedError)
    async def _state(_: Request, error: NotAllowedError) -> JSONResponse:
        return _answer(409, "not_allowed", str(error))

    @app.exception_handler(NotFoundError)
    async def _missing(_: Request, error: NotFoundError) -> JSONResponse:
        return _answer(404, "not_found", str(error))

    @app.exception_handler(StoreError)
    async def _store(_: Request, error: StoreError) -> JSONResponse:
        return _answer(503, "time_series_unavailable", str(error)[:300])

    @app.exception_handler(SQLAlchemyError)
    async def _database(_: Request, error: SQLAlchemyError) -> JSONResponse:
        return _answer(503, "database_unavailable", str(error).partition("\n")[0][:200])

    @app.exception_handler(RequestValidationError)
    async def _request(_: Request, error: RequestValidationError) -> JSONResponse:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:10]]
        return _answer(422, "malformed", "; ".join(lines))

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> JSONResponse:
        return _answer(error.status_code, "http_error", str(error.detail), dict(error.headers or {}))
