"""No room at every point at which the spool writes: each call is done whole or not at all, and the next one works."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from edge.spool.errors import SpoolFull
from edge.spool.store import Drained, Spool
from protocols.wire import Lane
from tests.support.spool import T, alarm_id, make_alarm, make_batch

_SECTOR = 512


@contextmanager
def _files_end_at(size: int) -> Iterator[None]:
    """No file of this process can be written beyond `size` bytes: the kernel refuses, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        with capture_logs():  # pytest's own files are files as well
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _rows(count: int, first: int = 0) -> list[tuple[str, str, float, float]]:
    return [("oxi", "heart_rate", T + n, 60.0 + n % 40) for n in range(first, first + count)]


def _batch(spool: Spool, lane: Lane = Lane.BACKLOG) -> None:
    drained = Drained(0, tuple(_rows(100)))
    spool.append_batch(lane, make_batch(lane, drained), drained)


def _settle(spool: Spool) -> None:
    spool.settle(Lane.BACKLOG, [(1, 2)])
    _batch(spool)


CALLS: dict[str, Callable[[Spool], object]] = {
    "readings": lambda spool: spool.add_readings(_rows(200)),
    "batch": _batch,
    "settle": _settle,
    "command": lambda spool: spool.first_time("c-1", T),
    "forget": lambda spool: spool.forget_alarms([alarm_id(1)]),
}


def _content(spool: Spool) -> tuple[object, ...]:
    messages = {lane: {s: spool.body(lane, s) for s in spool.after(lane, 0, 1_000)} for lane in Lane}
    drained = spool.drain(10_000)
    return messages, spool.last_seq(), None if drained is None else len(drained.readings), spool.open_alarms()


@pytest.mark.parametrize("name", CALLS)
def test_refused_whole_at_every_write(tmp_path: Path, name: str) -> None:
    """From no room at all, sector by sector, to room enough."""
    path = tmp_path / "spool.db"
    spool = Spool(path, 10_000_000, reserve_bytes=4096)
    spool.append_alarm(make_alarm(1), alarm_id(1), b"open")
    for _ in range(3):
        _batch(spool)
    wal = path.with_name("spool.db-wal")
    start = wal.stat().st_size // _SECTOR * _SECTOR
    refused = 0
    while True:
        before, size = _content(spool), spool.status().size_bytes
        try:
            with _files_end_at(start + refused * _SECTOR):
                CALLS[name](spool)
        except SpoolFull:
            refused += 1
        else:
            break
        assert spool.renewed == 0
        assert _without_settled(_content(spool)) == _without_settled(before)
        assert spool.status().size_bytes <= size
    assert refused > 4
    after = _content(spool)
    spool.append_alarm(make_alarm(9), alarm_id(9), None)
    spool.settle(Lane.ALARM, [(spool.last_seq()[Lane.ALARM],) * 2])
    spool.close()
    again = Spool(path, 10_000_000, reserve_bytes=4096)
    assert again.renewed == 0
    assert _content(again)[0] == after[0]
    again.close()


def test_an_alarm_costs_telemetry_before_it_is_refused(tmp_path: Path) -> None:
    """Where no file can grow any more an alarm is stored in the room of the oldest batches, or refused whole."""
    path = tmp_path / "spool.db"
    spool = Spool(path, 10_000_000, reserve_bytes=4096)
    for _ in range(20):
        _batch(spool)
    stored = []
    room = path.with_name("spool.db-wal").stat().st_size
    for number in range(12):
        with _files_end_at(room * number // 10):
            try:
                stored.append(spool.append_alarm(make_alarm(number), alarm_id(number), None)[0])
            except SpoolFull:
                assert number < 10  # the batches themselves do not fit any more
    assert len(stored) >= 2
    assert spool.after(Lane.ALARM, 0, 100) == stored
    shed = spool.status().shed
    assert len(spool.after(Lane.BACKLOG, 0, 100)) + sum(one.messages for one in shed) == 20
    spool.close()


def _without_settled(content: tuple[object, ...]) -> tuple[object, ...]:
    """Batches 1 and 2 are the ones that `settle` lets go of: deleted with the batch, or when there is room again."""
    messages, *rest = content
    assert isinstance(messages, dict)
    left = {lane: {s: b for s, b in held.items() if lane != "backlog" or s > 2} for lane, held in messages.items()}
    return left, *rest
