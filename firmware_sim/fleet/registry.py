"""The registry of an invented district of any size: homes and gateways only, spread over ten sub-districts."""

from __future__ import annotations

import math
from typing import Any

SUB_DISTRICTS = (
    "yuanling", "nanyuan", "futian", "shatou", "meilin", "huafu", "xiangmihu", "lianhua", "huaqiangbei", "fubao"
)  # fmt: skip
_CENTRE = (22.55, 114.05)
_STEP = 0.00021


def gateway_name(index: int, prefix: str = "gw-f") -> str:
    """Name of the `index`-th gateway, from 0."""
    return f"{prefix}{index:06d}"


def home_name(index: int) -> str:
    """Name of the home it stands in."""
    return f"h-f{index:06d}"


def fleet_registry(homes: int, prefix: str = "gw-f") -> dict[str, Any]:
    """A registry file's content for `homes` homes; neighbours by number live near each other."""
    side = max(1, math.isqrt(homes))
    rows: list[dict[str, Any]] = []
    gateways: list[dict[str, Any]] = []
    for i in range(homes):
        area = i * len(SUB_DISTRICTS) // homes
        rows.append(
            {
                "id": home_name(i),
                "sub_district": SUB_DISTRICTS[area],
                "address": f"虚构{i // 100 + 1} 栋 {i % 100 + 1} 室",
                "lat": round(_CENTRE[0] + (i // side) * _STEP, 6),
                "lon": round(_CENTRE[1] + (i % side) * _STEP, 6),
            }
        )
        gateways.append({"id": gateway_name(i, prefix), "home_id": home_name(i)})
    return {"homes": rows, "gateways": gateways}
