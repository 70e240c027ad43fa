"""The gateway as a process in a home whose devices announce themselves: it subscribes to what it learns."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

from protocols.senml import resolve
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud

_MORE = """
[dialects]
tasmota = ["%topic%/%prefix%/"]
[[devices]]
id = "hall"
role = "motion"
source = "homeassistant"
address = "pir-1"
[[devices]]
id = "cellar"
role = "climate"
source = "tasmota"
address = "shed#DS18B20-2"
[[devices]]
id = "attic"
role = "climate"
source = "tasmota"
address = "attic"
"""
_PIR = {"stat_t": "a/pir", "dev_cla": "motion", "off_dly": 0.3, "dev": {"ids": ["pir-1"]}}
_BOARD = {"t": "shed", "ft": "house/%topic%/%prefix%/", "tp": ["cmnd", "stat", "tele"]}
_SENSORS = {"DS18B20-1": {"Temperature": 40}, "DS18B20-2": {"Temperature": 12.5}}
_SAID = (
    (("hall/motion", True), "a/pir", "ON"),
    (("cellar/temperature", 12.5), "house/shed/tele/SENSOR", json.dumps(_SENSORS)),
    (("attic/temperature", 28.5), "attic/tele/SENSOR", json.dumps({"AM2301": {"Temperature": 28.5}})),
)
_FOLLOWS = ("hall/motion", False)


def test_announced_topics_are_subscribed_and_delays_run(tmp_path: Path) -> None:
    """From retained announcements to the cloud: a movement and, by its announced delay, its end; a board at its own
    FullTopic and one at a configured FullTopic.
    """
    with home_and_cloud(tmp_path, more=_MORE) as (gateway, cloud):
        for topic, said in (("homeassistant/binary_sensor/pir", _PIR), ("tasmota/discovery/AABBCC", _BOARD)):
            gateway.devices.publish(f"{topic}/config", json.dumps(said), 1, retain=True).wait_for_publish(10)
        gateway.start()
        wanted = {_FOLLOWS, *(reading for reading, _, _ in _SAID)}

        def all_heard() -> bool:
            heard = {(r.name, r.value) for _, b in list(cloud.batches) for r in resolve(b.records, b.sent)}
            for reading, topic, payload in _SAID:  # the gateway may not have subscribed yet
                if reading not in heard:
                    gateway.devices.publish(topic, payload, 1)
            time.sleep(0.5)  # longer than the announced delay
            return wanted <= heard

        wait_for("every reading", all_heard)
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(20) == 0
