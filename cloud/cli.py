"""`anju-cloud`: run the cloud, prepare its database, import the registry, look what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
import logging
import sys
from collections.abc import Collection, Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from cloud.config import CloudConfig, ConfigError, load
from cloud.registry.importer import RegistryError
from cloud.roles import ROLES, TOGETHER, expand, place
from cloud.timeseries.base import StoreError
from cloud.tools.parsers import add_parsers, tool_of

_EXAMPLES = """examples:
  anju-cloud migrate --config /etc/anju/cloud.toml
  anju-cloud registry import district.json
  anju-cloud user add --id li --login li --name 李娜 --role operator --sub-district lianhua
  anju-cloud doctor
  anju-cloud run
  anju-cloud run ingest dispatch
  anju-cloud run telemetry
  anju-cloud timeseries check
  anju-cloud audit deliveries --from 2026-11-01 --to 2026-11-02
  anju-cloud quarantine list --reason out_of_range
  anju-cloud rollup rebuild --from 2026-11-01 --to 2026-11-02
  anju-cloud gateway add gw-0001 --home h-0001
  anju-cloud gateway configure gw-1 --file settings.toml
  anju-cloud report unprotected --month 2026-11 --output november.csv
"""
DEFAULT_CONFIG = Path("/etc/anju/cloud.toml")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anju-cloud",
        description="The cloud: ingest, incidents, dispatch, console.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("anju"))
    commands = parser.add_subparsers(dest="command", required=True)
    with_config = argparse.ArgumentParser(add_help=False)
    with_config.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help=f"default {DEFAULT_CONFIG}")

    run = commands.add_parser("run", parents=[with_config], help="run until Ctrl-C or SIGTERM")
    run.add_argument(
        "roles",
        nargs="*",
        metavar="ROLE",
        help="alarms, telemetry (together: ingest), dispatch, api (default: all of them)",
    )
    run.add_argument(
        "--metrics-port",
        type=int,
        metavar="PORT",
        help="instead of metrics.port plus 0, 1, 2, 3 for alarms, telemetry, dispatch, api; 0 is off",
    )
    run.add_argument("--migrate", action="store_true", help="bring the database to this version's schema first")
    commands.add_parser("migrate", parents=[with_config], help="bring the database to this version's schema")
    commands.add_parser("doctor", parents=[with_config], help="say what is wrong; exit 1 if anything is")
    registry = commands.add_parser("registry", help="homes, residents, gateways, contacts, responders, users")
    actions = registry.add_subparsers(dest="action", required=True)
    importing = actions.add_parser("import", parents=[with_config], help="insert or update everything in a JSON file")
    importing.add_argument("file", type=Path)
    user = commands.add_parser("user", help="accounts")
    adding = user.add_subparsers(dest="action", required=True).add_parser(
        "add", parents=[with_config], help="add or change an account; the password is asked for or read from stdin"
    )
    for name in ("id", "login", "name", "role"):
        adding.add_argument(f"--{name}", required=True)
    adding.add_argument("--lang", default="zh", choices=("zh", "en"))
    adding.add_argument("--phone", default="")
    adding.add_argument("--sub-district", help="the only one this operator or supervisor sees; without it they see all")
    add_parsers(commands, with_config)
    openapi = commands.add_parser("openapi", help="print the API's OpenAPI description")
    openapi.add_argument("--output", type=Path, help="write to this file instead")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code (2: the configuration is wrong, 1: it cannot run)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "openapi":
            return _openapi(options.output)
        return _with_config(options, load(options.config))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    except (RegistryError, StoreError, OSError) as error:
        print(f"anju-cloud: {error}", file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        print(f"anju-cloud: database: {str(error).partition(chr(10))[0]}", file=sys.stderr)
        return 1


def _with_config(options: argparse.Namespace, config: CloudConfig) -> int:
    if options.command == "run":
        return _run_roles(options, config)
    if options.command == "migrate":
        return asyncio.run(_migrate(config))
    if options.command == "doctor":
        return asyncio.run(_doctor(config))
    if options.command == "registry":
        return asyncio.run(_import(config, options.file))
    tool = tool_of(options)
    if tool is not None:
        return asyncio.run(tool(config, options))  # type: ignore[arg-type]
    return asyncio.run(_add_user(config, options))


def _run_roles(options: argparse.Namespace, config: CloudConfig) -> int:
    from cloud.app import run  # the web stack is not needed by the other commands

    try:
        roles = expand(options.roles)
    except ValueError as error:
        there_is = ", ".join((*ROLES, *TOGETHER))
        print(f"anju-cloud: there is no role {str(error)!r}; there is: {there_is}", file=sys.stderr)
        return 2
    config = with_metrics_port(config, roles, options.metrics_port)
    log_to_stderr(config)
    if options.migrate:
        asyncio.run(_migrate(config))
    try:
        _run(run(config, roles))
    except ExceptionGroup as group:
        mine, rest = group.split((OSError, ConfigError))
        if rest is not None or mine is None:
            raise
        print(f"anju-cloud: {mine.exceptions[0]}", file=sys.stderr)
        return 1
    return 0


def with_metrics_port(config: CloudConfig, roles: Collection[str], wanted: int | None) -> CloudConfig:
    """The configuration for a process of these roles: one file serves several processes on a machine."""
    if wanted is None:
        wanted = config.metrics.port and config.metrics.port + place(roles)
    if not 0 <= wanted <= 65_535:
        raise ConfigError(f"--metrics-port: {wanted} is no port")
    return config.model_copy(update={"metrics": config.metrics.model_copy(update={"port": wanted})})


def _run(job: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(job)
    else:
        uvloop.run(job)


def log_to_stderr(config: CloudConfig) -> None:
    """Structured lines on stderr."""
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if config.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(key="ts", utc=True, fmt=None if config.log_format == "json" else "iso"),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, config.log_level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


async def _migrate(config: CloudConfig) -> int:
    from cloud.db.engine import Database
    from cloud.db.migrate import upgrade

    database = Database(config.database.url)
    try:
        before, now = await upgrade(database)
    finally:
        await database.close()
    print(f"database: {before or 'empty'} → {now}" if before != now else f"database: already at {now}")
    return 0


async def _doctor(config: CloudConfig) -> int:
    from cloud.doctor import examine

    wrong = 0
    async for what, problem in examine(config):
        print(f"{'ok ' if problem is None else 'BAD'}  {what}{'' if problem is None else ': ' + problem}")
        wrong += problem is not None
    return 1 if wrong else 0


async def _import(config: CloudConfig, file: Path) -> int:
    from cloud.context import Context
    from cloud.db.engine import Database
    from cloud.registry.importer import import_registry, read_registry

    context = Context(config, Database(config.database.url))
    try:
        counts = await import_registry(context, read_registry(file))
    finally:
        await context.database.close()
    print(f"{file}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    return 0


async def _add_user(config: CloudConfig, options: argparse.Namespace) -> int:
    from cloud.context import Context
    from cloud.db.engine import Database
    from cloud.registry.importer import import_registry
    from cloud.registry.models import Registry

    password = getpass.getpass("password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    fields = ("id", "login", "name", "role", "lang", "phone", "sub_district")
    user = {name: getattr(options, name) for name in fields} | {"password": password}
    try:
        registry = Registry.model_validate({"users": [user]})
    except ValidationError as error:
        for entry in error.errors():
            place = ".".join(map(str, entry["loc"][2:])) or "user"
            print(f"anju-cloud: {place}: {entry['msg']}", file=sys.stderr)
        return 1
    context = Context(config, Database(config.database.url))
    try:
        await import_registry(context, registry)
    finally:
        await context.database.close()
    print(f"{options.login}: {options.role}, {options.sub_district or 'whole district'}")
    return 0


def _openapi(output: Path | None) -> int:
    from cloud.api.app import build_app
    from cloud.context import Context
    from cloud.db.engine import Database
    from cloud.timeseries.sqlite import SqliteStore

    config = CloudConfig()
    app = build_app(Context(config, Database("sqlite+aiosqlite://")), SqliteStore(Path("unused")))
    text = json.dumps(app.openapi(), indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
