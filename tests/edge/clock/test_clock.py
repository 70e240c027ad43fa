"""The gateway's time without RTC or NTP, over steps, leaps, suspends and restarts."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edge.clock.kept import read_last_known, write_last_known
from edge.clock.system import EARLIEST_PLAUSIBLE, KeptClock
from edge.clock.timeline import CONFIRM_S, HOLDOVER_S, Observed, Step, Timeline
from protocols.wire import Clock

NOW = 1_795_000_000.0


class Machine:
    """Clocks that a test sets."""

    def __init__(self, wall: float, boot: float = 10.0, synced: bool = False) -> None:
        self.wall, self.boot, self.synced = wall, boot, synced

    def __call__(self) -> Observed:
        return Observed(self.wall, self.boot, self.synced)

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


def _run(line: Timeline, wall: float, boot: float, seconds: int) -> list[float]:
    """Observe once a second, synchronised; returns the stamps of each second."""
    stamps = []
    for i in range(1, seconds + 1):
        line.observe(Observed(wall + i, boot + i, True))
        stamps.append(line.wall(boot + i))
    return stamps


def test_1970_starts_at_the_floor() -> None:
    """Without RTC and NTP time begins at the last known one, marked unsynced, and goes on."""
    line = Timeline(NOW, Observed(12.0, 10.0, False))
    assert line.wall(10.0) == NOW
    assert line.wall(70.0) == NOW + 60
    assert line.state(70.0) is Clock.UNSYNCED


def test_first_sync_moves_the_base_once() -> None:
    """The first synchronisation takes the true time at once, by the same amount for every stamp of this run."""
    line = Timeline(NOW, Observed(0.0, 10.0, False))
    before = line.base
    assert line.observe(Observed(NOW + 5_000, 40.0, True)) is Step.FIRST_SYNC
    assert line.wall(40.0) == NOW + 5_000
    assert line.base - before == pytest.approx(4_970.0)
    assert line.state(40.0) is Clock.SYNCED


@pytest.mark.parametrize("off", [-1.0, 1.0])
def test_a_leap_second_is_walked_off(off: float) -> None:
    """A second more or less never makes stamps run backwards and is gone within half a minute."""
    line = Timeline(0.0, Observed(NOW, 10.0, True))
    stamps = _run(line, NOW + off, 10.0, 25)
    assert all(later > earlier for earlier, later in itertools.pairwise(stamps))
    assert stamps[-1] == pytest.approx(NOW + off + 25)
    assert line.steps == 0


@pytest.mark.parametrize("off", [-3_600.0, 3_600.0])
def test_a_step_is_believed_when_it_stands(off: float) -> None:
    """A step that is taken back changes nothing; one that stands synchronised is followed and counted."""
    line = Timeline(0.0, Observed(NOW, 10.0, True))
    assert line.observe(Observed(NOW + 1 + off, 11.0, True)) is Step.DOUBTED
    assert line.observe(Observed(NOW + 2 + off, 12.0, False)) is Step.NONE
    assert line.wall(12.0) == NOW + 2
    stamps = _run(line, NOW + 2 + off, 12.0, int(CONFIRM_S) + 1)
    assert stamps[-2] == NOW + 2 + CONFIRM_S
    assert stamps[-1] == NOW + 2 + off + CONFIRM_S + 1
    assert line.steps == 1


def test_suspend_is_counted() -> None:
    """After eight hours of suspend the stamps are right although NTP has not spoken yet."""
    line = Timeline(0.0, Observed(NOW, 10.0, True))
    line.observe(Observed(NOW + 28_800, 28_810.0, False))
    assert line.wall(28_810.0) == NOW + 28_800


def test_mark_goes_a_day_after_the_last_sync() -> None:
    """Stamps stay known, the mark does not stay for ever."""
    line = Timeline(0.0, Observed(NOW, 0.0, True))
    assert line.state(HOLDOVER_S - 1) is Clock.SYNCED
    assert line.state(HOLDOVER_S + 1) is Clock.UNSYNCED
    assert line.known


def test_time_is_kept_over_a_restart(tmp_path: Path) -> None:
    """A synchronised time is written at most once an hour and is where the next start in 1970 begins."""
    path = tmp_path / "last-time"
    machine = Machine(NOW, synced=True)
    clock = KeptClock(path, machine)
    write = clock.keep()
    assert write is not None
    assert not path.exists()  # that waits for flash, and is done on a thread
    write()
    machine.passes(1_800)
    assert clock.keep() is None
    machine.passes(1_801)
    write = clock.keep()
    assert write is not None
    write()
    again = KeptClock(path, Machine(3.0, 3.0))
    assert again.now().wall == NOW + 3_601
    assert not again.known()


def test_floor_is_not_led_by_an_unsynchronised_clock(tmp_path: Path) -> None:
    """A machine that believes in 2040 still judges certificates by the kept time; a synchronised one has no floor."""
    path = tmp_path / "last-time"
    write_last_known(path, NOW)
    machine = Machine(NOW + 15 * 365 * 86_400)
    clock = KeptClock(path, machine)
    machine.passes(5)
    assert clock.floor() == NOW + 5
    assert clock.keep() is None
    assert read_last_known(path, 0.0) == NOW
    machine.wall, machine.synced = NOW + 60, True
    assert clock.floor() is None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"1795000000 00000000\n", b"nan 7bd4f1c1\n", b"1795000000"])
def test_damaged_file_is_no_time(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in the file, the gateway starts, from the floor."""
    path = tmp_path / "last-time"
    path.write_bytes(content)
    assert read_last_known(path, EARLIEST_PLAUSIBLE) == EARLIEST_PLAUSIBLE
