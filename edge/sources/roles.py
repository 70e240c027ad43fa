"""What a value means by the role of the device it comes from: a mat that says "motion" means the bed it lies in."""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from edge.readings import DeviceRole, Reading
from protocols.metrics import check_value

MEANS: Final[dict[DeviceRole, dict[str, str]]] = {
    DeviceRole.THERMOMETER: {"temperature": "body_temperature"},
    DeviceRole.BED: dict.fromkeys(("motion", "presence", "at_home", "contact_open"), "bed_occupied"),
    DeviceRole.SEAT: dict.fromkeys(("motion", "bed_occupied", "at_home", "contact_open"), "presence"),
    DeviceRole.PRESENCE: dict.fromkeys(("motion", "at_home"), "presence"),
}
"""Role → metric as the dialect names it → metric that it means. Home Assistant's class `presence` is somebody's being
at home, which no sensor of a room, bed or chair can tell.
"""

_CLOSED_BY_WEIGHT: Final = (DeviceRole.BED, DeviceRole.SEAT)
"""A mat wired to a contact sensor is closed by the weight on it."""

_NOT_LIGHT: Final = (DeviceRole.BED, DeviceRole.SEAT)
"""Tuya's pressure strap reports its raw pressure under the name of light."""


def by_role(one: Reading, role: DeviceRole, offered: Container[str] = ()) -> Reading | None:
    """`one` as the role has it; None: it means nothing here. Raises ProtocolError: it is impossible as that.

    `offered` are the metrics that the device reports besides: a radar that tells presence from motion keeps both.
    """
    if one.metric == "illuminance" and role in _NOT_LIGHT:
        return None
    metric = MEANS.get(role, {}).get(one.metric)
    if metric is None or metric in offered:
        return one
    closed = one.metric == "contact_open" and role in _CLOSED_BY_WEIGHT
    value = check_value(metric, not one.value if closed else one.value, None, f"{one.device}.{metric}")
    return Reading(one.device, metric, one.at, value)
