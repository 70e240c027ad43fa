"""Faults around one gateway: whatever breaks, the cloud has exactly what the home broker took, or is told what went.

Each round a sensor that knows the time and one that does not send 20 readings a second, the SOS button is pressed
once, and one or two things are broken meanwhile (gateway_breaks.py), one of them the end of the gateway in
a fall. When all is mended and the spool is empty the cloud's books are compared with what was sent. Lost: a reading or
a press that did not arrive, an alarm reported as on flash that did not, a fall that raised none, a number of a lane
that never came. Doubled: a reading under two times or one that nobody sent, a second alarm for one press or fall, a
number that stood for two messages. Dropped is what the stated policy allows, and only where the gateway has told it: a
piece of a damaged file that cannot be read (`shed` in the status), a time stamp that lies in the gateway's future or
past (refused, in the log).
"""

from __future__ import annotations

import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt

from firmware_sim.devices import pack
from protocols.wire import AlarmKind, Progress, ProgressStage
from tests.faults.gateway_bed import Bed, connected, running_bed
from tests.faults.gateway_breaks import FAULTS, Breaker, draw
from tests.support.chain import all_accepted, wait_for
from tests.support.rounds import finish, options, press

_PLAY_S = 2.4
_STEP_S = 0.05
_SETTLE_S = 60.0
_FALL = "kill_in_a_fall"
_AFRESH = frozenset({"kill_gateway", "restart_home_broker", "damaged_spool", _FALL})
"""Faults after which the home broker delivers again; a sensor without a clock is then stamped anew (docs/gateway.md).
"""
_TIMES = frozenset({"clock_step", "no_time_at_start"})


