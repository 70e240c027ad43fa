"""The spool on a real file: numbers, order, restarts, limits."""

from __future__ import annotations

from pathlib import Path

from edge.spool.store import Spool
from protocols.wire import Lane


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Epoch, sequences, messages, readings, open alarms and seen commands are there after the file is opened again."""
    spool = Spool(tmp_path / "spool.db", 10_000_000)
    spool.append_alarm(lambda seq: b"alarm %d" % seq, "a1", b"open")
    spool.add_readings([("bed", "bed_occupied", 1.5, True), ("cuff", "systolic", 2.5, 120.0), ("b", "room", 3.0, "x")])
    assert spool.first_time("c1", 1.0)
    epoch = spool.epoch
    spool.close()
    spool = Spool(tmp_path / "spool.db", 10_000_000)
    assert spool.epoch == epoch
    assert spool.open_alarms() == [b"open"]
    assert not spool.first_time("c1", 2.0)
    drained = spool.drain(10)
    assert drained is not None
    assert [r[3] for r in drained.readings] == [True, 120.0, "x"]
    assert spool.append_batch(Lane.LIVE, lambda seq: b"batch", drained)[0] == 1
    assert spool.drain(10) is None
    assert spool.append_alarm(lambda seq: b"", "a1", None)[0] == 2
    assert spool.open_alarms() == []
    spool.close()


def test_settled_is_gone_and_numbers_go_on(tmp_path: Path) -> None:
    """Settling deletes exactly the acknowledged ranges; a number is never given out twice."""
    spool = Spool(tmp_path / "spool.db", 10_000_000)
    for _ in range(5):
        spool.append_alarm(lambda seq: b"x", "a", None)
    assert spool.settle(Lane.ALARM, [(1, 2), (4, 4)]) == 3
    assert spool.after(Lane.ALARM, 0, 10) == [3, 5]
    spool.settle(Lane.ALARM, [(1, 5)])
    assert spool.append_alarm(lambda seq: b"x", "a", None)[0] == 6
    spool.close()


def test_limit_drops_old_telemetry_never_alarms(tmp_path: Path) -> None:
    """Past the limit the oldest back-log goes first and is counted; alarms stay."""
    spool = Spool(tmp_path / "spool.db", 1_000)
    spool.append_alarm(lambda seq: b"a" * 900, "a", None)
    for _ in range(4):
        spool.add_readings([("bed", "motion", 1.0, True)])
        drained = spool.drain(10)
        assert drained is not None
        spool.append_batch(Lane.BACKLOG, lambda seq: b"b" * 100, drained)
    assert spool.after(Lane.ALARM, 0, 10) == [1]
    assert spool.after(Lane.BACKLOG, 0, 10) == [4]
    assert spool.dropped == 3
    spool.close()
