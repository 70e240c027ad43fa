"""`anju-gateway`: run the gateway daemon, check its configuration, ask a running one how it is."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiomqtt

from edge import config, daemon
from edge.health import SOCKET_NAME, version
from edge.uplink.connection import ADVICE, Cause

_EXAMPLES = """examples:
  anju-gateway provision --url https://anju.example --token TOKEN
  anju-gateway check-config --config /etc/anju/gateway.toml
  anju-gateway run --config /etc/anju/gateway.toml
  anju-gateway status --config /etc/anju/gateway.toml --json
"""
_NO_ANSWER = "the ingest of the cloud is away, or the broker's access list keeps its answers from this gateway"
DEFAULT_CONFIG = Path("/etc/anju/gateway.toml")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code (2: the configuration is wrong, 1: it cannot run)."""
    parser = argparse.ArgumentParser(
        prog="anju-gateway",
        description="The gateway in the home: sensors, detection, alarms, delivery.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version())
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("run", "run the daemon until Ctrl-C or SIGTERM"),
        ("check-config", "say what is wrong with the configuration, one line per mistake"),
        ("status", "ask the running daemon how it is"),
        ("devices", "listen on the home broker and list the devices"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help=f"default {DEFAULT_CONFIG}")
        if name == "devices":
            command.add_argument("--discover", action="store_true", help="write a draft of [[devices]]")
            command.add_argument("--seconds", type=float, default=5.0, help="how long to listen (default 5)")
        if name == "status":
            command.add_argument("--json", action="store_true", help="print everything as JSON")
    _add_provision(commands)
    options = parser.parse_args(arguments)
    if options.command == "provision":
        from edge.provisioning import command as provision  # the daemon never needs it

        return provision.run(options)
    try:
        loaded = config.load(options.config)
    except config.ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    if options.command == "check-config":
        print(f"{options.config}: good ({len(loaded.devices)} devices)")
        return 0
    if options.command == "devices":
        return _devices(loaded, options.seconds, options.discover)
    if options.command == "status":
        return _status(loaded, options.json)
    return daemon.main(options.config)


def _add_provision(commands: Any) -> None:
    parser = commands.add_parser(
        "provision",
        help="make a key and get a certificate for a token",
        description="Make this device a gateway: a key made here, a certificate from the district, a configuration.",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT_CONFIG, help="written if it is not there yet")
    parser.add_argument("--url", required=True, help="address of the cloud, https://…")
    parser.add_argument("--token", help="single-use token of `anju-cloud gateway add` (default: read from stdin)")
    parser.add_argument("--ca", type=Path, metavar="FILE", help="authority of the address, if the system has it not")
    parser.add_argument("--data-dir", type=Path, default=Path("/var/lib/anju-gateway"), help="default %(default)s")


def _devices(loaded: config.GatewayConfig, seconds: float, discover: bool) -> int:
    from edge.devices import listen  # the daemon never needs it

    broker = loaded.home_broker
    try:
        print(listen.report(loaded, seconds, discover=discover), end="" if discover else "\n")
    except (aiomqtt.MqttError, OSError) as error:
        print(f"anju-gateway: no home broker at {broker.host}:{broker.port}: {error}", file=sys.stderr)
        return 1
    return 0


def _status(loaded: config.GatewayConfig, as_json: bool) -> int:
    path = loaded.gateway.data_dir / SOCKET_NAME
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(path))
            chunks = list(iter(lambda: connection.recv(65_536), b""))
    except OSError as error:
        print(f"anju-gateway: no daemon answers at {path}: {error}", file=sys.stderr)
        return 1
    report = json.loads(b"".join(chunks))
    print(json.dumps(report, indent=2, ensure_ascii=False) if as_json else _readable(report))
    return 0


def _readable(report: dict[str, Any]) -> str:
    waiting = ", ".join(f"{lane} {n}" for lane, n in report["spool"]["depth"].items()) or "nothing"
    uplink = report["uplink"]
    trouble = uplink["trouble"]
    why = "" if trouble is None else f": {trouble} ({uplink['detail']})\n               {ADVICE[Cause(trouble)]}"
    if trouble is None and not report["cloud_answering"]:
        why = f"\n               {_NO_ANSWER}"
    lines = [
        f"cloud          {'connected' if report['cloud_connected'] else 'not connected'}"
        f"{'' if report['cloud_answering'] else ', not answering'}{why}",
        f"home broker    {'connected' if report['home_broker_connected'] else 'not connected'}",
        f"clock          {report['clock']}",
        f"in the spool   {waiting} ({report['spool']['size_bytes']} bytes, {report['spool']['dropped']} dropped)",
        f"configuration  {_configuration(report['config'])}",
        f"accepted       {report['accepted']}, refused {sum(report['rejected'].values())}",
    ]
    for sensor in report["sensors"]:
        heard = "never heard" if sensor["last_at"] is None else f"heard {time.time() - sensor['last_at']:.0f} s ago"
        lines.append(f"  {sensor['device']:<20} {heard}")
    lines += [f"  {device:<20} unknown, {n} messages" for device, n in report["unknown_devices"].items()]
    return "\n".join(lines)


def _configuration(remote: dict[str, Any]) -> str:
    if remote.get("version") is None:
        return "the local file"
    trying = "" if remote["trying_since"] is None else ", on trial"
    return f"the local file and version {remote['version']} of the cloud{trying}"


if __name__ == "__main__":
    sys.exit(main())
