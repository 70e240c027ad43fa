"""Recorded falls and daily activities through sensors, gateways and cloud: each alarm becomes exactly one incident."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_sim.devices import Wearable
from firmware_sim.recordings import Trial, load_trial, trial_names
from firmware_sim.signals import Activity, Body
from tests.support.chain import Chain, all_accepted, leave, running_chain, wait_for

_SEED = 20_261_124
_EACH = 6
_GATEWAYS = ("gw-n001", "gw-n002", "gw-n003", "gw-n004")
_SPEED = 15.0
_BACK_S = 1_500.0
"""The trials' time stamps begin so long ago, so that played fast they follow each other as they would in life."""
_BETWEEN_S = 30.0


def _choose(folder: Path) -> list[tuple[str, Trial]]:
    """Six falls and six activities of each position, by a fixed seed."""
    rng = random.Random(_SEED)
    chosen: list[tuple[str, Trial]] = []
    for name, device in (("sisfall_50hz_dev", "waist-1"), ("weda_fall_dev", "wrist-1")):
        file = folder / "falls" / f"{name}.npz"
        rows = trial_names(file)
        for is_fall in ("1", "0"):
            fitting = [r["trial"] for r in rows if r["is_fall"] == is_fall and float(r["dur_s"]) < 40]
            chosen += [(device, load_trial(file, trial)) for trial in rng.sample(fitting, _EACH)]
    return chosen


def _replay(chain: Chain, gateway: str, jobs: list[tuple[str, Trial]], table: list[dict[str, Any]]) -> None:
    """Play trials one after another on one home's wearables, faster than life, each with its true time stamps."""
    devices = chain.publisher(gateway)
    wearables = {device: Wearable(Body(np.random.default_rng(5)), device) for device in ("waist-1", "wrist-1")}
    operator = chain.operator()
    home = f"h-{gateway[3:]}"
    start = time.time() - _BACK_S
    for device, trial in jobs:
        seconds = len(trial.samples) / 50 + 8
        began = time.time()
        wearable = wearables[device]
        wearable.body.stand_up()
        infos = []
        for i in range(int(seconds * 2)):
            if i == 4:
                wearable.body.play(trial.samples)
            infos.append(devices.publish(*wearable.frame(start + i * 0.5, Activity.STANDING), qos=1))
            time.sleep(0.5 / _SPEED)
        all_accepted(devices, infos)
        time.sleep(2.0)  # detection, the question of half a second, delivery
        raised = [e for e in chain.log(gateway, "alarm_state") if e["changed_at"] >= began and e["state"] == "raised"]
        if raised:
            wait_for("incident", lambda: [i for i in operator.open_life() if i["home"]["id"] == home], 20)
        incidents = [i for i in operator.open_life() if i["home"]["id"] == home]
        table.append(
            {"device": device, "trial": trial, "raised": [e["alarm_id"] for e in raised], "incidents": incidents}
        )
        start += seconds + _BETWEEN_S
        for incident in incidents:
            before = len(chain.log(gateway, "said"))
            operator.act(incident["id"], "claim")
            operator.act(incident["id"], "close", outcome="test")
            wait_for("stood down", lambda: len(chain.log(gateway, "said")) > before)  # noqa: B023
    operator.leave()
    leave(devices)


@pytest.mark.xdist_group("processes")
@pytest.mark.timeout(400)
def test_each_alarm_becomes_one_incident(recordings: Path, tmp_path: Path) -> None:
    """24 trials on four homes at once; the table is printed, the chain is asserted, not the detector's quality."""
    chosen = _choose(recordings)
    table: list[dict[str, Any]] = []
    with running_chain(tmp_path, question_s=0.5, gateways=_GATEWAYS) as chain:
        threads = [
            threading.Thread(target=_replay, args=(chain, gateway, chosen[i :: len(_GATEWAYS)], table))
            for i, gateway in enumerate(_GATEWAYS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print("\nposition  trial            fall  alarms  incidents")
    for row in sorted(table, key=lambda r: (r["device"], not r["trial"].is_fall, r["trial"].name)):
        alarms, incidents = len(row["raised"]), len(row["incidents"])
        print(
            f"{row['device'][:-2]:8s}  {row['trial'].name:16s} {row['trial'].is_fall!s:5s} {alarms:6d} {incidents:10d}"
        )
    assert len(table) == 4 * _EACH
    for row in table:
        arrived = [alarm["alarm_id"] for incident in row["incidents"] for alarm in incident["alarms"]]
        assert sorted(arrived) == sorted(row["raised"])
        assert len(row["incidents"]) == (1 if row["raised"] else 0)
    assert sum(bool(row["raised"]) for row in table) >= _EACH
