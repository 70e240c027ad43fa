"""Faults become technical alarms: one open event per cause, cleared by itself, over restarts too."""

from __future__ import annotations

import random
from pathlib import Path

from edge.clock import Instant
from edge.readings import Device, DeviceRole, Reading
from edge.sources.base import Heard
from edge.supervision.host import Host, judge, look
from edge.supervision.supervisor import DETECTOR_WELL_S, Supervisor
from protocols.errors import ProtocolError, Reason
from protocols.faults import Fault
from protocols.wire import AlarmKind, AlarmState
from tests.support.texts import texts_of

NOW = 1_795_000_000.0
DEVICES = (Device("oxi", DeviceRole.OXIMETER, "bedroom", interval_s=30.0), Device("plug", DeviceRole.SWITCH))


class _Home:
    """A supervisor on a manual clock."""

    def __init__(self) -> None:
        self.host = Host()
        self.broker = True
        self.at = 0.0
        self.supervisor = self.restarted()

    def restarted(self) -> Supervisor:
        return Supervisor(
            DEVICES, lambda: (), lambda: self.host, lambda: self.broker, random.Random(1), Instant(NOW, self.at)
        )

    def after(self, seconds: float, heard: Heard | None = None) -> list[tuple[str, str, AlarmState]]:
        self.at += seconds
        now = Instant(NOW + self.at, self.at)
        if heard is not None:
            self.supervisor.heard(heard, now)
        return [(c.alarm.reason, c.alarm.device, c.alarm.state) for c in self.supervisor.tick(now)]


ALIVE = Heard(alive=frozenset({"oxi", "plug"}))


def test_one_event_per_cause_that_clears_itself() -> None:
    """However long a device is silent, there is one alarm, and one end of it."""
    home = _Home()
    assert home.after(31, ALIVE) == []
    assert home.after(100) == [("sensor_silent", "oxi", AlarmState.RAISED)]
    assert [home.after(60) for _ in range(5)] == [[]] * 5
    assert home.supervisor.alarms.causes == ["sensor_silent:oxi"]
    assert home.after(60, ALIVE) == [("sensor_silent", "oxi", AlarmState.CLEARED)]
    assert home.supervisor.alarms.causes == []


def test_a_failed_detector_is_a_fault_that_ends() -> None:
    """One alarm however often it fails, over a restart too; it is cleared when it has worked for a while."""
    home = _Home()
    home.after(31, ALIVE)
    home.supervisor.detector_failed("oxi", Instant(NOW + home.at, home.at))
    assert home.after(10, ALIVE) == [("detector_failed", "oxi", AlarmState.RAISED)]
    home.supervisor.detector_failed("oxi", Instant(NOW + home.at, home.at))
    assert home.after(10, ALIVE) == []
    assert home.supervisor.alarms.causes == ["detector_failed:oxi"]
    kept = list(home.supervisor.alarms._open.values())
    home.supervisor = home.restarted()
    assert home.supervisor.restore(kept) == []
    assert home.after(31, ALIVE) == []
    assert home.after(DETECTOR_WELL_S, ALIVE) == [("detector_failed", "oxi", AlarmState.CLEARED)]


def test_every_fault_has_its_words() -> None:
    """The console names each cause in both languages."""
    for lang in ("zh", "en"):
        assert {f"cause.{fault}" for fault in Fault} - {*texts_of(lang)} == set()


def test_a_restart_neither_repeats_nor_forgets() -> None:
    """What was open goes on under the same id until the device is heard; a test alarm is none of its business."""
    home = _Home()
    low = Heard((Reading("oxi", "battery", NOW, 4.0),), alive=frozenset({"oxi"}))
    home.after(31, low)
    home.at += 100
    opened = home.supervisor.tick(Instant(NOW + home.at, home.at))
    kept = [c.alarm for c in opened] + list(home.supervisor.alarms._open.values())
    home.supervisor = home.restarted()
    assert home.supervisor.restore(kept) == []
    assert home.after(40) == []
    assert home.supervisor.alarms.causes == ["sensor_battery:oxi", "sensor_battery_low:oxi", "sensor_silent:oxi"]
    full = Heard((Reading("oxi", "battery", NOW, 90.0),), alive=frozenset({"oxi"}))
    assert {state for _, _, state in home.after(40, full)} == {AlarmState.CLEARED}


