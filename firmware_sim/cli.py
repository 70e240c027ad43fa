"""`anju-sim`: simulated homes, neighbourhoods and phones; recordings; an invented registry."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from firmware_sim.demo.registry import make_registry
from firmware_sim.fleet.command import add_fleet, run_fleet
from firmware_sim.fleet.registry import fleet_registry
from firmware_sim.home import COMMANDS, HomeOptions, SimulatedHome, print_event, read_orders
from firmware_sim.recordings import RecordingError, load_trial, parse_trial, trial_names

_EXAMPLES = f"""examples:
  anju-sim home --port 1883 --fall-after 120
  anju-sim replay falls.npz:F01_SA01_R01 --port 1883
  anju-sim neighbourhood --port 1884 --homes 50 --interval 10
  anju-sim fleet --port 1884 --homes 103000 --interval 10 --connections 32 --duration 600 --alarms 2
  anju-sim phones --port 8090 --secret-file out.secret --inbound-secret-file in.secret --cloud-url http://127.0.0.1:8080
  anju-sim registry --homes 50 --output district.json
  anju-sim registry --fleet 103000 --output district.json

A home reads orders from its standard input, one a line: {COMMANDS}
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anju-sim",
        description="Simulated homes, people and phones for trying Anju.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("anju"))
    commands = parser.add_subparsers(dest="command", required=True)
    broker = argparse.ArgumentParser(add_help=False)
    broker.add_argument("--host", default="127.0.0.1", help="the broker (default 127.0.0.1)")
    broker.add_argument("--port", type=int, default=1883, help="its port (default 1883)")
    broker.add_argument("--username")
    broker.add_argument("--password-file", type=Path)
    broker.add_argument("--seed", type=int, default=1, help="the same seed plays the same (default 1)")

    home = commands.add_parser("home", parents=[broker], help="one full home with all sensors on a home broker")
    home.add_argument("--fall-after", type=float, metavar="SECONDS", help="fall by itself after so long")
    home.add_argument("--recording", metavar="FILE:TRIAL", help="the fall is this trial of a recording")
    home.add_argument("--room", help="stay in this room instead of following the day plan")
    home.add_argument("--lat", type=float, default=22.576)
    home.add_argument("--lon", type=float, default=114.048)
    replay = commands.add_parser(
        "replay", parents=[broker], help="play one trial of a recording on the wristband, then end"
    )
    replay.add_argument("trial", metavar="FILE:TRIAL", help="FILE.npz:TRIAL, or FILE.npz: to list the trials")
    near = commands.add_parser("neighbourhood", parents=[broker], help="light homes that speak the cloud protocol")
    near.add_argument("--homes", type=int, default=50)
    near.add_argument("--prefix", default="gw-n", help="gateways are PREFIX001 … (default gw-n)")
    near.add_argument("--interval", type=float, default=10.0, metavar="SECONDS", help="between batches (default 10)")
    near.add_argument("--sos-per-hour", type=float, default=0.0, help="alarms per home and hour (default none)")
    add_fleet(commands, broker)
    phones = commands.add_parser("phones", help="the phone network: SMS webhook, phones' page, answers")
    phones.add_argument("--host", default="127.0.0.1")
    phones.add_argument("--port", type=int, default=8090)
    phones.add_argument("--secret-file", type=Path, required=True, help="the cloud signs with it")
    phones.add_argument("--inbound-secret-file", type=Path, required=True, help="answers are signed with it")
    phones.add_argument("--cloud-url", required=True)
    phones.add_argument("--names-file", type=Path, help="JSON object: number to name")
    registry = commands.add_parser("registry", help="an invented district as a registry file")
    registry.add_argument("--homes", type=int, default=50, help="light homes beside the full one (default 50)")
    registry.add_argument("--fleet", type=int, metavar="N", help="instead: N homes with gateways only, for `fleet`")
    registry.add_argument("--output", type=Path, help="write to this file (default: print)")
    registry.add_argument("--password", help="password of the invented accounts (default: none is set)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code (2: an argument is wrong, 1: it cannot run)."""
    options = _parser().parse_args(arguments)
    try:
        if options.command in ("home", "replay"):
            return _home(options)
        if options.command == "neighbourhood":
            return asyncio.run(_neighbourhood(options))
        if options.command == "fleet":
            return run_fleet(options)
        if options.command == "phones":
            return _phones(options)
        return _registry(options)
    except RecordingError as error:
        print(f"anju-sim: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"anju-sim: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _secret(path: Path | None) -> str | None:
    return path.read_text(encoding="utf-8").strip() if path is not None else None


def _home(options: argparse.Namespace) -> int:
    replaying = options.command == "replay"
    text = options.trial if replaying else options.recording
    if replaying and text.endswith(".npz:"):
        for row in trial_names(Path(text[:-1])):
            print(row["trial"])
        return 0
    trial = load_trial(*parse_trial(text)) if text is not None else None
    settings = HomeOptions(
        host=options.host,
        port=options.port,
        username=options.username,
        password=_secret(options.password_file),
        seed=options.seed,
        trial=trial,
    )
    if replaying:
        settings.fall_after_s = 1.0
    else:
        settings.lat, settings.lon = options.lat, options.lon
        settings.fall_after_s, settings.room = options.fall_after, options.room
    home = SimulatedHome(settings, print_event)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: home.stop.set())
    if replaying and trial is not None:
        home.stop_after_s = 1.0 + 2.0 + len(trial.samples) / 50 + 3.0
    else:
        read_orders(home, sys.stdin)
    home.run()
    return 0


async def _neighbourhood(options: argparse.Namespace) -> int:
    from firmware_sim.neighbourhood import NeighbourhoodOptions, run_neighbourhood

    settings = NeighbourhoodOptions(
        host=options.host,
        port=options.port,
        homes=options.homes,
        prefix=options.prefix,
        password=_secret(options.password_file),
        interval_s=options.interval,
        sos_per_hour=options.sos_per_hour,
        seed=options.seed,
    )
    counts: Counter[str] = Counter()
    task = asyncio.create_task(run_neighbourhood(settings, counts))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    print(json.dumps(counts))
    return 0


def _phones(options: argparse.Namespace) -> int:
    import uvicorn

    from firmware_sim.phones.app import build_app
    from firmware_sim.phones.network import PhoneNetwork

    network = PhoneNetwork(
        _secret(options.secret_file) or "", _secret(options.inbound_secret_file) or "", options.cloud_url
    )
    names = json.loads(options.names_file.read_text(encoding="utf-8")) if options.names_file else {}
    uvicorn.run(build_app(network, names), host=options.host, port=options.port, log_level="warning", lifespan="off")
    return 0


def _registry(options: argparse.Namespace) -> int:
    made = fleet_registry(options.fleet) if options.fleet else make_registry(options.homes, options.password)
    text = json.dumps(made, ensure_ascii=False, indent=1) + "\n"
    if options.output is None:
        print(text, end="")
    else:
        options.output.write_text(text, encoding="utf-8")
        print(f"{options.output}: {len(made['homes'])} homes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
