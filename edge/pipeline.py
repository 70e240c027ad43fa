"""From a message of the home broker to readings on flash and alarms on flash; the one place where order matters.

For each message: check it, let the detectors see it, put every alarm event on flash, wake the uplink, speak; readings
wait for the next group commit, and only then is the message acknowledged to the home broker.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Executor

import structlog

from edge.alarms import Alarm, Alarms, Changed, Effect, Speak
from edge.clock import EARLIEST_PLAUSIBLE, Clock, Instant
from edge.detectors.facade import Detectors
from edge.messages import alarm_event, batch, batch_lane, stored_alarm
from edge.readings import Reading
from edge.sources.senml import SenmlSource
from edge.sources.waveform import WaveformSource
from edge.spool.store import Spool, SpoolError
from edge.tasks import in_thread
from protocols.errors import ProtocolError
from protocols.topics import HomeUp, parse_home_up
from protocols.wire import AlarmState

log = structlog.get_logger()

_NEWEST_LIMIT = 2_000
"""Devices times metrics of one home whose newest value is known."""


class Pipeline:
    """Owns what happens to a message; `executor` is the one thread that writes the spool."""

    def __init__(
        self,
        *,
        senml: SenmlSource,
        waves: WaveformSource,
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
    ) -> None:
        self._senml = senml
        self._waves = waves
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
        self._readings: list[Reading] = []
        self._newest: dict[tuple[str, str], Reading] = {}
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.unknown_devices: Counter[str] = Counter()
        self.last_heard: dict[str, float] = {}
        self.battery: dict[str, float] = {}
        self.accepted = 0

    async def take(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Process one message; bad input is counted, logged and costs nothing else."""
        now = self._clock.now()
        trusted = now.wall >= EARLIEST_PLAUSIBLE
        try:
            channel = parse_home_up(topic).channel
            if channel is HomeUp.WAVE:
                await self._take_wave(topic, payload, now, trusted)
            else:
                await self._take_senml(topic, payload, now, trusted, retained)
        except ProtocolError as error:
            self._refuse(topic, error)

    async def _take_wave(self, topic: str, payload: bytes, now: Instant, trusted: bool) -> None:
        frame = self._waves.read(topic, payload, now.wall, clock_trusted=trusted)
        if frame is None:
            return
        self.last_heard[frame.device] = now.wall
        self.accepted += 1
        for detection in self._detectors.on_frame(frame):
            await self.apply(self._alarms.detect(detection, now))

    async def _take_senml(self, topic: str, payload: bytes, now: Instant, trusted: bool, retained: bool) -> None:
        readings = self._senml.read(topic, payload, now.wall, retained=retained, clock_trusted=trusted)
        for error in self._senml.take_refused():
            self._refuse(topic, error)
        for reading in readings:
            self.last_heard[reading.device] = now.wall
            self.accepted += 1
            self._readings.append(reading)
            self._note_newest(reading)
            if reading.metric == "battery":
                self.battery[reading.device] = float(reading.value)
            if reading.metric == "motion" and reading.value is True:
                self._alarms.moved(reading.device, now)
            if reading.metric == "button":
                await self.apply(self._alarms.press(str(reading.value), now))
            for detection in self._detectors.on_reading(reading, now.wall):
                await self.apply(self._alarms.detect(detection, now))

    def _note_newest(self, reading: Reading) -> None:
        key = (reading.device, reading.metric)
        known = self._newest.get(key)
        if (known is None and len(self._newest) < _NEWEST_LIMIT) or (known is not None and reading.at >= known.at):
            self._newest[key] = reading

    async def restate(self) -> None:
        """After an outage: the newest value of everything once more, with its own time, in a batch that overtakes the
        back-log. Stores are idempotent by time, so that nothing counts twice.
        """
        self._readings += self._newest.values()
        if await self.commit():
            await self.close_batches()

    async def tick(self) -> None:
        """Call several times a second: silence has consequences."""
        now = self._clock.now()
        for detection in self._detectors.on_tick(now.wall):
            await self.apply(self._alarms.detect(detection, now))
        await self.apply(self._alarms.tick(now))

    async def apply(self, effects: Iterable[Effect]) -> None:
        """Carry out effects in order: an alarm is on flash before the uplink wakes and before anybody speaks."""
        for effect in effects:
            if isinstance(effect, Changed):
                await self._store(effect)
            else:
                self._say(effect)

    async def _store(self, effect: Changed) -> None:
        alarm = effect.alarm
        state, sent = self._clock.state(), self._clock.now().wall
        epoch = self._spool.epoch
        try:
            seq, _ = await in_thread(
                self._executor,
                self._spool.append_alarm,
                lambda seq: alarm_event(alarm, epoch, seq, state, sent),
                alarm.alarm_id,
                stored_alarm(alarm),
            )
        except SpoolError as error:
            self.rejected["spool_error", "alarm"] += 1
            log.critical(
                "alarm_not_stored", alarm_id=alarm.alarm_id, kind=alarm.kind, state=alarm.state, error=str(error)
            )
            self._watch(alarm, None)
            return
        self._watch(alarm, seq)
        self._wake()
        log.info(
            "alarm_state",
            alarm_id=alarm.alarm_id,
            kind=alarm.kind,
            state=alarm.state,
            reason=alarm.reason,
            at=alarm.at,
            changed_at=alarm.changed_at,
            seq=seq,
        )

    async def commit(self) -> bool:
        """Put the readings taken so far on flash; False if that failed (they stay, and nothing is acknowledged)."""
        readings, self._readings = self._readings, []
        if not readings:
            return True
        rows = [(r.device, r.metric, r.at, r.value) for r in readings]
        try:
            await in_thread(self._executor, self._spool.add_readings, rows)
        except SpoolError as error:
            self._readings = [*readings, *self._readings][-50_000:]
            self.rejected["spool_error", "telemetry"] += 1
            log.critical("readings_not_stored", waiting=len(self._readings), error=str(error))
            return False
        return True

    async def close_batches(self) -> int:
        """Turn the readings on flash into batches; returns how many."""
        made = 0
        while (drained := await in_thread(self._executor, self._spool.drain, self._max_records)) is not None:
            lane, clock, sent = batch_lane(self._answering()), self._clock.state(), self._clock.now().wall
            readings, epoch = drained.readings, self._spool.epoch

            def build(seq: int) -> bytes:
                return batch(readings, epoch=epoch, lane=lane.value, seq=seq, clock=clock, sent=sent)  # noqa: B023

            try:
                await in_thread(self._executor, self._spool.append_batch, lane, build, drained)
            except SpoolError as error:
                self.rejected["spool_error", "batch"] += 1
                log.critical("batch_not_stored", error=str(error))
                break
            made += 1
            if len(readings) < self._max_records:
                break
        if made:
            self._wake()
        return made

    def pending_alarms(self) -> int:
        """How many questions are open."""
        return sum(1 for a in self._alarms.open if a.state is AlarmState.PENDING)

    def _refuse(self, topic: str, error: ProtocolError) -> None:
        parts = topic.split("/")
        source = parts[2][:63] if len(parts) == 4 else "unknown"
        if error.reason == "unknown_device":
            if source in self.unknown_devices or len(self.unknown_devices) < 100:
                self.unknown_devices[source] += 1
            source = "unknown"
        self.rejected[error.reason, source if source in self.last_heard else "unknown"] += 1
        log.warning("refused", topic=topic[:200], reason=error.reason, where=error.where, what=error.what[:300])
