"""The file of the detectors' memories: replaced whole, and a bad one costs a fresh start and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.detectors.facade import Detectors, Listed
from edge.memory import ASIDE_NAME, FILE_NAME, URGENT_NAME, DetectorMemory
from edge.readings import Device, DeviceRole, Reading
from edge.supervision.devices import DeviceSupervision
from tests.edge.detectors.test_facade import Counting


def _memory(folder: Path) -> tuple[Detectors, DetectorMemory]:
    detectors = Detectors([Listed("counting", Counting)])
    return detectors, DetectorMemory(folder, detectors)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """A second run begins with the first one's memory; saving the same again writes nothing."""
    detectors, memory = _memory(tmp_path)
    detectors.on_reading(Reading("a", "spo2", 0.0, 96.0), 0.0)
    assert memory.save(memory.take())
    assert memory.save(memory.take())
    assert memory.counts == {"saved": 1, "unchanged": 1}
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[]", b'{"v":9,"detectors":{}}', b"[" * 5000])
def test_unreadable_file_is_put_aside(tmp_path: Path, body: bytes) -> None:
    """What is no state, or one of newer software, is kept aside, counted, and the detectors start fresh."""
    (tmp_path / FILE_NAME).write_bytes(body)
    detectors, memory = _memory(tmp_path)
    memory.load()
    assert memory.counts["unreadable"] == 1
    assert (tmp_path / ASIDE_NAME).read_bytes() == body
    assert detectors.state()["detectors"]["counting"]["seen"] == 0
    assert memory.save(memory.take())


def test_the_rhythm_of_the_devices_is_kept_with_them(tmp_path: Path) -> None:
    """What supervision learned comes back; a file of older software has none, a broken part is put aside."""
    watched = [DeviceSupervision([Device("pir", DeviceRole.MOTION)], dict, 0.0) for _ in range(3)]
    for n in range(9):
        watched[0].heard("pir", 60.0 * n)
    detectors, older = _memory(tmp_path)
    older.save(older.take())
    memory = DetectorMemory(tmp_path, detectors, watched[0])
    memory.load()
    memory.save(memory.take())
    DetectorMemory(tmp_path, detectors, watched[1]).load()
    assert watched[1].state() == watched[0].state()
    (tmp_path / FILE_NAME).write_bytes(b'{"v":1,"detectors":{},"supervision":[]}')
    broken = DetectorMemory(tmp_path, detectors, watched[2])
    broken.load()
    assert broken.counts["refused"] == 1
    assert b'"supervision"' in (tmp_path / ASIDE_NAME).read_bytes()


def test_refused_part_is_put_aside(tmp_path: Path) -> None:
    """The part of newer software is kept aside, the rest is taken up."""
    (tmp_path / FILE_NAME).write_bytes(b'{"v":1,"detectors":{"counting":{"v":2}}}')
    _, memory = _memory(tmp_path)
    memory.load()
    assert memory.counts["refused"] == 1
    assert b'"counting"' in (tmp_path / ASIDE_NAME).read_bytes()


def test_power_cut_while_writing_leaves_the_old(tmp_path: Path) -> None:
    """A half-written new file beside the old one is not looked at."""
    detectors, memory = _memory(tmp_path)
    detectors.on_reading(Reading("a", "spo2", 0.0, 96.0), 0.0)
    memory.save(memory.take())
    (tmp_path / "detectors.new").write_bytes(b'{"v":1,"det')
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 1


def test_no_room_is_said(tmp_path: Path) -> None:
    """A folder that cannot be written to is counted and stops nothing."""
    _, memory = _memory(tmp_path / "not-there")
    memory.load()
    assert not memory.save(memory.take())
    assert memory.counts["not_saved"] == 1


def test_what_is_urgent_is_kept_beside_the_memory(tmp_path: Path) -> None:
    """It is taken up after the memory that it follows; once the memory is saved anew it counts no more."""
    detectors, memory = _memory(tmp_path)
    memory.save(memory.take())
    detectors.on_reading(Reading("a", "spo2", 0.0, 96.0), 0.0)
    assert memory.save_urgent(memory.take_urgent({"counting"}))
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 1
    assert restarted.counts["urgent_restored"] == 1
    detectors.on_reading(Reading("a", "spo2", 1.0, 96.0), 1.0)
    memory.save(memory.take())
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 2
    assert restarted.counts["urgent_restored"] == 0


def test_what_is_urgent_needs_no_memory(tmp_path: Path) -> None:
    """A gateway that lost its power in its first minutes; what is judged is gone."""
    detectors, memory = _memory(tmp_path)
    detectors.on_reading(Reading("a", "spo2", 0.0, 96.0), 0.0)
    memory.save_urgent(memory.take_urgent({"counting", "not_there"}))
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 1
    memory.drop_urgent()
    memory.drop_urgent()
    assert list(tmp_path.iterdir()) == []


def test_an_unreadable_urgent_file_costs_nothing_else(tmp_path: Path) -> None:
    """The memory is taken up, the file put aside."""
    detectors, memory = _memory(tmp_path)
    detectors.on_reading(Reading("a", "spo2", 0.0, 96.0), 0.0)
    memory.save(memory.take())
    (tmp_path / URGENT_NAME).write_bytes(b"{")
    again, restarted = _memory(tmp_path)
    restarted.load()
    assert again.state()["detectors"]["counting"]["seen"] == 1
    assert (tmp_path / ASIDE_NAME).read_bytes() == b"{"
