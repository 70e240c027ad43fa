"""From a message of the home broker to readings on flash and alarms on flash; the one place where order matters.

For each message: check it, let the detectors see it, put every alarm event on flash, wake the uplink, speak; readings
wait for the next group commit, and only then is the message acknowledged to the home broker.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from itertools import groupby

import structlog

from edge.alarms import Alarm, Alarms, Changed, Effect, Speak
from edge.clock import EARLIEST_PLAUSIBLE, Clock, Instant, boot_id
from edge.detectors.base import Detection
from edge.detectors.facade import Detectors
from edge.messages import alarm_event, batch, batch_lane, stored_alarm
from edge.readings import Reading, SignalFrame
from edge.sources.base import Message
from edge.sources.dispatch import Sources
from edge.spool.store import Drained, Spool, SpooledReading, SpoolError
from edge.stopwatch import Errand, Stopwatch
from edge.supervision.supervisor import Supervisor
from edge.tasks import in_thread, to_its_end
from protocols.errors import ProtocolError
from protocols.wire import AlarmState, Lane
from protocols.wire import Clock as ClockState

log = structlog.get_logger()

_KEPT_IN_MEMORY = 50_000
"""Readings held while the spool takes none; what does not fit is counted."""
_HOUSE_EVERY_S = 60.0
_NEWEST_LIMIT = 2_000
"""Devices times metrics of one home whose newest value is known."""

Held = tuple[Reading, float | None]
"""A reading in memory and the base of the clock that stamped it before the time was known; None: its stamp is final."""


class Pipeline:
    """Owns what happens to a message; `executor` is the one thread that writes the spool."""

    def __init__(
        self,
        *,
        sources: Sources,
        supervisor: Supervisor,
        detectors: Detectors,
        alarms: Alarms,
        spool: Spool,
        executor: Executor,
        clock: Clock,
        answering: Callable[[], bool],
        wake_uplink: Callable[[], None],
        say: Callable[[Speak], None],
        watch: Callable[[Alarm, int | None], None],
        max_records: int,
        wait_for_time_s: float,
    ) -> None:
        self.sources = sources
        self.supervisor = supervisor
        self._detectors = detectors
        self._alarms = alarms
        self._spool = spool
        self._executor = executor
        self._clock = clock
        self._answering = answering
        self._wake = wake_uplink
        self._say = say
        self._watch = watch
        self._max_records = max_records
        self._wait_for_time_s = wait_for_time_s
        self._readings: list[Held] = []
        self._writing = asyncio.Lock()
        self._newest: dict[tuple[str, str], Held] = {}
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.unknown_devices: Counter[str] = Counter()
        self.last_heard: dict[str, float] = {}
        self.battery: dict[str, float] = {}
        self.accepted = 0
        self.alarm_store = Stopwatch()
        self.detected = asyncio.Event()
        """Set with every detection: what was judged must be remembered, or a restart would judge it again."""
        self.urgent_changed = asyncio.Event()
        """Set when a detector knows something that must be on flash before it is judged, and when that is over."""
        self._urgent: dict[str, int] = {}
        self._run = boot_id()
        self._holding_since: float | None = None
        self._next_house = 0.0

    async def take(self, topic: str, payload: bytes, *, retained: bool = False) -> bool:
        """Process one message; bad input is counted, logged and costs nothing else.

        True if something of it waits for `commit`; of any other message everything has happened on return.
        """
        now, base = self._moment()
        message = Message(topic, payload, now.wall, retained, self._clock_trusted(now, base))
        try:
            heard = self.sources.read(message)
        except ProtocolError as error:
            self._refuse(topic, error)
            return False
        for part in heard.refused:
            self._refuse(topic, part)
        self.supervisor.heard(heard, now)
        for device in heard.alive:
            self.last_heard[device] = now.wall
        for frame in heard.frames:
            await self._take_frame(frame, now)
        for reading in heard.readings:
            await self._take_reading(reading, now, base)
        return bool(heard.readings)

    def _moment(self) -> tuple[Instant, float | None]:
        """Now, and the base it was made with; None: its stamps are final."""
        known = self._clock.known()  # asked first: the time may come between the two
        now = self._clock.now()
        return now, None if known else self._clock.base()

    def _clock_trusted(self, now: Instant, base: float | None) -> bool:
        """Whether a device's stamp can be judged by our clock: once the time is known, or where the installer says
        that the machine keeps it.
        """
        return base is None or (self._wait_for_time_s == 0 and now.wall >= EARLIEST_PLAUSIBLE)

    async def _detected(self, detection: Detection, now: Instant) -> None:
        await self.apply(self._alarms.detect(detection, now))
        self.detected.set()

    async def _take_frame(self, frame: SignalFrame, now: Instant) -> None:
        self.accepted += 1
        for detection in self._detectors.on_frame(frame):
            await self._detected(detection, now)
        self._look_for_urgent()

    def _look_for_urgent(self) -> None:
        if (urgent := self._detectors.urgent()) != self._urgent:
            self._urgent = urgent
            self.urgent_changed.set()

    async def _take_reading(self, reading: Reading, now: Instant, base: float | None) -> None:
        self.accepted += 1
        held = (reading, base)
        self._readings.append(held)
        self._note_newest(held)
        if reading.metric == "battery":
            self.battery[reading.device] = float(reading.value)
        if reading.metric in ("motion", "presence") and reading.value is True:
            await self.apply(self._alarms.moved(reading.device, now, moving=reading.metric == "motion"))
        if reading.metric == "button":
            await self.apply(self._alarms.press(str(reading.value), now))
        for detection in self._detectors.on_reading(reading, now.wall):
            await self._detected(detection, now)

    def _note_newest(self, held: Held) -> None:
        reading, base = held
        key = (reading.device, reading.metric)
        known = self._newest.get(key)
        later = known is not None and (known[1] != base or reading.at >= known[0].at)
        if later or (known is None and len(self._newest) < _NEWEST_LIMIT):
            self._newest[key] = held

    async def restate(self) -> None:
        """After an outage: the newest value of everything once more, with its own time, in a batch that overtakes the
        back-log. Stores are idempotent by time, so that nothing counts twice.
        """
        self._readings += self._newest.values()
        await self.close_batches()

    async def tick(self) -> None:
        """Call several times a second: silence has consequences."""
        now, base = self._moment()
        for reading in self.sources.due(now.wall):
            await self._take_reading(reading, now, base)
        for detection in self._detectors.on_tick(now.wall):
            await self._detected(detection, now)
        self._look_for_urgent()
        await self.apply(self._alarms.tick(now))
        for failure in self._detectors.take_failures():
            log.error("detector_failed", detector=failure.key, doing=failure.what, error=failure.error[:300])
            if failure.what == "detect":
                self.supervisor.detector_failed(failure.device, now)
        await self.apply(self.supervisor.tick(now))

    async def apply(self, effects: Iterable[Effect]) -> None:
        """Carry out effects in order: an alarm is on flash before the uplink wakes and before anybody speaks."""
        for effect in effects:
            if isinstance(effect, Changed):
                await self._store(effect)
                self.supervisor.alarm_changed(effect.alarm, self._clock.now())
            else:
                self._say(effect)

    async def _store(self, effect: Changed) -> None:
        alarm = effect.alarm
        state, sent = self._clock.state(), self._clock.now().wall
        errand = Errand()

        def append() -> tuple[int, bytes]:
            return self._spool.append_alarm(
                lambda epoch, seq: alarm_event(alarm, epoch, seq, state, sent), alarm.alarm_id, stored_alarm(alarm)
            )

        try:
            seq, _ = await in_thread(self._executor, errand.run, append)
        except SpoolError as error:
            self.rejected["spool_error", "alarm"] += 1
            log.critical(
                "alarm_not_stored", alarm_id=alarm.alarm_id, kind=alarm.kind, state=alarm.state, error=str(error)
            )
            self._watch(alarm, None)
            return
        self.alarm_store.took(errand.seconds())
        self._watch(alarm, seq)
        self._wake()
        log.info(
            "alarm_state",
            alarm_id=alarm.alarm_id,
            kind=alarm.kind,
            state=alarm.state,
            reason=alarm.reason,
            device=alarm.device,
            at=alarm.at,
            changed_at=alarm.changed_at,
            seq=seq,
            **errand.parts_ms(),
        )

    async def commit(self) -> bool:
        """Put the readings taken so far on flash; False if that failed (they stay, and nothing is acknowledged)."""
        return await to_its_end(self._commit_alone())

    async def _commit_alone(self) -> bool:
        async with self._writing:
            return await self._commit()

    async def _commit(self) -> bool:
        readings, self._readings = self._readings, []
        done = 0
        try:
            for base, group in groupby(readings, key=lambda held: held[1]):
                rows = _rows(group)
                await in_thread(
                    self._executor, self._spool.add_readings, rows, None if base is None else self._run, base
                )
                done += len(rows)
        except SpoolError as error:
            self._take_back(readings[done:], error)
            return False
        return True

    def _take_back(self, readings: list[Held], error: SpoolError) -> None:
        """What the spool did not take stays in memory; what does not fit there is counted."""
        kept = [*readings, *self._readings]
        self._readings = kept[-_KEPT_IN_MEMORY:]
        self.rejected["spool_error", "telemetry"] += 1
        self.rejected["memory_full", "telemetry"] += len(kept) - len(self._readings)
        log.critical("readings_not_stored", waiting=len(self._readings), error=str(error))

    async def close_batches(self) -> int:
        """Turn all readings into batches; returns how many. Cancelled, it does so before it ends: what it has taken
        out of memory may have been acknowledged already.

        While the time is not known they wait for it on flash, at most `wait_for_time_s`; then their stamps are moved,
        once, and are final in the batch before anything of it is sent.
        """
        return await to_its_end(self._close_and_wake())

    async def _close_and_wake(self) -> int:
        made = 0
        async with self._writing:
            try:
                made = await self._close_batches()
                if not made:  # what the cloud has would otherwise go with the next batch
                    await in_thread(self._executor, self._spool.forget_settled)
                await self._keep_house()
            except SpoolError as error:
                self.rejected["spool_error", "batch"] += 1
                log.critical("batch_not_stored", error=str(error))
        if made:
            self._wake()
        return made

    async def _close_batches(self) -> int:
        made = 0
        if any(base is not None for _, base in self._readings):
            if not self._clock.known() and self._held_long_enough():
                self._readings = [(reading, None) for reading, _ in self._readings]  # they go as they are
            elif not await self._commit():
                return made
        while True:
            drained = await in_thread(self._executor, self._spool.drain, self._max_records)
            if drained is None or (drained.run is None and len(drained.readings) < self._max_records):
                return made + await self._close_with_memory(drained)
            if drained.run is not None and not self._clock.known() and not self._held_long_enough():
                return made
            await in_thread(self._executor, self._spool.append_batch, *self._batch(drained))
            made += 1

    async def _close_with_memory(self, stored: Drained | None) -> int:
        """The last batches: what is left on flash and what is still in memory, which so is written once, not twice."""
        # One that came meanwhile, stamped before the time was known, goes by flash the next time.
        readings = [held for held in self._readings if held[1] is None]
        self._readings = [held for held in self._readings if held[1] is not None]
        stored = stored or Drained(0, ())
        done = made = 0
        try:
            while stored.readings or done < len(readings):
                more = readings[done : done + self._max_records - len(stored.readings)]
                both = Drained(stored.last_id, (*stored.readings, *_rows(more)))
                await in_thread(self._executor, self._spool.append_batch, *self._batch(both))
                stored = Drained(0, ())
                done, made = done + len(more), made + 1
        except SpoolError as error:
            self._take_back(readings[done:], error)
            raise
        return made

    def _batch(self, drained: Drained) -> tuple[Lane, Callable[[str, int], bytes], Drained]:
        """Lane and builder of a batch; the stamps of this run's unknown time are moved by what is known now."""
        lane, clock, sent = batch_lane(self._answering()), self._clock.state(), self._clock.now().wall
        readings = drained.readings
        if drained.run is not None:
            clock = ClockState.UNSYNCED
            if drained.run == self._run and drained.base is not None and self._clock.known():
                shift, clock = self._clock.base() - drained.base, ClockState.REBASED
                readings = tuple((d, m, at + shift, v) for d, m, at, v in readings)

        def build(epoch: str, seq: int) -> bytes:
            return batch(readings, epoch=epoch, lane=lane.value, seq=seq, clock=clock, sent=sent)

        return lane, build, drained

    def _held_long_enough(self) -> bool:
        now = self._clock.now().mono
        self._holding_since = now if self._holding_since is None else self._holding_since
        return now - self._holding_since >= self._wait_for_time_s

    async def _keep_house(self) -> None:
        now = self._clock.now()
        if now.mono >= self._next_house:
            self._next_house = now.mono + _HOUSE_EVERY_S
            await in_thread(self._executor, self._spool.keep_house, now.wall if self._clock.known() else None)

    def waiting(self) -> int:
        """Readings in memory that are not on flash yet."""
        return len(self._readings)

    def pending_alarms(self) -> int:
        """How many questions are open."""
        return sum(1 for a in self._alarms.open if a.state is AlarmState.PENDING)

    def _refuse(self, topic: str, error: ProtocolError) -> None:
        self.supervisor.refused(topic, error)
        parts = topic.split("/")
        source = parts[2][:63] if len(parts) == 4 and parts[0] == "home" else "unknown"
        if error.reason == "unknown_device":
            if source in self.unknown_devices or len(self.unknown_devices) < 100:
                self.unknown_devices[source] += 1
            source = "unknown"
        named = source if source in self.last_heard else self.sources.name_of(topic)
        self.rejected[error.reason, "unknown" if named == "anju" else named] += 1
        log.warning("refused", topic=topic[:200], reason=error.reason, where=error.where, what=error.what[:300])


def _rows(readings: Iterable[Held]) -> list[SpooledReading]:
    return [(r.device, r.metric, r.at, r.value) for r, _ in readings]
