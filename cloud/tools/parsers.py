"""The command lines of these tools, and which function each calls."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cloud.config import CloudConfig
from cloud.tools.gateways import add_gateway_parsers

Tool = Callable[[CloudConfig, argparse.Namespace], Awaitable[int]]

_WHEN = "2026-11-24, 2026-11-24T08:30 (local time of the district) or Unix seconds"


def add_parsers(commands: Any, with_config: argparse.ArgumentParser) -> None:
    """Add the tools to `anju-cloud`."""
    shared = {"parents": [with_config]}
    series = commands.add_parser("timeseries", help="prepare or check the time-series store")
    actions = series.add_subparsers(dest="action", required=True)
    actions.add_parser("init", **shared, help="make databases or buckets and set how long they keep data")
    actions.add_parser("check", **shared, help="say in a line each what is wrong; exit 1 if anything is")

    rollup = commands.add_parser("rollup", help="windows of 15 minutes and one day")
    rebuild = rollup.add_subparsers(dest="action", required=True).add_parser(
        "rebuild", **shared, help="compute everything between two times again"
    )
    rebuild.add_argument("--from", dest="start", required=True, metavar="TIME", help=_WHEN)
    rebuild.add_argument("--to", dest="end", required=True, metavar="TIME", help=_WHEN)

    audit = commands.add_parser("audit", help="prove what has arrived")
    deliveries = audit.add_subparsers(dest="action", required=True).add_parser(
        "deliveries", **shared, help="name every batch that is missing or doubled; exit 1 if any is"
    )
    deliveries.add_argument("--from", dest="start", required=True, metavar="TIME", help=_WHEN)
    deliveries.add_argument("--to", dest="end", required=True, metavar="TIME", help=_WHEN)
    deliveries.add_argument("--home", help="only this home")
    deliveries.add_argument("--json", type=Path, metavar="FILE", help="write the whole result here")

    _quarantine(commands, shared)
    _authority(commands, shared)
    add_gateway_parsers(commands, shared)
    report = commands.add_parser("report", help="figures for the bureau")
    minutes = report.add_subparsers(dest="action", required=True).add_parser(
        "unprotected", **shared, help="minutes without protection of each home in a month, as CSV"
    )
    minutes.add_argument("--month", required=True, metavar="YYYY-MM")
    minutes.add_argument("--output", type=Path, metavar="FILE", help="write to this file (default: print)")


def _quarantine(commands: Any, shared: dict[str, Any]) -> None:
    quarantine = commands.add_parser("quarantine", help="messages that were refused")
    actions = quarantine.add_subparsers(dest="action", required=True)
    listing = actions.add_parser("list", **shared, help="newest first, and how many of each reason")
    listing.add_argument("--gateway")
    listing.add_argument("--reason")
    listing.add_argument("--state", default="held", choices=("held", "replayed", "discarded", "all"))
    listing.add_argument("--limit", type=int, default=50)
    show = actions.add_parser("show", **shared, help="one message with its bytes")
    show.add_argument("id", type=int)
    for name, text in (
        ("replay", "read and store again, after a fix or a change of schema"),
        ("discard", "settle as not wanted, with a reason"),
    ):
        acting = actions.add_parser(name, **shared, help=text)
        acting.add_argument("id", type=int, nargs="*", help="entries (or choose by --gateway, --reason)")
        acting.add_argument("--gateway", help="all held ones of this gateway")
        acting.add_argument("--reason", dest="of_reason", help="all held ones of this reason")
        if name == "discard":
            acting.add_argument("--note", required=True, help="why; kept with the entry")


def _authority(commands: Any, shared: dict[str, Any]) -> None:
    authority = commands.add_parser("ca", help="the district's certificate authority")
    actions = authority.add_subparsers(dest="action", required=True)
    making = actions.add_parser("init", **shared, help="make it, once, in enrolment.ca_dir")
    making.add_argument("--name", default="Anju district authority", help="its common name (default %(default)s)")
    serving = actions.add_parser("broker", **shared, help="key and certificate of the broker")
    serving.add_argument("--host", action="append", required=True, help="name or address; may be repeated")
    serving.add_argument("--output", type=Path, required=True, metavar="DIR")
    actions.add_parser("crl", **shared, help="write the revocation list anew")


def tool_of(options: argparse.Namespace) -> Tool | None:
    """The function of a parsed command; None if it is none of these."""
    from cloud.tools import deliveries, enrolment, gateways, quarantine, reports, rollup, timeseries

    tools: dict[tuple[str, str], Tool] = {
        ("timeseries", "init"): timeseries.init,
        ("timeseries", "check"): timeseries.check,
        ("rollup", "rebuild"): rollup.rebuild,
        ("audit", "deliveries"): deliveries.audit_deliveries,
        ("quarantine", "list"): quarantine.list_held,
        ("quarantine", "show"): quarantine.show,
        ("quarantine", "replay"): quarantine.replay,
        ("quarantine", "discard"): quarantine.discard,
        ("gateway", "configure"): gateways.configure,
        ("gateway", "configurations"): gateways.configurations,
        ("report", "unprotected"): reports.unprotected,
        ("ca", "init"): enrolment.init,
        ("ca", "broker"): enrolment.broker,
        ("ca", "crl"): enrolment.revocations,
        ("gateway", "add"): enrolment.add,
        ("gateway", "revoke"): enrolment.revoke,
        ("gateway", "list"): enrolment.listing,
    }
    return tools.get((options.command, getattr(options, "action", "")))
