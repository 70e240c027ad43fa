"""The spool: sequences that survive, alarms synced before anything else happens, and what gives way when room or the
file itself fails.

A sequence number is taken and its message stored in one transaction, so that a number never stands for two messages
and a stored message never loses its number. Past `limit_bytes` the oldest back-log is thinned, then dropped, then live
batches; alarms never. A full disk gives up the reserve first. A corrupt file is set aside, what can be read of it goes
into a new file under a new epoch, and the call that found it succeeds there (docs/decisions/spool.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from edge.spool.errors import SpoolCorrupt, SpoolError, SpoolFull, damaged
from edge.spool.file import Build, Drained, Gone, SpooledReading, SpoolFile
from edge.spool.pressure import describe, drop_oldest, thin_oldest
from edge.spool.renewal import renew, unfinished
from edge.spool.reserve import Reserve
from protocols.wire import Lane, SeqRange, SpoolStatus

__all__ = ["Drained", "Spool", "SpoolError", "SpooledReading"]

log = structlog.get_logger()

MAX_AGE_S = 84 * 86_400.0
"""The cloud refuses what is older than 85 days."""
_CHECKED_BELOW = 16_000_000
"""A file up to this size is read through when it is opened; a larger one is believed until a call finds damage."""
_ALARM_ROOM = 1_000_000
_RESERVE_BYTES = 4_000_000

T = TypeVar("T")
_Waiting = tuple[Lane, list[SeqRange], str]
"""What the cloud has of one lane and epoch."""


class Spool:
    """The spool at `path`. Not thread-safe: call it from one thread. `renewed` counts files set aside since start."""

    def __init__(self, path: Path, limit_bytes: int, reserve_bytes: int = _RESERVE_BYTES) -> None:
        self._path = path
        self._limit = limit_bytes
        self.renewed = 0
        self._settled: list[_Waiting] = []
        self._reserve = Reserve(path.with_suffix(".reserve"), reserve_bytes)
        self._file = self._open()
        self._reserve.restore()

    @property
    def epoch(self) -> str:
        """The epoch of messages stored now; a new one when the file had to be replaced."""
        return self._file.epoch

    @property
    def dropped(self) -> int:
        """Messages that the policy has taken away since the epoch began."""
        return sum(shed.messages for shed in self._file.shed())

    def close(self) -> None:
        """Close the file; everything accepted is in it."""
        with suppress(SpoolError):
            self.forget_settled()
        self._file.db.close()

    def append_alarm(self, build: Build, alarm_id: str, open_body: bytes | None) -> tuple[int, bytes]:
        """Store one alarm event under the next sequence, and the open alarm's state with it (None: it has ended).

        On flash when this returns. A full disk first costs the reserve, then the oldest telemetry. Raises SpoolError.
        """

        def work(file: SpoolFile) -> tuple[int, bytes]:
            return file.append_alarm(build, alarm_id, open_body)

        try:
            return self._do(work)
        except SpoolFull:
            log.critical("disk_full", path=str(self._path), reserve_freed=self._reserve.free())
        try:
            return self._do(work)
        except SpoolFull:
            self._drop(_ALARM_ROOM)
            return self._do(work)

    def add_readings(
        self, readings: Sequence[SpooledReading], run: str | None = None, base: float | None = None
    ) -> None:
        """Store readings for a later batch; on flash when this returns. Raises SpoolError.

        `run` and `base` tell by which clock their stamps were made while the time was not known; without, they are
        final.
        """
        self._do(lambda file: file.add_readings(readings, run, base))

    def drain(self, limit: int) -> Drained | None:
        """The oldest readings that wait for a batch, at most `limit`; None if there are none. Raises SpoolError."""
        return self._do(lambda file: file.drain(limit))

    def append_batch(self, lane: Lane, build: Build, drained: Drained) -> tuple[int, bytes]:
        """Turn drained readings into one message under the lane's next sequence, in one transaction. Raises
        SpoolError; if the file was replaced meanwhile, the readings are in both, with the same series and times.
        """
        settled, self._settled = self._settled, []
        try:
            added = self._do(lambda file: file.append_batch(lane, build, drained, self._of_now(file, settled)))
        except SpoolError:
            self._settled = settled
            raise
        if self._file.size > self._limit:
            self._make_room(self._file.size - self._limit)
        self._shorten_log()
        return added

    def body(self, lane: Lane, seq: int) -> bytes | None:
        """The message of a sequence, None if it was settled or dropped. Raises SpoolError."""
        return None if self._is_settled(lane, seq) else self._do(lambda file: file.body(lane, seq))

    def after(self, lane: Lane, seq: int, limit: int) -> list[int]:
        """Stored sequences of a lane above `seq`, ascending, at most `limit`. Raises SpoolError."""
        if any(of is lane and last > seq for of, ranges, _ in self._settled for _, last in ranges):
            self.forget_settled()
        return [s for s in self._do(lambda file: file.after(lane, seq, limit)) if not self._is_settled(lane, s)]

    def settle(self, lane: Lane, ranges: Iterable[SeqRange], epoch: str | None = None) -> None:
        """Forget what the cloud has stored or refused of `epoch` (None: the present one). Raises SpoolError.

        Telemetry is deleted with the next batch, in the same transaction: apart, it would cost as much flash as the
        batch itself. A cut in between sends those batches once more, under the same numbers.
        """
        self._settled.append((lane, list(ranges), epoch or self.epoch))
        if lane is Lane.ALARM:
            self.forget_settled()

    def forget_settled(self) -> None:
        """Delete now what waits for the next batch; a full disk lets it wait longer. Raises SpoolError."""
        try:
            while self._settled:
                lane, ranges, of = self._settled[0]
                self._do(partial(_settle, lane=lane, ranges=ranges, epoch=of))
                del self._settled[0]
        except SpoolFull as error:
            log.warning("settled_not_deleted", path=str(self._path), waiting=len(self._settled), error=str(error))

    def _is_settled(self, lane: Lane, seq: int) -> bool:
        return any(
            of is lane and epoch == self.epoch and any(first <= seq <= last for first, last in ranges)
            for of, ranges, epoch in self._settled
        )

    def _of_now(self, file: SpoolFile, settled: Sequence[_Waiting]) -> list[tuple[Lane, list[SeqRange]]]:
        return [(lane, ranges) for lane, ranges, epoch in settled if epoch == file.epoch]

    def open_alarms(self) -> list[bytes]:
        """Bodies of the alarms that had not ended, oldest first. Raises SpoolError."""
        return self._do(SpoolFile.open_alarms)

    def forget_alarms(self, alarm_ids: Iterable[str]) -> None:
        """Remove open alarms the cloud has closed. Raises SpoolError."""
        ids = list(alarm_ids)
        self._do(lambda file: file.forget_alarms(ids))

    def first_time(self, command_id: str, now: float) -> bool:
        """Remember a command; False if it was seen before (a broker may deliver it twice). Raises SpoolError."""
        return self._do(lambda file: file.first_time(command_id, now))

    def last_seq(self) -> dict[Lane, int]:
        """The last sequence given out, by lane. Raises SpoolError."""
        return self._do(SpoolFile.last_seq)

    def status(self) -> SpoolStatus:
        """Depth by lane, size, and what the policy has taken. Raises SpoolError."""
        self.forget_settled()
        shed = self._do(SpoolFile.shed)
        return SpoolStatus(
            self._do(SpoolFile.depth), max(self._file.size, 0), self._limit, sum(s.messages for s in shed), shed
        )

    def keep_house(self, now: float | None) -> None:
        """Call about once a minute, `now` being Unix seconds if they are known: drops what is too old for the cloud,
        takes the reserve again. Raises SpoolError.
        """
        self._reserve.restore()
        self.forget_settled()
        self._shorten_log()
        if now is None:
            return
        for lane in (Lane.BACKLOG, Lane.LIVE):
            old: dict[int, bytes | None] = {}
            gone: list[Gone] = []
            for seq, body in self._do(partial(SpoolFile.oldest, lane=lane, limit=64)):
                one = describe("too_old", body)
                if one.last and one.last < now - MAX_AGE_S:
                    old[seq] = None
                    gone.append(one)
            if old:
                self._do(partial(SpoolFile.replace, lane=lane, bodies=old, gone=gone))

    def _shorten_log(self) -> None:
        """After telemetry and with the housekeeping, never with an alarm, which would wait for it. What goes wrong here
        has cost nothing yet, and the next call finds it.
        """
        with suppress(SpoolError, OSError):
            self._file.shorten_log()

    def _do(self, work: Callable[[SpoolFile], T]) -> T:
        """Work on the file; if it turns out corrupt, on its successor."""
        try:
            return work(self._file)
        except SpoolCorrupt as error:
            log.critical("spool_corrupt", path=str(self._path), epoch=self._file.epoch, error=str(error))
            with suppress(Exception):
                self._file.db.close()
            self._file = renew(self._path)
            self.renewed += 1
        return work(self._file)

    def _open(self) -> SpoolFile:
        if unfinished(self._path):
            return renew(self._path)
        try:
            if self._path.exists() and self._path.stat().st_size == 0 and self._reserve.held():
                raise damaged(self._path, "an empty file")  # the reserve is made after the first file
            file = SpoolFile(self._path)
            if self._path.stat().st_size > _CHECKED_BELOW or file.sound():
                return file
            file.db.close()
        except SpoolFull:
            self._reserve.free()
            return SpoolFile(self._path)
        except SpoolCorrupt as error:
            log.critical("spool_corrupt", path=str(self._path), error=str(error))
        self.renewed += 1
        return renew(self._path)

    def _make_room(self, wanted: int) -> None:
        """Thin, then drop, the oldest telemetry until `wanted` bytes of messages are free."""
        size = self._file.size
        self.forget_settled()
        wanted -= size - self._file.size
        while wanted > 0:
            freed = self._do(lambda file: thin_oldest(file, Lane.BACKLOG))
            if freed is None:
                break
            wanted -= freed
        if wanted > 0:
            self._drop(wanted)

    def _drop(self, wanted: int) -> None:
        with suppress(SpoolFull):
            self._file.checkpoint()
        for lane in (Lane.BACKLOG, Lane.LIVE):
            while wanted > 0:
                freed = self._do(partial(drop_oldest, lane=lane, wanted=wanted))
                if not freed:
                    break
                wanted -= freed


def _settle(file: SpoolFile, lane: Lane, ranges: list[SeqRange], epoch: str) -> None:
    if file.epoch == epoch:
        file.settle(lane, ranges)
