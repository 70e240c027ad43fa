"""Prometheus on loopback: what is scraped, what the table names and what the documentation lists are the same."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from edge.metrics import FAMILIES, PREFIX
from tests.support.chain import wait_for
from tests.support.gateway import home_and_cloud
from tests.support.mosquitto import free_port


def test_scraped_named_and_documented_are_the_same(tmp_path: Path) -> None:
    """A running gateway that has raised an alarm and refused rubbish shows every metric, with true values."""
    port = free_port()
    with home_and_cloud(tmp_path) as (gateway, cloud):
        text = gateway.path.read_text().replace("[metrics]\nport = 0", f"[metrics]\nport = {port}")
        gateway.path.write_text(text)
        gateway.start()
        gateway.devices.publish("home/v1/sos/senml", b"rubbish", 1)
        gateway.measure(20.0)
        gateway.press_sos()
        wait_for("alarm and batch", lambda: cloud.alarms and cloud.batches)

        def scraped() -> dict[str, dict[tuple[str, ...], float]]:
            body = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
            return {
                family.name: {tuple(s.labels.values()): s.value for s in family.samples}
                for family in text_string_to_metric_families(body)
            }

        def value(name: str, *labels: str) -> float:
            return scraped()[PREFIX + name].get(labels, 0.0)

        wait_for("acknowledged", lambda: value("spool_messages", "alarm") == 0)
        names = set(scraped())
        assert value("alarms_stored") == 1
        assert value("alarm_store_seconds") > 0
        assert value("rejected", "malformed", "unknown") == 1
        assert value("accepted") >= 2
        assert value("uplink_connected") == value("uplink_answering") == value("home_connected") == 1
        assert value("uplink", "sent_alarm") >= 1
        assert value("memory_bytes") > 1e6
        gateway.devices.publish("home/v1/stranger/senml", b'[{"bn":"stranger/","n":"motion","vb":true}]', 1)
        wait_for("stranger", lambda: value("unknown_devices") == 1)
    assert names == {PREFIX + family.name for family in FAMILIES}
    documented = re.findall(rf"^\| `{PREFIX}(\w+)` \|", Path("docs/gateway.md").read_text(encoding="utf-8"), re.M)
    assert documented == [family.name + ("_total" if family.counter else "") for family in FAMILIES]
