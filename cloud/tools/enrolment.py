"""`anju-cloud ca init|broker|crl` and `anju-cloud gateway add|revoke|list`."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from cloud.config import CloudConfig, ConfigError
from cloud.context import Context
from cloud.enrolment import authority as ca
from cloud.enrolment import service, store
from cloud.enrolment.errors import AuthorityError
from cloud.tools.opening import opened_context


async def init(config: CloudConfig, options: argparse.Namespace) -> int:
    """Make the authority."""
    async with opened_context(config) as context, context.look() as look:
        try:
            made = ca.create(_folder(config), options.name, service.new_serial(look), context.now())
        except AuthorityError as error:
            return _failed(error)
    print(f"{made.folder / ca.KEY}: keep it secret, and a copy of it safe")
    print(f"{made.folder / ca.CERTIFICATE}: for gateways and broker; {made.folder / ca.REVOKED}: for the broker")
    return 0


async def broker(config: CloudConfig, options: argparse.Namespace) -> int:
    """Key and certificate of the broker, signed by the authority."""
    days = config.enrolment.certificate_days
    async with opened_context(config) as context, context.look() as look:
        try:
            authority = ca.load(_folder(config))
        except AuthorityError as error:
            return _failed(error)
        key, certificate = authority.issue_broker(options.host, service.new_serial(look), context.now(), days)
    options.output.mkdir(parents=True, exist_ok=True)
    ca.replace_file(options.output / "broker.key", key.encode(), 0o600)
    ca.replace_file(options.output / "broker.crt", certificate.encode())
    print(f"{options.output / 'broker.crt'}: {', '.join(options.host)}, for {days:g} days")
    return 0


async def revocations(config: CloudConfig, options: argparse.Namespace) -> int:
    """Write the revocation list anew."""
    async with opened_context(config) as context:
        return await _write_list(context, config)


async def add(config: CloudConfig, options: argparse.Namespace) -> int:
    """Register a gateway and print its token."""
    hours = options.hours or config.enrolment.token_hours
    async with opened_context(config) as context:
        try:
            async with context.work() as work:
                token = await service.add(work, options.gateway, options.home, hours * 3_600, _actor())
        except service.GatewayError as error:
            return _failed(error)
    print(token)
    print(f"{options.gateway}: the token is good once, for {hours:g} h. On the device:", file=sys.stderr)
    print(f"  anju-gateway provision --url {config.notify.public_url} --token {token}", file=sys.stderr)
    return 0


async def revoke(config: CloudConfig, options: argparse.Namespace) -> int:
    """Shut a gateway out, and write the revocation list."""
    async with opened_context(config) as context:
        try:
            async with context.work() as work:
                count = await service.revoke(work, options.gateway)
        except service.GatewayError as error:
            return _failed(error)
        print(f"{options.gateway}: revoked, with {count} certificate(s)")
        return await _write_list(context, config) if config.enrolment.ca_dir else 0


async def listing(config: CloudConfig, options: argparse.Namespace) -> int:
    """Every gateway with its home, state and certificate."""
    zone = ZoneInfo(config.supervision.timezone)
    async with opened_context(config) as context, context.look() as look:
        rows = await store.listing(look)
    for row in rows:
        until = row["certificate_until"]
        day = datetime.fromtimestamp(until, zone).date().isoformat() if until is not None else "no certificate"
        state = "revoked" if row["revoked_at"] is not None else "online" if row["online"] else "offline"
        print(f"{row['id']:<24} {row['home_id']:<24} {state:<8} {day}")
    if not rows:
        print("there is no gateway yet")
    return 0


async def _write_list(context: Context, config: CloudConfig) -> int:
    try:
        count = await service.write_revocation_list(context, ca.load(_folder(config)))
    except (AuthorityError, OSError) as error:
        return _failed(error)
    print(f"{_folder(config) / ca.REVOKED}: {count} certificate(s); restart the broker to have it read")
    return 0


def _folder(config: CloudConfig) -> Path:
    if config.enrolment.ca_dir is None:
        raise ConfigError("enrolment.ca_dir: set it to the folder of the authority")
    return config.enrolment.ca_dir


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _failed(error: Exception) -> int:
    print(f"anju-cloud: {error}", file=sys.stderr)
    return 1
