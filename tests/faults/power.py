"""Power cuts that a disk may really produce: a spool's file operations recorded, then cut at random moments.

A writer process stores alarms and batches, settles, sheds and opens again, under strace; it says on its standard output
what is durable, and before it lets go of something, that it may be gone. From the recording the disk is rebuilt as
after a cut at a random operation: of what was written to a file since its last sync any part may be missing, torn at
sectors of 512 bytes, in any order; of creations, renames and removals since the folder's last sync any later part may
be missing. Each state is opened by the real Spool. Lost is what was durable and is not there; doubled is a reading in
two places or a number given out again; unreadable is a state that does not open or had to be set aside.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from edge.spool.errors import SpoolError
from edge.spool.store import Spool
from protocols.errors import ProtocolError
from protocols.senml import resolve
from protocols.wire import Lane, decode_alarm, decode_telemetry
from tests.faults.disk import Disk, Operation, Said, recording
from tests.support.ending import end_on_sigterm
from tests.support.spool import T, alarm_id, make_alarm

_TRACED = (
    "openat,creat,write,pwrite64,pwritev,writev,fsync,fdatasync,ftruncate,truncate,fallocate,close,rename,renameat2,"
    "unlink,unlinkat"
)


@dataclass(slots=True)
class Promise:
    """What the writer had said by some moment: numbers of durable alarms and readings, and the last sequences."""

    alarms: set[int] = field(default_factory=set)
    readings: set[int] = field(default_factory=set)
    last: dict[str, int] = field(default_factory=dict)
    epoch: str = ""

    def hear(self, words: Said) -> None:
        """Take one line of the writer's output."""
        verb, *rest = words.text.split()
        if verb == "epoch":
            self.epoch = rest[0]
        elif verb == "alarm":
            self.alarms.add(int(rest[0]))
            self.last["alarm"] = int(rest[1])
        elif verb == "readings":
            self.readings |= set(range(int(rest[0]), int(rest[1])))
        elif verb == "batch":
            self.last[rest[0]] = int(rest[1])
        elif verb == "forget-alarms":
            self.alarms -= {int(n) for n in rest}
        elif verb == "forget-readings":
            self.readings -= {int(n) for n in rest}


@dataclass(slots=True)
class Report:
    """What came of all states."""

    states: int = 0
    operations: int = 0
    lost: int = 0
    doubled: int = 0
    unreadable: int = 0
    alarms_promised: int = 0
    readings_promised: int = 0
    failed: list[str] = field(default_factory=list)


def record(folder: Path, seed: int, steps: int) -> tuple[list[Said | Operation], Path]:
    """Run the writer under strace; returns its operations in order and the folder it wrote to."""
    target = folder / "recorded"
    target.mkdir()
    log = folder / "strace.log"
    writer = [sys.executable, "-m", "tests.faults.power_writer", str(target), str(seed), str(steps)]
    tracing = ["strace", "-f", "-xx", "-s", "1000000", "-y", "-e", f"trace={_TRACED}", "-o", str(log)]
    subprocess.run([*tracing, *writer], check=True, stdout=subprocess.DEVNULL)
    return recording(log, target), target


def judge(state: Path, promise: Promise, report: Report, name: str) -> None:
    """Open one state and compare it with what was promised."""
    report.states += 1
    report.alarms_promised += len(promise.alarms)
    report.readings_promised += len(promise.readings)
    try:
        spool = Spool(state / "spool.db", 10_000_000, reserve_bytes=4096)
    except SpoolError as error:
        report.unreadable += 1
        report.failed.append(f"{name}: {error}")
        return
    try:
        lost, doubled, unreadable = _compare(spool, promise)
    except (SpoolError, ProtocolError) as error:
        lost, doubled, unreadable = 0, 0, 1
        report.failed.append(f"{name}: {error}")
    finally:
        spool.close()
    if lost or doubled or unreadable:
        report.failed.append(f"{name}: lost {lost}, doubled {doubled}, unreadable {unreadable}")
    report.lost += lost
    report.doubled += doubled
    report.unreadable += unreadable


def _compare(spool: Spool, promise: Promise) -> tuple[int, int, int]:
    unreadable = int(spool.renewed > 0 or (promise.epoch != "" and spool.epoch != promise.epoch))
    alarms = {decode_alarm(spool.body(Lane.ALARM, s) or b"").alarm_id for s in spool.after(Lane.ALARM, 0, 100_000)}
    lost = sum(alarm_id(n) not in alarms for n in promise.alarms)
    found: Counter[int] = Counter()
    for lane in (Lane.LIVE, Lane.BACKLOG):
        for seq in spool.after(lane, 0, 100_000):
            batch = decode_telemetry(spool.body(lane, seq) or b"")
            found.update(round(r.at - T) for r in resolve(batch.records, T))
    waiting = spool.drain(100_000)
    if waiting is not None:
        found.update(round(at - T) for _, _, at, _ in waiting.readings)
    lost += sum(n not in found for n in promise.readings)
    doubled = sum(n - 1 for n in found.values())
    seq, _ = spool.append_alarm(make_alarm(999_999), alarm_id(999_999), None)
    doubled += seq <= promise.last.get("alarm", 0)
    last = spool.last_seq()
    doubled += sum(last.get(Lane(lane), 0) < given for lane, given in promise.last.items())
    return lost, doubled, unreadable


def run(states: int, seed: int, folder: Path, steps: int = 120) -> Report:
    """Record one run and cut it `states` times."""
    operations, target = record(folder, seed, steps)
    report = Report(operations=len(operations))
    rng = random.Random(seed)
    cuts = sorted(rng.randrange(1, len(operations) + 1) for _ in range(states))
    disk, promise, done = Disk(), Promise(), 0
    for number, cut in enumerate(cuts):
        for operation in operations[done:cut]:
            if isinstance(operation, Said):
                promise.hear(operation)
            else:
                disk.apply(operation)
        done = cut
        state = folder / "state"
        disk.after_cut(random.Random(f"{seed} {number}"), state, target)
        judge(state, promise, report, f"state {number}, cut after operation {cut}")
        shutil.rmtree(state)
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of `scripts/faults power`; the exit code is 1 if anything was lost, doubled or unreadable."""
    end_on_sigterm()
    parser = argparse.ArgumentParser(prog="scripts/faults power", description="power cuts at random file operations")
    parser.add_argument("--states", "--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="anju-power-") as folder:
        report = run(options.states, options.seed, Path(folder))
    text = json.dumps(asdict(report), indent=1)
    print(text)
    if options.json is not None:
        options.json.write_text(text + "\n")
    return 1 if report.lost or report.doubled or report.unreadable else 0


if __name__ == "__main__":
    sys.exit(main())
