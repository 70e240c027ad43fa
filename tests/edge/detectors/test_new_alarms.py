"""A phone beyond the fence and a fall that a radar sees: from the home broker to the cloud, by a real gateway."""

from __future__ import annotations

import json
import time
from pathlib import Path

from protocols.wire import AlarmKind, AlarmState, Priority
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud

_MORE = """
[resident]
risks = ["dementia"]
[[location.fences]]
name = "home"
lat = 22.5431
lon = 114.0579
radius_m = 200
[[devices]]
id = "phone"
role = "gps"
source = "owntracks"
address = "li/phone"
[[devices]]
id = "radar"
role = "presence"
room = "bathroom"
"""


def test_exit_with_position_and_fall_by_radar(tmp_path: Path) -> None:
    """The exit is high for a resident with dementia and says where; the fall asks first."""
    with home_and_cloud(tmp_path, more=_MORE) as (gateway, cloud):
        gateway.start()
        begin = int(time.time()) - 400
        for i in range(40):
            fix = {"_type": "location", "tst": begin + 10 * i, "lat": 22.5431, "lon": 114.0579 + 0.0002 * i, "acc": 12}
            gateway.devices.publish("owntracks/li/phone", json.dumps(fix), 1)
        fell = b'[{"bn":"radar/","n":"fall_detected","vb":true}]'
        gateway.devices.publish("home/v1/radar/senml", fell, 1)
        wait_for("both alarms", lambda: {AlarmKind.GEOFENCE, AlarmKind.FALL} <= {a.kind for _, a in cloud.alarms})
        left = next(a for _, a in cloud.alarms if a.kind is AlarmKind.GEOFENCE)
        assert (left.state, left.priority, left.device) == (AlarmState.RAISED, Priority.HIGH, "phone")
        assert left.position is not None
        assert left.position.lon > 114.0579 + 200 / 102_750
        fall = next(a for _, a in cloud.alarms if a.kind is AlarmKind.FALL)
        assert (fall.state, fall.reason, fall.room) == (AlarmState.PENDING, "radar_reports_fall", "bathroom")
