"""The spool against a simple model, in any order of storing, settling, crashing, ageing, pressure and damage."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edge.spool.store import MAX_AGE_S, Drained, Spool
from protocols.senml import resolve
from protocols.wire import Lane, decode_alarm, decode_telemetry
from tests.support.spool import T, alarm_id, make_alarm, make_batch

TELEMETRY = (Lane.LIVE, Lane.BACKLOG)
SEEDS = st.integers(0, 2**32)
"""Chances are drawn as one number: what the spool holds (its epoch is random) must not change what is drawn next."""
_LIMIT = 12_000
_STEP_S = 100.0


class SpoolMachine(RuleBasedStateMachine):
    """What must hold: alarms are there exactly; every reading is there, settled, or counted as shed; numbers rise."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="anju-spool-"))
        self.lives = 0

    @initialize()
    def begin(self) -> None:
        """An empty spool."""
        self.path = self.folder / "0" / "spool.db"
        self.spool = Spool(self.path, _LIMIT, reserve_bytes=4096)
        self.alarms: dict[int, int] = {}  # sequence: number
        self.last: Counter[Lane] = Counter()
        self.numbers = 0
        self.put = self.gone = 0  # readings; gone: settled
        self.settled: dict[tuple[Lane, int], int] = {}  # not yet deleted for sure, and how many readings it holds

    @rule(is_open=st.booleans())
    def alarm(self, is_open: bool) -> None:
        """Store one; it has the lane's next number."""
        number, self.numbers = self.numbers, self.numbers + 1
        seq, _ = self.spool.append_alarm(make_alarm(number), alarm_id(number), b"{}" if is_open else None)
        self.last[Lane.ALARM] += 1
        assert seq == self.last[Lane.ALARM]
        self.alarms[seq] = number

    @rule(count=st.integers(1, 40))
    def readings(self, count: int) -> None:
        """Readings that wait for a batch."""
        self.spool.add_readings(self._new(count))

    @rule(lane=st.sampled_from(TELEMETRY), more=st.integers(0, 20))
    def batch(self, lane: Lane, more: int) -> None:
        """A batch of what waits and of what is in memory."""
        drained = self.spool.drain(500)
        if drained is None and not more:
            return
        stored = () if drained is None else drained.readings
        both = Drained(0 if drained is None else drained.last_id, (*stored, *self._new(more)))
        seq, _ = self.spool.append_batch(lane, make_batch(lane, both, both.readings[-1][2]), both)
        self.last[lane] += 1
        assert seq == self.last[lane]
        self.settled.clear()

    def _new(self, count: int) -> list[tuple[str, str, float, float]]:
        first, self.put = self.put, self.put + count
        return [("oxi", "heart_rate", T + n * _STEP_S, 60.0 + n % 40) for n in range(first, first + count)]

    @rule(lane=st.sampled_from(tuple(Lane)), share=st.floats(0, 1), seed=SEEDS)
    def settle(self, lane: Lane, share: float, seed: int) -> None:
        """The cloud has some of a lane."""
        rnd = random.Random(seed)
        seqs = [s for s in self.spool.after(lane, 0, 1_000) if rnd.random() < share]
        for seq in seqs:
            if lane is Lane.ALARM:
                del self.alarms[seq]
            else:
                held = len(self._of(lane, seq))
                self.gone += held
                self.settled[lane, seq] = held
        self.spool.settle(lane, [(seq, seq) for seq in seqs])
        assert not set(seqs) & set(self.spool.after(lane, 0, 1_000))

    @rule()
    def again(self) -> None:
        """Close and open."""
        self.spool.close()
        self.spool = Spool(self.path, _LIMIT, reserve_bytes=4096)
        self.settled.clear()
        assert self.spool.renewed == 0

    @rule()
    def crash(self) -> None:
        """What a kill leaves is opened elsewhere: at most, what was settled comes back."""
        self.lives += 1
        new = self.folder / str(self.lives)
        shutil.copytree(self.path.parent, new)
        self.spool.close()
        self.path = new / "spool.db"
        self.spool = Spool(self.path, _LIMIT, reserve_bytes=4096)
        assert self.spool.renewed == 0
        for (lane, seq), held in self.settled.items():
            if seq in self.spool.after(lane, 0, 1_000):
                self.gone -= held
        self.settled.clear()

    @rule(past=st.integers(0, 300))
    def age(self, past: int) -> None:
        """Months go by: what is too old for the cloud goes, and is counted."""
        now = T + past * _STEP_S + MAX_AGE_S
        self.spool.keep_house(now)
        self.settled.clear()
        for lane in TELEMETRY:
            for seq in self.spool.after(lane, 0, 64):
                assert max(self._of(lane, seq), default=now) >= now - MAX_AGE_S

    @rule(seed=SEEDS)
    def damage(self, seed: int) -> None:
        """Bits flip while it is off: whatever opens is whole and was once stored, and it goes on from there."""
        rnd, epoch = random.Random(seed), self.spool.epoch
        self.spool.close()
        body = bytearray(self.path.read_bytes())
        for _ in range(rnd.choice((1, 4, 60))):
            # A share of the file, not an offset: its length is not the same in every run.
            body[int(rnd.random() * len(body))] ^= 1 << rnd.randrange(8)
        self.path.write_bytes(body)
        self.spool = Spool(self.path, _LIMIT, reserve_bytes=4096)
        numbers = set(self.alarms.values())
        found = {seq: self._number(seq) for seq in self.spool.after(Lane.ALARM, 0, 1_000)}
        for lane in TELEMETRY:
            for seq in self.spool.after(lane, 0, 1_000):
                self._of(lane, seq)
        self.spool.drain(1_000)
        self.spool.open_alarms()
        if self.spool.renewed:
            assert self.spool.epoch != epoch
            found = {seq: self._number(seq) for seq in self.spool.after(Lane.ALARM, 0, 1_000)}
        else:
            assert self.spool.epoch == epoch
        assert set(found.values()) <= numbers
        self._begin_anew(found)

    def _begin_anew(self, alarms: dict[int, int]) -> None:
        """After damage the model takes what there is."""
        self.alarms = alarms
        self.last = Counter(self.spool.last_seq())
        self.settled.clear()
        self.gone = self.put - self._present() - self._shed()

    def _number(self, seq: int) -> int:
        body = self.spool.body(Lane.ALARM, seq)
        return -1 if body is None else int(decode_alarm(body).alarm_id[-12:], 16)

    def _of(self, lane: Lane, seq: int) -> list[float]:
        """Times of the readings of a batch; each is one that was put, with its value."""
        body = self.spool.body(lane, seq)
        if body is None:
            return []
        batch = decode_telemetry(body)
        assert (batch.epoch, batch.lane, batch.seq) == (self.spool.epoch, lane, seq)
        found = resolve(batch.records, T)
        for r in found:
            n = round((r.at - T) / _STEP_S)
            assert (r.name, r.value) == ("oxi/heart_rate", 60.0 + n % 40)
            assert 0 <= n < self.put
        return [r.at for r in found]

    def _present(self) -> int:
        waiting = self.spool.drain(100_000)
        stored = sum(len(self._of(lane, seq)) for lane in TELEMETRY for seq in self.spool.after(lane, 0, 1_000))
        return stored + (0 if waiting is None else len(waiting.readings))

    def _shed(self) -> int:
        return sum(shed.readings for shed in self.spool.status().shed)

    @invariant()
    def alarms_are_there_exactly(self) -> None:
        """In order, each under its number."""
        if hasattr(self, "spool"):
            found = {seq: self._number(seq) for seq in self.spool.after(Lane.ALARM, 0, 1_000)}
            assert found == self.alarms

    @invariant()
    def every_reading_is_accounted_for(self) -> None:
        """There, settled, or told as shed."""
        if hasattr(self, "spool"):
            assert self._present() + self.gone + self._shed() == self.put

    def teardown(self) -> None:
        """Remove everything."""
        if hasattr(self, "spool"):
            self.spool.close()
        shutil.rmtree(self.folder)


# The same examples every time, so that it says something of a change; without `derandomize` it explores.
SpoolMachine.TestCase.settings = settings(derandomize=True, max_examples=40, stateful_step_count=25, deadline=None)
TestSpoolMachine = SpoolMachine.TestCase
