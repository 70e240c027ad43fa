"""The spool on a real file: numbers, order, restarts, limits."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from edge.spool.schema import LOG_BYTES
from edge.spool.store import MAX_AGE_S, Spool
from protocols.senml import resolve
from protocols.wire import Lane, Shed, decode_telemetry
from tests.support.spool import T, make_batch


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Epoch, sequences, messages, readings, open alarms and seen commands are there after the file is opened again."""
    spool = Spool(tmp_path / "spool.db", 10_000_000)
    spool.append_alarm(lambda _, seq: b"alarm %d" % seq, "a1", b"open")
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
    assert spool.append_batch(Lane.LIVE, lambda _, seq: b"batch", drained)[0] == 1
    assert spool.drain(10) is None
    assert spool.append_alarm(lambda _, seq: b"", "a1", None)[0] == 2
    assert spool.open_alarms() == []
    spool.close()


def test_settled_is_gone_and_numbers_go_on(tmp_path: Path) -> None:
    """Settling deletes exactly the acknowledged ranges; a number is never given out twice."""
    spool = Spool(tmp_path / "spool.db", 10_000_000)
    for _ in range(5):
        spool.append_alarm(lambda _, seq: b"x", "a", None)
    spool.settle(Lane.ALARM, [(1, 2), (4, 4)])
    assert spool.after(Lane.ALARM, 0, 10) == [3, 5]
    spool.settle(Lane.ALARM, [(1, 5)])
    assert spool.append_alarm(lambda _, seq: b"x", "a", None)[0] == 6
    spool.close()


def test_acknowledged_batches_go_with_the_next(tmp_path: Path) -> None:
    """What the cloud has of telemetry is no longer offered, and leaves the file together with the next batch."""
    path = tmp_path / "spool.db"
    spool = Spool(path, 10_000_000)
    _fill(spool, Lane.LIVE, 3)
    spool.settle(Lane.LIVE, [(1, 2)])
    assert spool.body(Lane.LIVE, 2) is None
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM messages").fetchone() == (3,)
        _fill(spool, Lane.LIVE, 1)
        assert db.execute("SELECT seq FROM messages ORDER BY seq").fetchall() == [(3,), (4,)]
    spool.settle(Lane.LIVE, [(3, 3)], "0123456789abcdef")
    assert spool.after(Lane.LIVE, 0, 10) == [3, 4]
    spool.settle(Lane.LIVE, [(3, 4)])
    assert spool.status().depth == {}
    spool.close()


def _fill(spool: Spool, lane: Lane, count: int, start: float = T) -> None:
    """Batches of ten values, five seconds apart."""
    for i in range(count):
        at = start + 5 * i
        spool.add_readings([("oxi", "heart_rate", at + j / 2, 60.0 + (i * 7 + j) % 30) for j in range(10)])
        drained = spool.drain(10)
        assert drained is not None
        spool.append_batch(lane, make_batch(lane, drained, at), drained)


def _readings(spool: Spool, lane: Lane) -> list[tuple[float, float]]:
    found = []
    for seq in spool.after(lane, 0, 10_000):
        batch = decode_telemetry(spool.body(lane, seq) or b"")
        found += [(r.at, r.value) for r in resolve(batch.records, T)]
    return found  # type: ignore[return-value]


def test_no_alarm_waits_until_the_log_is_moved_into_the_file(tmp_path: Path) -> None:
    """However long alarms make the log, it is the next batch, or the housekeeping, that moves it; then it is short."""
    path = tmp_path / "spool.db"
    log = path.with_name("spool.db-wal")
    spool = Spool(path, 100_000_000)
    moves: tuple[Callable[[], None], ...] = (lambda: _fill(spool, Lane.LIVE, 1), lambda: spool.keep_house(None))
    for move in moves:
        before = path.stat().st_size
        while log.stat().st_size < LOG_BYTES + 1_000_000:
            spool.append_alarm(lambda _, seq: b"x" * 300_000, "a", None)
            assert path.stat().st_size == before
        move()
        assert path.stat().st_size > before + 4_000_000
        spool.append_alarm(lambda _, seq: b"x", "a", None)
        assert log.stat().st_size <= LOG_BYTES
    spool.close()


def test_old_backlog_is_thinned_first(tmp_path: Path) -> None:
    """Past the limit of bytes the oldest quarter hours keep minimum, maximum and last; alarms and live batches stay
    whole; what went is told with its time range.
    """
    spool = Spool(tmp_path / "spool.db", 60_000)
    spool.append_alarm(lambda _, seq: b"a" * 5_000, "a", None)
    _fill(spool, Lane.LIVE, 10)
    _fill(spool, Lane.BACKLOG, 200, T)
    status = spool.status()
    assert status.size_bytes <= 60_000
    assert spool.after(Lane.ALARM, 0, 10) == [1]
    assert len(_readings(spool, Lane.LIVE)) == 100
    kept = _readings(spool, Lane.BACKLOG)
    thinned = next(shed for shed in status.shed if shed.reason == "thinned")
    assert len(kept) + thinned.readings == 2_000
    assert T <= thinned.first < thinned.last < T + 1_000
    oldest = [value for at, value in kept if at < T + 320]
    assert min(oldest) == 60.0
    assert max(oldest) == 89.0
    assert kept[-1][0] == T + 5 * 199 + 4.5
    spool.close()


def test_limit_drops_when_nothing_is_left_to_thin(tmp_path: Path) -> None:
    """Where thinning is not enough the oldest back-log goes, then live batches, counted; never an alarm."""
    spool = Spool(tmp_path / "spool.db", 6_000)
    spool.append_alarm(lambda _, seq: b"a" * 5_900, "a", None)
    _fill(spool, Lane.BACKLOG, 3)
    _fill(spool, Lane.LIVE, 3)
    assert spool.after(Lane.ALARM, 0, 10) == [1]
    assert spool.after(Lane.BACKLOG, 0, 10) == []
    assert spool.dropped == 6
    assert spool.last_seq() == {Lane.ALARM: 1, Lane.BACKLOG: 3, Lane.LIVE: 3}
    spool.close()


def test_too_old_for_the_cloud_goes(tmp_path: Path) -> None:
    """After 84 days a batch is taken out and told, while the time is known."""
    spool = Spool(tmp_path / "spool.db", 1_000_000)
    _fill(spool, Lane.BACKLOG, 2)
    spool.keep_house(None)
    spool.keep_house(T + MAX_AGE_S)
    assert len(spool.after(Lane.BACKLOG, 0, 10)) == 2
    spool.keep_house(T + MAX_AGE_S + 60)
    assert spool.status().shed == [Shed("too_old", T, T + 9.5, 2, 20)]
    spool.close()


def test_readings_of_an_unknown_time_keep_to_themselves(tmp_path: Path) -> None:
    """Readings stamped by different runs of the clock never share a batch."""
    spool = Spool(tmp_path / "spool.db", 1_000_000)
    spool.add_readings([("bed", "motion", 1.0, True)], "run-1", 100.0)
    spool.add_readings([("bed", "motion", 2.0, True)])
    first = spool.drain(10)
    assert first is not None
    assert (first.run, first.base, len(first.readings)) == ("run-1", 100.0, 1)
    spool.close()