def test_a_lost_home_broker_is_one_fault() -> None:
    """Without the broker every device is silent: one alarm says so; devices are judged again once it is back."""
    home = _Home()
    home.after(31, ALIVE)
    home.broker = False
    assert home.after(61) == [("home_broker_lost", "gateway", AlarmState.RAISED)]
    assert home.after(3_600) == []
    home.broker = True
    changes = home.after(10, ALIVE)
    assert changes == [("home_broker_lost", "gateway", AlarmState.CLEARED)]


def test_mains_by_a_device() -> None:
    """A plug that reports the loss of mains power stands for the home; its return ends the alarm."""
    home = _Home()
    lost = Heard((Reading("plug", "mains", NOW, False),), alive=ALIVE.alive)
    back = Heard((Reading("plug", "mains", NOW, True),), alive=ALIVE.alive)
    assert home.after(31, lost) == [("mains_lost", "gateway", AlarmState.RAISED)]
    assert home.after(10, back) == [("mains_lost", "gateway", AlarmState.CLEARED)]


def test_refused_values_count_against_their_device() -> None:
    """A value outside all range, in our own dialect or another's, is a sign that its sensor drifts."""
    home = _Home()
    for _ in range(3):
        home.supervisor.refused("home/v1/oxi/senml", ProtocolError(Reason.OUT_OF_RANGE, "records[0]", "x"))
        home.supervisor.refused("zigbee2mqtt/a", ProtocolError(Reason.OUT_OF_RANGE, "zigbee2mqtt.plug.battery", "x"))
        home.supervisor.refused("home/v1/oxi/senml", ProtocolError(Reason.MALFORMED, "pack", "x"))
    assert home.after(31, ALIVE) == [
        ("sensor_implausible", "oxi", AlarmState.RAISED),
        ("sensor_implausible", "plug", AlarmState.RAISED),
    ]


def test_technical_alarms_are_of_their_own_kind() -> None:
    """Never a life alarm's kind or priority: the console must not sound for a flat battery."""
    home = _Home()
    home.after(31, ALIVE)
    home.at += 200
    alarm = home.supervisor.tick(Instant(NOW + home.at, home.at))[0].alarm
    assert (alarm.kind, alarm.priority, alarm.room) == (AlarmKind.TECHNICAL, "low", "bedroom")


def test_host_bands() -> None:
    """Disk, memory and heat have a value at which they are wrong and another at which they are well again."""
    full = judge(Host(disk_free=0.04, memory_free=0.5, temperature=81, mains=True), 0, set())
    assert full == {Fault.DISK_FILLING, Fault.TOO_HOT}
    assert judge(Host(disk_free=0.07, temperature=75), 0, full) == full
    assert judge(Host(disk_free=None, temperature=69), 0, full) == {Fault.DISK_FILLING}
    assert judge(Host(disk_free=0.11), 0, {Fault.DISK_FILLING}) == set()


def test_look_at_a_machine(tmp_path: Path) -> None:
    """Values are read where the machine has them, and are None where it has not."""
    (tmp_path / "thermal/thermal_zone0").mkdir(parents=True)
    (tmp_path / "thermal/thermal_zone0/temp").write_text("51540\n")
    (tmp_path / "power_supply/ups").mkdir(parents=True)
    (tmp_path / "power_supply/ups/type").write_text("Mains\n")
    (tmp_path / "power_supply/ups/online").write_text("0\n")
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemAvailable: 250 kB\n")
    host = look(tmp_path, tmp_path, tmp_path)
    assert (host.temperature, host.memory_free, host.mains) == (51.54, 0.25, False)
    assert host.disk_free is not None
    empty = look(tmp_path / "none", tmp_path / "none", tmp_path / "none")
    assert empty == Host()
