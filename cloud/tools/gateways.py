"""`anju-cloud gateway configure|configurations`: settings for one gateway, and what became of them."""

from __future__ import annotations

import argparse
import sys
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select

from cloud.config import CloudConfig, ConfigError
from cloud.context import Context, Work
from cloud.db.schema import commands, gateways
from cloud.tools.opening import opened_context
from protocols.wire import MAX_MESSAGE_BYTES, Configure, decode_command, encode

_VALID_S = 86_400.0
_SHOWN = 20


def add_gateway_parsers(commands: Any, shared: dict[str, Any]) -> None:
    """Add `gateway` and its actions to `anju-cloud`."""
    gateway = commands.add_parser("gateway", help="gateways: add, revoke, list, and their settings")
    actions = gateway.add_subparsers(dest="action", required=True)
    adding = actions.add_parser("add", **shared, help="register one and print its single-use token")
    adding.add_argument("gateway", metavar="GATEWAY")
    adding.add_argument("--home", required=True)
    adding.add_argument("--hours", type=float, help="how long the token is good (default enrolment.token_hours)")
    revoking = actions.add_parser("revoke", **shared, help="shut one out: certificates, token, ingest")
    revoking.add_argument("gateway", metavar="GATEWAY")
    actions.add_parser("list", **shared, help="every gateway with its home, state and certificate")
    configure = actions.add_parser(
        "configure", **shared, help="run with these settings; the gateway goes back by itself if it cannot reach us"
    )
    configure.add_argument("gateway")
    configure.add_argument(
        "--file", dest="settings", type=Path, required=True, help="TOML with sections of gateway.toml"
    )
    configure.add_argument(
        "--confirm-s", type=float, default=300.0, metavar="S", help="how long it tries to reach us (default 300)"
    )
    listing = actions.add_parser("configurations", **shared, help="what was sent to a gateway and what became of it")
    listing.add_argument("gateway")


async def configure(config: CloudConfig, options: argparse.Namespace) -> int:
    """Queue the command; ingest sends it until the gateway has answered."""
    settings = _read_settings(options.settings)
    async with opened_context(config) as context:
        command = await queue_configuration(context, options.gateway, settings, options.confirm_s)
    print(f"{options.gateway}: version {command.version} waits for it; see anju-cloud gateway configurations")
    return 0


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


async def queue_configuration(
    context: Context, gateway: str, settings: dict[str, Any], confirm_s: float = 300.0
) -> Configure:
    """Write the command's row. The version is the time in seconds, or one more than the last. Raises ConfigError."""
    async with context.work() as work:
        known = await work.one(select(gateways.c.id).where(gateways.c.id == gateway, gateways.c.revoked_at.is_(None)))
        if known is None:
            raise ConfigError(f"{gateway}: no such gateway, or it is revoked")
        last = max((sent.version for _, sent in await _sent(work, gateway)), default=0)
        version = max(int(work.now), last + 1)
        command = Configure(1, work.new_id(), work.now + _VALID_S, version, settings, confirm_s)
        try:
            payload = encode(command)
            decode_command(payload)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"settings: {error} (times must be numbers or texts)") from None
        if len(payload) > MAX_MESSAGE_BYTES:
            raise ConfigError(f"settings: {len(payload)} bytes, at most {MAX_MESSAGE_BYTES}")
        values = {"id": command.id, "gateway_id": gateway, "payload": payload, "state": "waiting"}
        await work.run(commands.insert().values(**values, created_at=work.now, expires_at=command.expires_at))
    return command


async def configurations(config: CloudConfig, options: argparse.Namespace) -> int:
    """Newest first."""
    zone = ZoneInfo(config.supervision.timezone)
    async with opened_context(config) as context, context.look() as look:
        found = (await _sent(look, options.gateway))[:_SHOWN]
    for row, sent in found:
        at = datetime.fromtimestamp(row["created_at"], zone).isoformat(" ", "seconds")
        print(f"{sent.version}  {at}  {row['state']:<8}  {row['detail'] or ''}".rstrip())
    if not found:
        print(f"anju-cloud: nothing was sent to {options.gateway}", file=sys.stderr)
    return 0 if found else 1


async def _sent(look: Work, gateway: str) -> list[tuple[dict[str, Any], Configure]]:
    """Configurations of a gateway with their rows, newest first."""
    rows = await look.all(
        select(commands).where(commands.c.gateway_id == gateway).order_by(commands.c.created_at.desc())
    )
    found = []
    for row in rows:
        if msgspec.json.decode(bytes(row["payload"])).get("kind") == "config":
            command = decode_command(bytes(row["payload"]))
            assert isinstance(command, Configure)
            found.append((row, command))
    return found
