"""The gateway daemon as a process, between two real brokers."""

from __future__ import annotations

import signal
from pathlib import Path

from protocols.wire import AlarmState
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud


def test_sos_survives_kill_and_is_sent_again(tmp_path: Path) -> None:
    """An SOS reaches the cloud despite garbage before it; killed unacknowledged, the gateway sends the same event
    again.
    """
    with home_and_cloud(tmp_path, answers=False) as (gateway, cloud):
        gateway.start()
        gateway.devices.publish("home/v1/sos/senml", b"garbage", 1)
        gateway.press_sos()
        _, first = wait_for("alarm", lambda: cloud.alarms)[0]
        gateway.signal(signal.SIGKILL)
        gateway.wait()
        known = len(cloud.alarms)
        gateway.start()
        _, again = wait_for("alarm again", lambda: cloud.alarms[known:])[0]
        gateway.signal(signal.SIGTERM)
        assert gateway.wait() == 0
        assert [e["topic"] for e in gateway.log("refused")] == ["home/v1/sos/senml"]
    assert first.state is AlarmState.RAISED
    assert (again.alarm_id, again.epoch, again.seq) == (first.alarm_id, first.epoch, first.seq)
