"""`anju-cloud quarantine list|show|replay|discard`."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections import Counter
from datetime import datetime
from zoneinfo import ZoneInfo

from cloud.config import CloudConfig
from cloud.context import Context
from cloud.ingest import quarantine
from cloud.ingest.replay import replay as replay_entries
from cloud.tools.opening import opened_context, opened_store

_MOST = 100_000
_SHOWN = 20


async def list_held(config: CloudConfig, options: argparse.Namespace) -> int:
    """Newest first, then the sums."""
    zone = ZoneInfo(config.supervision.timezone)
    async with opened_context(config) as context, context.look() as look:
        rows = await quarantine.held(
            look, state=options.state, gateway=options.gateway, reason=options.reason, limit=options.limit
        )
        sums = await quarantine.summary(look)
    for row in rows:
        at = datetime.fromtimestamp(row["received_at"], zone).isoformat(" ", "seconds")
        print(f"{row['id']:>8}  {at}  {row['state']:<9}  {row['reason']:<16}  {row['topic'][:60]}")
        print(f"{'':>8}  {row['detail'][:140]}")
    for row in sums:
        print(f"held: {row['count']:>6} {row['reason']} ({row['bytes'] or 0:,} bytes)")
    if not sums:
        print("nothing is held")
    return 0


async def show(config: CloudConfig, options: argparse.Namespace) -> int:
    """One entry; its bytes as text where they are text."""
    async with opened_context(config) as context, context.look() as look:
        row = await quarantine.show(look, options.id)
    if row is None:
        print(f"anju-cloud: there is no entry {options.id}", file=sys.stderr)
        return 1
    payload = bytes(row.pop("payload"))
    for key, value in row.items():
        print(f"{key:<12} {value}")
    print("payload      " + payload.decode("utf-8", "backslashreplace"))
    return 0


async def replay(config: CloudConfig, options: argparse.Namespace) -> int:
    """Try entries again; 1 if any still cannot be taken."""
    async with opened_context(config) as context, opened_store(config) as store:
        ids = await _chosen(context, options)
        result = await replay_entries(context, store, ids, f"cli:{getpass.getuser()}")
    print(f"{len(result.replayed)} replayed, {len(result.refused)} still refused")
    for reason, count in Counter(error.reason for error in result.refused.values()).most_common():
        print(f"still refused: {count:>6} {reason}")
    for entry, error in list(result.refused.items())[:_SHOWN]:
        print(f"{entry:>8}  {error.reason}: {error}")
    return 1 if result.refused else 0


async def discard(config: CloudConfig, options: argparse.Namespace) -> int:
    """Settle entries as not wanted."""
    async with opened_context(config) as context:
        ids = await _chosen(context, options)
        async with context.work() as work:
            count = await quarantine.discard(work, ids, options.note, f"cli:{getpass.getuser()}")
    print(f"{count} discarded")
    return 0


async def _chosen(context: Context, options: argparse.Namespace) -> list[int]:
    if options.id or (options.gateway is None and options.of_reason is None):
        return list(options.id)
    async with context.look() as look:
        rows = await quarantine.held(look, gateway=options.gateway, reason=options.of_reason, limit=_MOST)
    return [row["id"] for row in rows]