@dataclass(slots=True)
class Report:
    """What came of all rounds."""

    rounds: int = 0
    readings: int = 0
    alarms: int = 0
    lost: int = 0
    doubled: int = 0
    dropped: int = 0
    restarts: int = 0
    failed_seeds: list[int] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Round:
    """One round on a running bed."""

    bed: Bed
    seed: int
    next_value: int
    faults: list[str]
    sent: dict[tuple[str, float], int] = field(default_factory=dict)
    began: float = 0.0
    log_from: int = 0
    alarms_before: frozenset[str] = frozenset()
    lost: int = 0
    doubled: int = 0
    dropped: int = 0
    alarms: int = 0
    notes: list[str] = field(default_factory=list)

    def play(self) -> None:
        """Send, press and break."""
        rng = random.Random(self.seed)
        self.began, self.log_from = time.time(), self.bed.log_size()
        self.alarms_before = self.bed.cloud.alarm_ids()
        breaker = Breaker(self.bed, random.Random(rng.random()))
        press_at = rng.uniform(0.2, _PLAY_S)
        breaking = threading.Thread(target=self._break, args=(breaker,), daemon=True)
        breaking.start()
        infos: list[mqtt.MQTTMessageInfo] = []
        self.bed.devices.user_data_get().clear()  # message ids begin again after 65,535
        pressed = False
        while (passed := time.time() - self.began) < _PLAY_S or breaking.is_alive() or not pressed:
            at = round(time.time(), 3)
            infos.append(self._measure("light", at))
            infos.append(self._measure("plain", None))
            if passed >= press_at and not pressed:
                pressed = True
                infos += press(self.bed.devices, "sos", at)
            time.sleep(_STEP_S)
        breaking.join()
        all_accepted(self.bed.devices, infos)

    def _break(self, breaker: Breaker) -> None:
        try:
            breaker.run(self.faults, _PLAY_S)
        except Exception as error:  # noqa: BLE001 - the round reports it
            self.notes.append(f"the harness itself failed: {error!r}")

    def _measure(self, device: str, at: float | None) -> mqtt.MQTTMessageInfo:
        value, self.next_value = float(self.next_value), self.next_value + 1
        self.sent[device, value] = round((at or time.time()) * 1000)
        topic, body = pack(device, at or 0.0, illuminance=(value, "lx"))
        return self.bed.devices.publish(topic, body if at else body.replace(b'"bt": 0.0, ', b""), qos=1)

    def settle(self) -> None:
        """Wait until a last reading has gone all the way and nothing waits any more."""
        bed = self.bed
        try:
            wait_for("gateway back, with the time", lambda: connected(bed, the_time=True), _SETTLE_S)
            all_accepted(bed.devices, [self._measure("light", round(time.time(), 3))])
            marker = ("light", float(self.next_value - 1))
            wait_for("last reading", lambda: bed.status() and bed.cloud.has(*marker), _SETTLE_S)
            wait_for("empty spool", self._empty, _SETTLE_S)
        except TimeoutError as error:
            self.notes.append(str(error))
        if bed.traces(self.log_from):
            self.notes.append(f"{bed.traces(self.log_from)} tracebacks in the log")

    def _empty(self) -> bool:
        status = self.bed.status()
        return bool(status) and not any(status["spool"]["depth"].values())

    def judge(self) -> None:
        """Compare the cloud's books with what was sent."""
        log = self.bed.log(self.log_from)
        missing = self._readings()
        refused = sum(e["event"] == "refused" and e["reason"] in ("in_future", "too_old") for e in log)
        told = any(e["event"] == "spool_renewed" for e in log) and self._unreadable_told()
        allowed = missing if told else min(missing, refused)
        self.dropped += allowed
        self.lost += missing - allowed
        self._alarms(log, forgiven=told)
        self._places(renewed=told)

    def _unreadable_told(self) -> bool:
        with self.bed.cloud.lock:
            newest = next((s for s in reversed(self.bed.cloud.books.statuses) if s.spool is not None), None)
        return (
            newest is not None
            and newest.spool is not None
            and any(s.reason == "unreadable" and s.messages for s in newest.spool.shed)
        )

    def _readings(self) -> int:
        """Counts what is doubled; returns how many are missing."""
        with self.bed.cloud.lock:
            found = {key: set(times) for key, times in self.bed.cloud.books.readings.items()}
        missing = [key for key in self.sent if key not in found]
        if missing:
            self.notes.append(f"{len(missing)} readings missing, first {missing[:4]}")
        slack = 5_000 if _TIMES & set(self.faults) else 1
        for key, at in self.sent.items():
            times = found.get(key, set())
            wrong = [t for t in times if abs(t - at) > slack] if key[0] == "light" else []
            stamped_anew = key[0] == "plain" or "no_time_at_start" in self.faults
            again = len(times) > 1 and not (stamped_anew and _AFRESH & set(self.faults))
            if wrong or again:
                self.doubled += 1
                self.notes.append(f"{key} sent {at} stored {sorted(times)}")
        first = min(value for _, value in self.sent)
        foreign = [key for key in found if key[1] >= first and key not in self.sent]
        if foreign:
            self.doubled += len(foreign)
            self.notes.append(f"nobody sent {foreign[:4]}")
        return len(missing)

    def _alarms(self, log: list[dict[str, object]], *, forgiven: bool) -> None:
        arrived = self.bed.cloud.books.alarms
        with self.bed.cloud.lock:
            new = {i: arrived[i][0].kind for i in set(arrived) - self.alarms_before}
            known = {(i, e.state) for i, events in arrived.items() for e in events}
        presses, falls = ({i for i in new if new[i] is kind} for kind in (AlarmKind.SOS, AlarmKind.FALL))
        self.alarms = len(presses) + len(falls)
        if len(presses) != 1 and not (forgiven and not presses):
            self.notes.append(f"{len(presses)} alarms for one press: {sorted(presses)}")
        fell = int(_FALL in self.faults)
        if len(falls) != fell:
            self.notes.append(f"{len(falls)} alarms for {fell} falls: {sorted(falls)}")
        self.doubled += max(0, len(falls) - fell)
        lost = int(not presses) + max(0, fell - len(falls))
        self.doubled += max(0, len(presses) - 1)
        lost += sum(e["event"] == "alarm_state" and (e["alarm_id"], e["state"]) not in known for e in log)
        self.dropped += lost if forgiven else 0
        self.lost += 0 if forgiven else lost

    def _places(self, *, renewed: bool) -> None:
        """Of the present epoch every number given out must have come; no number stands for two messages."""
        status = self.bed.status()
        if status is None:
            self.notes.append("no status")
            return
        with self.bed.cloud.lock:
            books = self.bed.cloud.books
            changed, books.changed_places = books.changed_places, []
            for lane, last in status["last_seq"].items():
                gaps = [n for n in range(1, last + 1) if (status["epoch"], lane, n) not in books.places]
                if gaps and not renewed:
                    self.lost += len(gaps)
                    self.notes.append(f"lane {lane} lacks {gaps[:5]}")
        if changed:
            self.doubled += len(changed)
            self.notes.append(f"numbers that stood for two messages: {changed[:5]}")

    def clean_up(self) -> None:
        """Close the incident at home, so that the next press is a new alarm."""
        bed = self.bed
        command = Progress(1, f"stood-down-{self.seed}-{self.began}", time.time() + 600, "i", ProgressStage.STOOD_DOWN)

        def told() -> bool:
            if not bed.cloud.replied(command.id):
                if _FALL in self.faults:  # it still asks
                    bed.devices.publish(*pack("sos", round(time.time(), 3), button="cancel"), qos=1)
                bed.cloud.command(command)
                time.sleep(0.2)
            bed.tend()
            return bool(bed.cloud.replied(command.id))

        try:
            wait_for("stood down", told, _SETTLE_S)
        except TimeoutError as error:
            self.notes.append(str(error))


