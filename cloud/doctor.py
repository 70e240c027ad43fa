"""Looks at everything the cloud stands on and says what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from cloud.api.app import CONSOLE
from cloud.api.sessions import OPERATORS, area_of_user
from cloud.config import CloudConfig, ConfigError, read_secret
from cloud.context import Context
from cloud.db.engine import Database
from cloud.db.migrate import current_revision, wanted_revision
from cloud.db.schema import homes, users
from cloud.notify.target import TargetError, resolve
from cloud.notify.webhook import secret_key
from cloud.timeseries.base import StoreError
from cloud.timeseries.open import make_store

_TIMEOUT_S = 5.0


async def examine(config: CloudConfig) -> AsyncIterator[tuple[str, str | None]]:
    """Pairs of what was looked at and what is wrong with it (None: nothing)."""
    yield "database", await _database(config)
    yield "operators", await _operators(config)
    yield "time series", await _timeseries(config)
    yield f"broker {config.broker.host}:{config.broker.port}", await _broker(config)
    yield "SMS webhook", await _webhook(config)
    yield "console", None if (CONSOLE / "index.html").is_file() else f"{CONSOLE} is not built"


async def _database(config: CloudConfig) -> str | None:
    database = Database(config.database.url)
    try:
        found = await asyncio.wait_for(current_revision(database), _TIMEOUT_S)
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    finally:
        await database.close()
    wanted = wanted_revision()
    return None if found == wanted else f"is at revision {found}, needed is {wanted}: anju-cloud migrate"


async def _operators(config: CloudConfig) -> str | None:
    """Whether somebody sees the incidents of every sub-district that has homes."""
    database = Database(config.database.url)
    try:
        async with asyncio.timeout(_TIMEOUT_S), Context(config, database).look() as look:
            areas = {row["sub_district"] for row in await look.all(select(homes.c.sub_district).distinct())} - {""}
            who = select(users.c.role, users.c.sub_district).where(users.c.role.in_(OPERATORS))
            seen = {area_of_user(row) for row in await look.all(who.where(users.c.disabled_at.is_(None)))}
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        return str(error).partition("\n")[0] or type(error).__name__
    finally:
        await database.close()
    unseen = set() if None in seen else areas - seen
    return f"nobody sees the incidents of {', '.join(sorted(unseen))}" if unseen else None


async def _timeseries(config: CloudConfig) -> str | None:
    store = None
    try:
        store = make_store(config.timeseries)
        await store.open()
        return await store.check()
    except (StoreError, ConfigError) as error:
        return str(error)
    finally:
        if store is not None:
            await store.close()


async def _broker(config: CloudConfig) -> str | None:
    try:
        connecting = asyncio.open_connection(config.broker.host, config.broker.port)
        _, writer = await asyncio.wait_for(connecting, _TIMEOUT_S)
    except (OSError, TimeoutError) as error:
        return str(error) or "no answer"
    writer.close()
    return None


async def _webhook(config: CloudConfig) -> str | None:
    notify = config.notify
    if notify.sms_url is None:
        return "notify.sms_url is not set: nobody gets an SMS"
    try:
        if notify.secret_file is None:
            return "notify.secret_file is not set"
        secret_key(read_secret(notify.secret_file))
        await resolve(notify.sms_url, allow_private=notify.allow_private_addresses, allowed_hosts=notify.allowed_hosts)
    except (ConfigError, TargetError, OSError) as error:
        return str(error)
    return None
