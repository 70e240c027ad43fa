"""Reads a registry file and puts it into the database, all or nothing; existing entries are updated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Table, select

from cloud.context import Context, Work
from cloud.db import schema
from cloud.db.upsert import upsert
from cloud.registry.gateways import registry_changed
from cloud.registry.models import Registry, Row
from cloud.registry.passwords import hash_password

MAX_FILE_BYTES = 512 * 1024 * 1024


class RegistryError(ValueError):
    """The file cannot be imported; the message has one line per mistake with its place."""


def read_registry(path: Path) -> Registry:
    """Read and check a file. Raises RegistryError."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise RegistryError(f"{path}: larger than {MAX_FILE_BYTES} bytes")
        return Registry.model_validate_json(path.read_bytes())
    except OSError as error:
        raise RegistryError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        lines = [f"{path}: {_place(e['loc'])}: {e['msg']}" for e in error.errors()[:50]]
        raise RegistryError("\n".join(lines)) from None


def _place(loc: Sequence[int | str]) -> str:
    place = ""
    for part in loc:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else part
    return place or "file"


async def import_registry(context: Context, registry: Registry) -> dict[str, int]:
    """Insert or update everything in one transaction; returns how many of each."""
    async with context.work() as work:
        for table, rows in _rows(registry):
            await upsert(work.connection, table, rows)
        await _users(work, registry)
        await registry_changed(work)
    return {name: len(getattr(registry, name)) for name in type(registry).model_fields}


def _rows(registry: Registry) -> list[tuple[Table, list[dict[str, Any]]]]:
    def plain(rows: Sequence[Row]) -> list[dict[str, Any]]:
        return [row.model_dump(mode="json") for row in rows]

    return [
        (schema.homes, plain(registry.homes)),
        (schema.residents, plain(registry.residents)),
        (schema.gateways, plain(registry.gateways)),
        (schema.contacts, plain(registry.contacts)),
        (schema.responders, plain(registry.responders)),
    ]


async def _users(work: Work, registry: Registry) -> None:
    known = {
        row["id"]: row["password_hash"]
        for row in await work.all(select(schema.users.c.id, schema.users.c.password_hash))
    }
    rows = []
    for i, user in enumerate(registry.users):
        row = user.model_dump(exclude={"password"})
        if user.password is None and user.id not in known:
            raise RegistryError(f"users[{i}].password: a new user needs one")
        row["password_hash"] = hash_password(user.password) if user.password is not None else known[user.id]
        rows.append(row)
    await upsert(work.connection, schema.users, rows)
