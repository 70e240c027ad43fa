"""kill -9 of gateway, cloud or a broker at a random moment of a replay; then: is anything lost or doubled?

Each round plays five seconds of a home (a reading every 50 ms, 50 Hz of a wearable with a fall, one press of the SOS
button), kills one process with SIGKILL in between, starts it again, and waits until everything has settled. Lost is a
reading that the home broker accepted and the time series lacks, an SOS without an alarm, an alarm on the gateway's
flash without its incident. Doubled is a value stored twice or otherwise, a second alarm for one press.
"""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import paho.mqtt.client as mqtt

from cloud.timeseries.sqlite import SqliteStore
from firmware_sim.devices import Wearable, pack
from firmware_sim.signals import Activity, Body
from tests.support.chain import Chain, all_accepted, leave, running_chain, wait_for
from tests.support.rounds import finish, options, press

TARGETS = ("gw-demo", "cloud", "cloud-broker", "home-broker-gw-demo")
_PLAY_S = 4.8
_STEP_S = 0.05
_SETTLE_S = 45.0


@dataclass(slots=True)
class Report:
    """What came of all rounds."""

    rounds: int = 0
    readings: int = 0
    alarms: int = 0
    lost: int = 0
    doubled: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    killed: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Round:
    """One round on a running chain."""

    chain: Chain
    seed: int
    sent: dict[int, float] = field(default_factory=dict)
    began: float = 0.0

    def play(self, devices: mqtt.Client, wearable: Wearable) -> str:
        """Play and kill; returns what was killed."""
        rng = random.Random(self.seed)
        target = rng.choice(TARGETS)
        kill_at, back_at = (moment := rng.uniform(0.1, _PLAY_S)), moment + rng.uniform(0.0, 0.6)
        press_at, fall_at = rng.uniform(0.2, _PLAY_S - 0.2), rng.uniform(0.4, 1.0)
        self.began = time.time()
        killed = back = pressed = fell = False
        infos: list[mqtt.MQTTMessageInfo] = []
        step = frames = 0
        while (now := time.time() - self.began) < _PLAY_S or not (back and pressed):
            # To the millisecond, as it is stored: a half would be rounded here one way and at home the other.
            at = round(time.time(), 3)
            value = 60 + rng.randrange(100) / 2
            self.sent[round(at * 1000)] = value
            infos.append(devices.publish(*pack("oximeter-1", at, heart_rate=(value, "beat/min")), qos=1))
            if now >= fall_at and not fell:
                fell = True
                wearable.body.fall()
            if now >= frames * 0.5:
                infos.append(devices.publish(*wearable.frame(at - 0.5, Activity.WALKING), qos=1))
                frames += 1
            if now >= press_at and not pressed:
                pressed = True
                infos += press(devices, "sos-1", at)
            if now >= kill_at and not killed:
                killed = True
                self.chain.kill(target)
            if killed and not back and now >= back_at:
                back = True
                self.chain.spawn(target)
            step += 1
            time.sleep(max(0.0, self.began + step * _STEP_S - time.time()))
        wearable.body.stand_up()
        all_accepted(devices, infos)
        return target

    def judge(self, report: Report) -> None:
        """Wait until everything has settled, then count."""
        lost, doubled, notes = 0, 0, []
        operator = self.chain.operator()
        try:
            wait_for("readings and alarms", lambda: self._settled(operator), _SETTLE_S)
        except TimeoutError:
            notes.append("did not settle")
        stored = self._stored()
        lost += sum(at not in stored for at in self.sent)
        doubled += sum(at in self.sent and stored[at] != self.sent[at] for at in stored)
        doubled += sum(at not in self.sent for at in stored)
        # A fall late in the round may be raised only now: what is on flash by now must arrive, and is waited for.
        reported = self._on_flash()
        try:
            wait_for("alarms on flash", lambda: set(reported) <= self._ids(operator), _SETTLE_S)
        except TimeoutError:
            notes.append("an alarm on flash did not arrive")
        arrived = self._arrived(operator)
        presses = [a for a in arrived if a["kind"] == "sos"]
        lost += not presses
        doubled += max(0, len(presses) - 1)
        lost += len(set(reported) - {a["alarm_id"] for a in arrived})
        ids = [a["alarm_id"] for a in arrived]
        doubled += len(ids) - len(set(ids))
        report.readings += len(self.sent)
        report.alarms += len(arrived)
        report.lost += lost
        report.doubled += doubled
        if lost or doubled or notes:
            report.failed_seeds.append(self.seed)
            report.notes.append(f"seed {self.seed}: lost {lost}, doubled {doubled} {'; '.join(notes)}")
        self._clean_up(operator)

    def _settled(self, operator: Any) -> bool:
        stored = self._stored()
        if any(at not in stored for at in self.sent):
            return False
        try:
            arrived = self._arrived(operator)
        except httpx.HTTPError:
            return False
        ids = {a["alarm_id"] for a in arrived}
        return any(a["kind"] == "sos" for a in arrived) and set(self._on_flash()) <= ids

    def _ids(self, operator: Any) -> set[str]:
        try:
            return {alarm["alarm_id"] for alarm in self._arrived(operator)}
        except httpx.HTTPError:
            return set()

    def _stored(self) -> dict[int, float]:
        async def read() -> dict[int, float]:
            store = SqliteStore(self.chain.folder / "timeseries.db")
            await store.open()
            try:
                series = await store.range(
                    "h-demo", ["heart_rate"], self.began - 0.001, self.began + 60, max_points=100_000
                )
            finally:
                await store.close()
            return {round(t * 1000): float(v) for s in series for t, v in zip(s.at, s.values, strict=True)}

        return asyncio.run(read())

    def _on_flash(self) -> list[str]:
        """Alarms that the gateway has put on flash in this round and that were raised."""
        return [
            event["alarm_id"]
            for event in self.chain.log("gw-demo", "alarm_state")
            if event["changed_at"] >= self.began and event["state"] == "raised"
        ]

    def _arrived(self, operator: Any) -> list[dict[str, Any]]:
        return [
            alarm
            for incident in operator.open_life()
            for alarm in incident["alarms"]
            if alarm["received_at"] >= self.began
        ]

    def _clean_up(self, operator: Any) -> None:
        """Close the incident and wait until the home has heard it, so that the next round starts fresh."""
        before = len(_stood_down(self.chain))
        time.sleep(1.0)  # a fall late in the round is still being asked about
        if operator.close_all():
            wait_for("home stood down", lambda: len(_stood_down(self.chain)) > before, 40)
        operator.close_all()
        operator.leave()


def _stood_down(chain: Chain) -> list[dict[str, Any]]:
    return [event for event in chain.log("gw-demo", "said") if event["phrase"] == "stood_down"]


def run(rounds: int, seed: int, folder: Path) -> Report:
    """Run all rounds on one chain."""
    report = Report()
    with running_chain(folder, question_s=0.5) as chain:
        devices = chain.publisher()
        wearable = Wearable(Body(np.random.default_rng(seed)))
        for i in range(rounds):
            one = Round(chain, seed + i)
            target = one.play(devices, wearable)
            report.killed[target] = report.killed.get(target, 0) + 1
            one.judge(report)
            report.rounds += 1
            print(
                f"round {i + 1}/{rounds} seed {one.seed} {target}: lost {report.lost} doubled {report.doubled}",
                flush=True,
            )
        leave(devices)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `scripts/faults chain`; the exit code is 1 if anything was lost or doubled."""
    chosen = options("chain", "kill -9 at random moments of a replay").parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="anju-faults-") as folder:
        report = run(chosen.rounds, chosen.seed, Path(folder))
    return finish(report, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
