"""A spool whose file is damaged, whose disk is full, or whose file comes from an older version."""

from __future__ import annotations

import io
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from edge.spool.errors import SpoolFull
from edge.spool.schema import STEPS
from edge.spool.store import Spool
from protocols.wire import Lane, decode_alarm, decode_telemetry
from tests.support.spool import T, alarm_id, make_alarm, make_batch

OLD = Path(__file__).parent / "old"


def _add_batch(spool: Spool, number: int, lane: Lane = Lane.BACKLOG) -> None:
    spool.add_readings([("oxi", "heart_rate", T + number, 60.0), ("oxi", "spo2", T + number, 97.0)])
    drained = spool.drain(10)
    assert drained is not None
    spool.append_batch(lane, make_batch(lane, drained), drained)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed spool with 20 alarms and 60 batches, to copy from."""
    path = tmp_path_factory.mktemp("filled") / "spool.db"
    spool = Spool(path, 10_000_000, reserve_bytes=65_536)
    for i in range(20):
        spool.append_alarm(make_alarm(i), alarm_id(i), b"open %d" % i)
    for i in range(60):
        _add_batch(spool, i)
    spool.close()
    return path


@pytest.fixture
def path(tmp_path: Path, filled: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(filled, tmp_path / "spool.db"))


def _epoch(path: Path) -> str:
    with closing(sqlite3.connect(path)) as db:
        return str(db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0])


def _alarms(spool: Spool) -> set[str]:
    return {decode_alarm(spool.body(Lane.ALARM, s) or b"").alarm_id for s in spool.after(Lane.ALARM, 0, 1_000)}


def _check_places(spool: Spool) -> None:
    """Every message names the epoch and sequence under which it is stored."""
    for seq in spool.after(Lane.ALARM, 0, 1_000):
        alarm = decode_alarm(spool.body(Lane.ALARM, seq) or b"")
        assert (alarm.epoch, alarm.seq) == (spool.epoch, seq)
    for seq in spool.after(Lane.BACKLOG, 0, 1_000):
        batch = decode_telemetry(spool.body(Lane.BACKLOG, seq) or b"")
        assert (batch.epoch, batch.seq) == (spool.epoch, seq)


def _aside(path: Path) -> list[Path]:
    return sorted(p for p in path.parent.glob("spool.db.corrupt-*") if p.suffix != "-wal")


def test_garbage_is_set_aside_by_name(tmp_path: Path) -> None:
    """A file that is no database at all keeps its content under another name; a new epoch begins."""
    path = tmp_path / "spool.db"
    path.write_bytes(b"no database at all" * 1_000)
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 1
    assert [p.read_bytes()[:18] for p in _aside(path)] == [b"no database at all"]
    assert spool.append_alarm(make_alarm(1), alarm_id(1), None)[0] == 1
    spool.close()


def test_lost_first_page_loses_nothing(path: Path) -> None:
    """With its first page overwritten all alarms, open alarms and batches move into the new epoch."""
    old = _epoch(path)
    with path.open("r+b") as file:
        file.write(os.urandom(4096))
    spool = Spool(path, 10_000_000)
    assert spool.epoch != old
    assert _alarms(spool) == {alarm_id(i) for i in range(20)}
    assert len(spool.open_alarms()) == 20
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 60
    _check_places(spool)
    spool.close()


@pytest.mark.parametrize(
    ("written", "flipped"),
    [
        (b"device TEXT", b"devicf TEXT"),
        (b"at REAL", b"at VEAL"),
        (b"value BLOB", b"value BLOF"),
        (b"last INT", b"last HNT"),
    ],
)
def test_tables_that_changed_their_words_lose_nothing(path: Path, written: bytes, flipped: bytes) -> None:
    """SQLite still understands them, and would keep values by other rules: the file gets its own words back."""
    data = path.read_bytes()
    assert written in data[:4096]
    path.write_bytes(data[:4096].replace(written, flipped) + data[4096:])
    spool = Spool(path, 10_000_000)
    assert len(_aside(path)) == 1
    assert _alarms(spool) == {alarm_id(i) for i in range(20)}
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 60
    _check_places(spool)
    assert not spool.status().shed
    spool.close()


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_never_stops_it(path: Path, seed: int) -> None:
    """Pages overwritten or the end cut off: the spool opens or replaces itself, everything in it is whole, and it
    takes new alarms.
    """
    rng = random.Random(seed)
    size = path.stat().st_size
    with path.open("r+b") as file:
        if seed % 3 == 0:
            file.truncate(rng.randrange(1, size))
        for _ in range(1 + seed % 3):
            file.seek(rng.randrange(size // 4096) * 4096)
            file.write(rng.randbytes(4096))
    spool = Spool(path, 10_000_000)
    _check_places(spool)
    seq, _ = spool.append_alarm(make_alarm(999), alarm_id(999), None)
    assert alarm_id(999) in _alarms(spool)
    assert seq == max(spool.after(Lane.ALARM, 0, 1_000))
    if spool.renewed:
        assert _aside(path)
    spool.close()


def test_damage_found_while_running(path: Path) -> None:
    """The very alarm that hits the damage is stored, under a new epoch, together with what could be read."""
    old = _epoch(path)
    spool = Spool(path, 10_000_000)
    with closing(sqlite3.connect(path)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sequences'").fetchone()[0]
        with db:
            db.execute("INSERT INTO meta VALUES ('other', '1')")  # what the spool has in memory is out of date
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek((root - 1) * 4096)
        file.write(b"\xee" * 4096)
    seq, body = spool.append_alarm(make_alarm(500), alarm_id(500), b"open")
    assert spool.renewed == 1
    assert spool.epoch != old
    assert (decode_alarm(body).epoch, decode_alarm(body).seq) == (spool.epoch, seq)
    assert _alarms(spool) == {alarm_id(i) for i in (*range(20), 500)}
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 60
    _check_places(spool)
    spool.close()


def _flip(path: Path, place: int, bit: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ (1 << bit)]))


def test_a_flipped_bit_in_a_value_is_never_sent(path: Path) -> None:
    """SQLite finds such a file in order; the message is not sent with a wrong value but counted as unreadable."""
    body = path.read_bytes()
    _flip(path, body.index(b'"v":60.0') + 4)  # 60.0 becomes 70.0, and is still good JSON
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 0
    bodies = [spool.body(Lane.BACKLOG, seq) for seq in spool.after(Lane.BACKLOG, 0, 1_000)]
    assert not any(b'"v":70.0' in (b or b"") for b in bodies)
    assert spool.renewed == 1
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 59
    assert [(shed.reason, shed.messages) for shed in spool.status().shed] == [("unreadable", 1)]
    _check_places(spool)
    spool.close()


@pytest.mark.parametrize(
    ("statement", "left"),
    [
        ("UPDATE sequences SET last = 'many' WHERE lane = 'alarm'", 20),
        ("UPDATE messages SET seq = 'third' WHERE lane = 'alarm' AND seq = 3", 19),
    ],
)
def test_a_number_that_became_a_text_is_damage(path: Path, statement: str, left: int) -> None:
    """One flipped bit in the types of a row does that too; everything else moves over."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(statement)
    spool = Spool(path, 10_000_000)
    assert (len(_alarms(spool)), spool.renewed) == (left, 1)
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 60
    _check_places(spool)
    spool.close()


