"""`anju-cloud audit deliveries`."""

from __future__ import annotations

import argparse
import json

from cloud.config import CloudConfig
from cloud.ingest.audit import audit
from cloud.tools.opening import opened_store, parse_span

_SHOWN = 50


async def audit_deliveries(config: CloudConfig, options: argparse.Namespace) -> int:
    """Print what is missing or doubled; 1 if anything is."""
    start, end = parse_span(options.start, options.end, config)
    async with opened_store(config) as store:
        found = await audit(store, start, end, options.home)
    if options.json is not None:
        options.json.write_text(json.dumps(found.report(), indent=1) + "\n", encoding="utf-8")
    print(
        f"{found.batches:,} batches of {found.gateways:,} gateways: "
        f"{found.missing_count:,} missing, {found.doubled_count:,} doubled"
    )
    lines = [
        f"missing  {home} {gateway} {epoch} {lane}: " + ", ".join(f"{a}-{b}" if b > a else str(a) for a, b in ranges)
        for (home, gateway, epoch, lane), ranges in sorted(found.missing.items())
    ]
    lines += [
        f"doubled  {home} {gateway} {epoch} {lane}: " + ", ".join(map(str, sequences))
        for (home, gateway, epoch, lane), sequences in sorted(found.doubled.items())
    ]
    for line in lines[:_SHOWN]:
        print(line)
    if len(lines) > _SHOWN:
        print(f"… and {len(lines) - _SHOWN} more (--json writes all)")
    return 1 if lines else 0
