"""The API of a small invented district, and an operator who is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from cloud.api.app import build_app
from cloud.config import Notify
from cloud.context import Context
from cloud.timeseries.sqlite import SqliteStore
from tests.support.api import SECRET, client_of
from tests.support.district import PASSWORD, settle


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """The API is the same on either database: the embedded one is enough here."""
    return f"sqlite+aiosqlite:///{tmp_path}/anju.db"


@pytest.fixture
def light_homes() -> int:
    """Homes of the district besides the full one."""
    return 2


@pytest.fixture
async def app(context: Context, store: SqliteStore, tmp_path: Path, light_homes: int) -> FastAPI:
    """The API as a program of its own would serve it."""
    await settle(context, light_homes)
    (tmp_path / "secret").write_text(SECRET)
    notify = Notify(inbound_secret_file=tmp_path / "secret")
    api = context.config.api.model_copy(update={"secure_cookie": False})
    config = context.config.model_copy(update={"notify": notify, "api": api})
    return build_app(Context(config, context.database, context.now), store)


@pytest.fixture
async def operator(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody signed in at the console."""
    async with client_of(app) as client:
        answer = await client.post("/api/v1/sign-in", json={"login": "demo", "password": PASSWORD})
        assert answer.status_code == 200
        yield client