def _one(bed: Bed, seed: int, next_value: int, faults: tuple[str, ...], report: Report) -> int:
    """Play one round; returns the next value that nobody has sent."""
    one = Round(bed, seed, next_value, draw(random.Random(seed), faults))
    one.play()
    one.settle()
    one.judge()
    one.clean_up()
    report.rounds += 1
    report.readings += len(one.sent)
    report.alarms += one.alarms
    report.lost += one.lost
    report.doubled += one.doubled
    report.dropped += one.dropped
    report.restarts = bed.restarts
    for fault in one.faults:
        report.faults[fault] = report.faults.get(fault, 0) + 1
    if one.lost or one.doubled or (one.notes and not one.dropped):
        report.failed_seeds.append(seed)
        report.notes.append(f"seed {seed} {'+'.join(one.faults)}: {'; '.join(one.notes)[:1_000]}")
    print(
        f"round {report.rounds} seed {seed} {'+'.join(one.faults)}: lost {one.lost} doubled {one.doubled} "
        f"dropped {one.dropped} in {time.time() - one.began:.1f} s {'; '.join(one.notes)[:400]}",
        file=sys.stderr,
        flush=True,
    )
    return one.next_value


def run(rounds: int, seed: int, folder: Path, only: Sequence[str] | None = None) -> Report:
    """Run all rounds on one bed; round i draws everything from seed + i."""
    report = Report()
    next_value = 1
    with running_bed(folder) as bed:
        faults = tuple(f for f in FAULTS if (only is None or f in only) and (bed.disk is not None or f != "disk_full"))
        if bed.disk is None:
            report.notes.append("disk_full left out: no right to mount a small file system here")
        for i in range(rounds):
            next_value = _one(bed, seed + i, next_value, faults, report)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `scripts/faults gateway`; the exit code is 1 if anything was lost or doubled."""
    parser = options("gateway", "break everything around a gateway")
    parser.add_argument("--only", choices=FAULTS, action="append", help="only these faults (may be repeated)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs and data here")
    chosen = parser.parse_args(arguments)
    print(f"takes about {chosen.rounds * 7 / 60:.0f} minutes", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="anju-faults-") as folder:
        if chosen.keep is not None:
            chosen.keep.mkdir(parents=True, exist_ok=True)
        report = run(chosen.rounds, chosen.seed, chosen.keep or Path(folder), chosen.only)
    return finish(report, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
