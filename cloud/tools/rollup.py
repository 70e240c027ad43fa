"""`anju-cloud rollup rebuild`."""

from __future__ import annotations

import argparse
import sys

from cloud.config import CloudConfig
from cloud.rollup.job import RollupJob
from cloud.tools.opening import opened_context, opened_store, parse_span


async def rebuild(config: CloudConfig, options: argparse.Namespace) -> int:
    """Compute all windows between two times again, with progress on stderr."""
    start, end = parse_span(options.start, options.end, config)
    total = 0
    async with opened_context(config) as context, opened_store(config) as store:
        async for share, written in RollupJob(context, store).rebuild(start, end):
            total += written
            print(f"\r{share:4.0%}  {total:,} values", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{total} values written")
    return 0
