"""`anju-cloud report unprotected`."""

from __future__ import annotations

import argparse
import csv
import io

from cloud.config import CloudConfig, ConfigError
from cloud.supervision import unprotected as minutes
from cloud.tools.opening import opened_context

COLUMNS = ("home_id", "sub_district", "address", "month", "minutes")


async def unprotected(config: CloudConfig, options: argparse.Namespace) -> int:
    """Write or print the month as CSV."""
    async with opened_context(config) as context, context.look() as look:
        try:
            rows = await minutes.report(look, options.month)
        except ValueError:
            raise ConfigError(f"--month {options.month!r} is not YYYY-MM") from None
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS)
    table.writeheader()
    table.writerows(rows)
    if options.output is None:
        print(out.getvalue(), end="")
    else:
        options.output.write_text(out.getvalue(), encoding="utf-8-sig")
        print(f"{options.output}: {len(rows)} homes")
    return 0
