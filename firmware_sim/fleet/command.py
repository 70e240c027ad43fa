"""`anju-sim fleet`."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import re
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from firmware_sim.fleet.fleet import Fleet, FleetOptions
from firmware_sim.fleet.registry import home_name

_SPARE_FILES = 64
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def _span(text: str) -> float:
    """Seconds of 90, 90s, 15m or 1h."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; write 90, 90s, 15m or 1h")
    return float(found[1]) * _UNITS[found[2] or "s"]


def add_fleet(commands: Any, broker: argparse.ArgumentParser) -> None:
    """Add the command."""
    fleet = commands.add_parser(
        "fleet",
        parents=[broker],
        help="a district over few connections, with exact accounts at the end",
        description="Homes that send ten values a batch by the real protocol, with windows, acknowledgements and "
        "re-sending. At the end the accounts are printed as JSON; the exit code is 1 if anything is unanswered.",
    )
    fleet.add_argument("--homes", type=int, default=1_000)
    fleet.add_argument("--connections", type=int, default=8, help="up to one for each home (default 8)")
    fleet.add_argument("--interval", type=_span, default=10.0, metavar="TIME", help="between batches (default 10s)")
    fleet.add_argument("--duration", type=_span, default=60.0, metavar="TIME", help="default 60s")
    fleet.add_argument("--drain", type=_span, default=120.0, metavar="TIME", help="wait so long for the last answers")
    fleet.add_argument("--outage", type=_span, default=0.0, metavar="TIME", help="start with this outage's back-log")
    fleet.add_argument("--outage-interval", type=_span, default=60.0, metavar="TIME", help="between its batches")
    fleet.add_argument("--alarms", type=float, default=0.0, metavar="RATE", help="alarms a second, of random homes")
    fleet.add_argument("--resend", type=_span, default=15.0, metavar="TIME", help="send again after so long")
    fleet.add_argument("--births", action="store_true", help="every home says that it is online")
    fleet.add_argument("--prefix", default="gw-f", help="gateways are PREFIX000000 … (default gw-f)")
    fleet.add_argument("--alarm-log", type=Path, metavar="FILE", help="write a line HOME TIME for every alarm")
    fleet.add_argument("--json", type=Path, metavar="FILE", help="write the accounts here too")


def run_fleet(options: argparse.Namespace) -> int:
    """Run it; the exit code is 1 if anything is unanswered, 2 for an impossible wish."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE_FILES
    if not 1 <= options.homes <= 1_000_000 or options.interval <= 0:
        print("anju-sim: --homes is 1 to 1000000, --interval more than 0", file=sys.stderr)
        return 2
    if not 1 <= options.connections <= allowed:
        print(f"anju-sim: --connections is 1 to {allowed} here (ulimit -n)", file=sys.stderr)
        return 2
    secret = options.password_file
    fleet = Fleet(
        FleetOptions(
            host=options.host,
            port=options.port,
            username=options.username,
            password=secret.read_text(encoding="utf-8").strip() if secret else None,
            homes=options.homes,
            connections=options.connections,
            interval_s=options.interval,
            duration_s=options.duration,
            drain_s=options.drain,
            backlog=int(options.outage // options.outage_interval),
            backlog_every_s=options.outage_interval,
            alarms_per_s=options.alarms,
            resend_s=options.resend,
            prefix=options.prefix,
            births=options.births,
            seed=options.seed,
        ),
        lambda text: print(text, file=sys.stderr),
    )
    log = options.alarm_log.open("w", encoding="utf-8") if options.alarm_log else None
    if log is not None:
        fleet.on_alarm = lambda home, at: print(home_name(home), at, file=log, flush=True)
    gc.freeze()  # a district's homes are not looked through again and again
    gc.set_threshold(50_000, 20, 50)
    try:
        import uvloop
    except ImportError:
        asyncio.run(_run(fleet))
    else:
        uvloop.run(_run(fleet))
    if log is not None:
        log.close()
    used = resource.getrusage(resource.RUSAGE_SELF)
    report = fleet.accounts.report() | {
        "homes": options.homes,
        "cpu_s": round(used.ru_utime + used.ru_stime, 2),
        "peak_rss_mb": round(used.ru_maxrss / 1024, 1),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 1 if fleet.accounts.missing or report["alarms_missing"] else 0


async def _run(fleet: Fleet) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, fleet.stop.set)
    await fleet.run()
