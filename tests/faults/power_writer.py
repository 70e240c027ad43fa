"""Stores, settles, sheds and opens again in a spool, and says what is durable; run under strace by power.py."""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from edge.clock.kept import write_last_known
from edge.spool import schema
from edge.spool.store import Spool
from protocols.senml import resolve
from protocols.wire import Lane, decode_telemetry
from tests.support.spool import T, alarm_id, make_alarm, make_batch

_LIMIT = 24_000
schema.LOG_BYTES = 100_000
"""A life here is short: the log must be moved into the file many times in it."""


def say(*words: object) -> None:
    """One line, in one system call, so that the recording shows the moment."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Writer:
    """One life of a gateway's spool."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._path = folder / "spool.db"
        self._rng = random.Random(seed)
        self._next_alarm = 0
        self._next_reading = 0
        self.spool = Spool(self._path, _LIMIT, reserve_bytes=65_536)
        say("epoch", self.spool.epoch)

    def alarm(self) -> None:
        """Store an alarm."""
        number, self._next_alarm = self._next_alarm, self._next_alarm + 1
        body = b"open" if self._rng.random() < 0.7 else None
        seq, _ = self.spool.append_alarm(make_alarm(number), alarm_id(number), body)
        say("alarm", number, seq)

    def readings(self) -> None:
        """Store readings for a batch."""
        first, count = self._next_reading, self._rng.randint(1, 20)
        self._next_reading += count
        self.spool.add_readings([("oxi", "heart_rate", T + n, 60.0 + n % 40) for n in range(first, first + count)])
        say("readings", first, first + count)

    def batch(self) -> None:
        """Close a batch. It may push the oldest over the limit: which readings those are is said first."""
        drained = self.spool.drain(500)
        if drained is None:
            return
        lane = self._rng.choice((Lane.LIVE, Lane.BACKLOG, Lane.BACKLOG))
        if self.spool.status().size_bytes > _LIMIT - 6_000:
            say("forget-readings", *self._stored())
        seq, _ = self.spool.append_batch(lane, make_batch(lane, drained), drained)
        say("batch", lane, seq)

    def settle(self) -> None:
        """The cloud has some of it."""
        lane = self._rng.choice(tuple(Lane))
        seqs = self.spool.after(lane, 0, self._rng.randint(1, 6))
        if not seqs:
            return
        if lane is Lane.ALARM:
            bodies = [self.spool.body(lane, seq) or b"" for seq in seqs]
            say("forget-alarms", *(int(body.split(b'"alarm_id":"')[1][24:36], 16) for body in bodies))
        else:
            say("forget-readings", *self._readings(lane, seqs))
        self.spool.settle(lane, [(seqs[0], seqs[-1])])

    def again(self) -> None:
        """End and start; the last known time is kept as well."""
        self.spool.close()
        write_last_known(self._path.with_name("last-time"), T + self._next_reading)
        self.spool = Spool(self._path, _LIMIT, reserve_bytes=65_536)

    def _stored(self) -> list[int]:
        lanes = (Lane.LIVE, Lane.BACKLOG)
        return [n for lane in lanes for n in self._readings(lane, self.spool.after(lane, 0, 10_000))]

    def _readings(self, lane: Lane, seqs: list[int]) -> list[int]:
        batches = [decode_telemetry(self.spool.body(lane, seq) or b"") for seq in seqs]
        return [round(r.at - T) for batch in batches for r in resolve(batch.records, T)]


def main() -> None:
    """FOLDER SEED STEPS."""
    folder, seed, steps = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    writer = Writer(folder, seed)
    rng = random.Random(seed + 1)
    acts = (writer.alarm, writer.readings, writer.readings, writer.batch, writer.batch, writer.settle)
    for step in range(steps):
        rng.choice(acts)() if step % 40 != 39 else writer.again()
    writer.spool.close()


if __name__ == "__main__":
    main()
