"""Rows of tokens and certificates: every SQL statement of enrolment."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update

from cloud.context import Work
from cloud.db.schema import certificates, enrolment_tokens, gateways, homes


async def home_exists(work: Work, home: str) -> bool:
    """Whether there is such a home."""
    return await work.one(select(homes.c.id).where(homes.c.id == home)) is not None


async def gateway(work: Work, name: str) -> dict[str, Any] | None:
    """A gateway's home and when it was revoked."""
    return await work.one(select(gateways.c.id, gateways.c.home_id, gateways.c.revoked_at).where(gateways.c.id == name))


async def put_gateway(work: Work, name: str, home: str, *, known: bool) -> None:
    """Insert a gateway, or take a revoked one back."""
    if known:
        await work.run(update(gateways).where(gateways.c.id == name).values(home_id=home, revoked_at=None))
    else:
        await work.run(gateways.insert().values(id=name, home_id=home, online=False))


async def end_tokens(work: Work, name: str) -> int:
    """Unused tokens of a gateway are worth nothing from now on."""
    token = enrolment_tokens.c
    unused = (token.gateway_id == name) & token.used_at.is_(None) & (token.expires_at > work.now)
    return await work.run(update(enrolment_tokens).where(unused).values(expires_at=work.now))


async def add_token(work: Work, name: str, token_hash: str, expires_at: float, by: str) -> None:
    """A new token."""
    row = {"token_hash": token_hash, "gateway_id": name, "created_at": work.now, "created_by": by}
    await work.run(enrolment_tokens.insert().values(**row, expires_at=expires_at))


async def use_token(work: Work, token_hash: str, key: str) -> bool:
    """Use up a token that is good; of two that try at once one wins."""
    token = enrolment_tokens.c
    good = (token.token_hash == token_hash) & token.used_at.is_(None) & (token.expires_at > work.now)
    return await work.run(update(enrolment_tokens).where(good).values(used_at=work.now, used_key=key)) == 1


async def token(work: Work, token_hash: str) -> dict[str, Any] | None:
    """A token, good or not."""
    return await work.one(select(enrolment_tokens).where(enrolment_tokens.c.token_hash == token_hash))


async def add_certificate(work: Work, serial: int, name: str, key: str, pem: str, expires_at: float) -> None:
    """A certificate that was issued."""
    row = {"serial": f"{serial:x}", "gateway_id": name, "key_hash": key, "pem": pem, "issued_at": work.now}
    await work.run(certificates.insert().values(**row, expires_at=expires_at))


async def certificate(work: Work, serial: int) -> dict[str, Any] | None:
    """An issued certificate by its serial number."""
    return await work.one(select(certificates).where(certificates.c.serial == f"{serial:x}"))


async def certificate_of_key(work: Work, name: str, key: str) -> dict[str, Any] | None:
    """The newest certificate of a gateway for this key that is still good."""
    column = certificates.c
    good = (column.gateway_id == name) & (column.key_hash == key) & column.revoked_at.is_(None)
    return await work.one(
        select(certificates).where(good & (column.expires_at > work.now)).order_by(column.issued_at.desc()).limit(1)
    )


async def revoke(work: Work, name: str) -> int:
    """Revoke a gateway and all its certificates; returns how many certificates were good until now."""
    await work.run(
        update(gateways).where((gateways.c.id == name) & gateways.c.revoked_at.is_(None)).values(revoked_at=work.now)
    )
    column = certificates.c
    good = (column.gateway_id == name) & column.revoked_at.is_(None)
    return await work.run(update(certificates).where(good).values(revoked_at=work.now))


async def revoked(work: Work) -> list[tuple[int, float]]:
    """(serial, revoked at) of every certificate that would otherwise still be good."""
    column = certificates.c
    rows = await work.all(
        select(column.serial, column.revoked_at)
        .where(column.revoked_at.is_not(None) & (column.expires_at > work.now))
        .order_by(column.revoked_at, column.serial)
    )
    return [(int(row["serial"], 16), row["revoked_at"]) for row in rows]


async def listing(work: Work) -> list[dict[str, Any]]:
    """Every gateway with its home, state and the latest expiry of a good certificate."""
    column = certificates.c
    until = (
        select(func.max(column.expires_at))
        .where((column.gateway_id == gateways.c.id) & column.revoked_at.is_(None))
        .scalar_subquery()
    )
    fields = (gateways.c.id, gateways.c.home_id, gateways.c.online, gateways.c.last_seen_at, gateways.c.revoked_at)
    return await work.all(select(*fields, until.label("certificate_until")).order_by(gateways.c.id))