def test_a_sum_that_became_the_base_is_damage(tmp_path: Path) -> None:
    """One flipped bit in the types of a row does that; the row would pass for one of before there were sums."""
    path = tmp_path / "spool.db"
    with closing(Spool(path, 10_000_000, reserve_bytes=4096)) as spool:
        spool.add_readings([("oxi", f"m{n}", T + n, 60.0) for n in range(9)])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE readings SET base = sum, sum = NULL WHERE id = 5")
    with closing(Spool(path, 10_000_000, reserve_bytes=4096)) as spool:
        assert spool.drain(100) is not None
        drained = spool.drain(100)
        assert drained is not None
        assert [r[1] for r in drained.readings] == [f"m{n}" for n in range(9) if n != 4]
        assert (spool.renewed, [shed.messages for shed in spool.status().shed]) == (1, [1])


@pytest.mark.parametrize("name", ["epoch", "last"])
def test_a_number_is_never_given_out_again(path: Path, name: str) -> None:
    """A changed epoch or last number of a lane is damage: a new epoch begins, with everything in it."""
    old = _epoch(path)
    changes = {
        "epoch": "UPDATE meta SET value = 'ffffffffffffffff' WHERE key = 'epoch'",
        "last": "UPDATE sequences SET last = last + 64 WHERE lane = 'backlog'",
    }
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(changes[name])
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 1
    assert spool.epoch not in (old, "f" * 16)
    assert len(spool.after(Lane.ALARM, 0, 1_000)) == 20
    assert spool.last_seq() == {Lane.ALARM: 20, Lane.BACKLOG: 60}
    spool.close()


