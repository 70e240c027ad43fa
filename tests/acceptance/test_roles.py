"""Alarms, telemetry, dispatch and API as processes of their own on one database."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from firmware_sim.devices import pack
from tests.support.chain import leave, running_chain, wait_for

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(120)]


def test_each_role_alone(tmp_path: Path) -> None:
    """An alarm goes through four processes to the operator and back to the home."""
    with running_chain(tmp_path, names=("home-broker-gw-demo", "cloud-broker")) as chain:
        whole = chain.commands["cloud"]
        for role in ("alarms", "telemetry", "dispatch", "api"):
            chain.commands[role] = [*whole, role]
            chain.start(role)
        chain.start("gw-demo")
        wait_for("gateway", lambda: chain.log("gw-demo", "home_broker_connected"))
        wait_for("alarms", lambda: chain.log("alarms", "broker_connected"))
        wait_for("telemetry", lambda: chain.log("telemetry", "broker_connected"))
        operator = chain.operator()
        wait_for("api", lambda: operator.try_get("/me"))
        devices = chain.publisher()
        devices.publish(*pack("sos-1", time.time(), sos=True), qos=1)
        (incident,) = wait_for("incident", operator.open_life)
        path = f"/incidents/{incident['id']}"
        wait_for("escalation", lambda: "escalated" in {e["kind"] for e in operator.get(path)["events"]})
        claimed = operator.act(incident["id"], "claim")
        assert (claimed["kind"], claimed["state"], len(claimed["alarms"])) == ("sos", "claimed", 1)
        wait_for("the home hears", lambda: len(chain.log("gw-demo", "said")) >= 3)
        phrases = [event["phrase"] for event in chain.log("gw-demo", "said")]
        assert phrases == ["alarm_raised", "help_received", "operator_claimed"]
        operator.leave()
        leave(devices)