def test_a_file_cut_off_within_a_page_is_salvaged(path: Path) -> None:
    """Whatever stood before the cut is still read, and that something is missing is told."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 4096 - 1_000)
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 1
    assert len(_alarms(spool)) == 20
    assert 30 <= len(spool.after(Lane.BACKLOG, 0, 1_000)) < 60
    assert [shed.reason for shed in spool.status().shed] == ["unreadable"]
    _check_places(spool)
    spool.close()


def test_an_empty_file_is_told(path: Path) -> None:
    """A file cut off at its first byte looks like a new one to SQLite: that something was there is told."""
    path.write_bytes(b"")
    path.with_suffix(".reserve").write_bytes(b"held")
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 1
    assert [shed.reason for shed in spool.status().shed] == ["unreadable"]
    spool.close()


def test_replacement_cut_short_is_finished_by_the_next_start(path: Path) -> None:
    """A crash between setting aside and moving loses nothing and moves nothing twice."""
    path.rename(path.with_name("spool.db.salvage"))
    spool = Spool(path, 10_000_000)
    assert len(spool.after(Lane.ALARM, 0, 1_000)) == 20
    assert len(spool.after(Lane.BACKLOG, 0, 1_000)) == 60
    epoch = spool.epoch
    spool.close()
    spool = Spool(path, 10_000_000)
    assert spool.epoch == epoch
    assert len(spool.after(Lane.ALARM, 0, 1_000)) == 20
    spool.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _write_for_ever(file: io.FileIO) -> None:
    while True:
        file.write(b"x" * 4096)


def _add_for_ever(spool: Spool) -> None:
    while True:
        spool.add_readings([("oxi", "heart_rate", T + i, 60.0) for i in range(500)])


def test_full_disk_takes_alarms_not_telemetry(small_disk: Path) -> None:
    """With no byte left telemetry is refused by name, an alarm is stored out of the reserve; with room again all
    goes on and the reserve is taken again.
    """
    spool = Spool(small_disk / "spool.db", 10_000_000, reserve_bytes=400_000)
    _add_batch(spool, 1)
    other = small_disk / "other"
    with other.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        _write_for_ever(file)
    with pytest.raises(SpoolFull):
        _add_for_ever(spool)
    for i in range(20):
        assert spool.append_alarm(make_alarm(i), alarm_id(i), b"open")[0] == i + 1
    assert len(_alarms(spool)) == 20
    other.unlink()
    spool.keep_house(None)
    assert (small_disk / "spool.reserve").stat().st_size == 400_000
    spool.add_readings([("oxi", "heart_rate", T, 60.0)])
    spool.close()


@pytest.mark.parametrize("file", sorted(OLD.glob("*.sql")), ids=lambda f: f.stem)
def test_old_file_is_brought_up_to_date(tmp_path: Path, file: Path) -> None:
    """A stored spool of an older version keeps epoch, sequences, messages, readings and open alarms."""
    path = tmp_path / "spool.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript(file.read_text(encoding="utf-8"))
    spool = Spool(path, 10_000_000)
    assert spool.renewed == 0
    assert spool.epoch == "0123456789abcdef"
    assert spool.last_seq() == {Lane.ALARM: 7, Lane.BACKLOG: 3}
    assert decode_alarm(spool.body(Lane.ALARM, 7) or b"").alarm_id == alarm_id(1)
    assert spool.after(Lane.BACKLOG, 0, 10) == [2, 3]
    assert spool.open_alarms() == [b"{}"]
    assert not spool.first_time("c-1", T)
    drained = spool.drain(10)
    assert drained is not None
    assert drained.run is None
    assert drained.readings == (("bed-1", "motion", T, True),)
    assert spool.append_alarm(make_alarm(2), alarm_id(2), None)[0] == 8
    spool.close()


def test_every_old_version_is_stored() -> None:
    """There is one stored file for each version before the present."""
    assert {f.stem for f in OLD.glob("*.sql")} == {f"v{version}" for version in range(1, len(STEPS))}


_WRITER = """
import sys
from pathlib import Path
from edge.spool.store import Spool
from tests.support.spool import alarm_id, make_alarm
spool = Spool(Path(sys.argv[1]), 10_000_000, reserve_bytes=65_536)
first = spool.last_seq().get("alarm", 0)
for i in range(first, first + 100_000):
    spool.append_alarm(make_alarm(i), alarm_id(i), b"open")
    print(i, flush=True)
"""


def test_kill_9_loses_nothing_reported(tmp_path: Path) -> None:
    """Killed three times in the middle of writing, every alarm that was reported is there, under one epoch."""
    path = tmp_path / "spool.db"
    reported: list[int] = []
    for length in (5, 17, 40):
        command = [sys.executable, "-c", _WRITER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            reported += [int(process.stdout.readline()) for _ in range(length)]
            process.send_signal(signal.SIGKILL)
            reported += [int(line) for line in process.stdout if line.endswith("\n")]
    spool = Spool(path, 10_000_000)
    assert {alarm_id(i) for i in reported} <= _alarms(spool)
    assert len(reported) == len(set(reported))
    assert spool.renewed == 0
    spool.close()
