"""What the detectors remember, and the rhythm learned of the devices, on flash: one file, replaced whole, so that a
power cut leaves the old or the new.

Beside it a small file holds what a power cut must not cost: the state of the few detectors that wait to judge an
impact. It says which memory it is newer than, and goes when all is judged.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import Counter
from collections.abc import Callable, Container
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from edge.detectors.facade import Detectors
from edge.files import write_whole

log = structlog.get_logger()

FILE_NAME = "detectors.json"
ASIDE_NAME = "detectors.refused.json"
URGENT_NAME = "detectors.urgent.json"
FOLLOWS = "follows"
RHYTHM = "supervision"
_LARGEST_BYTES = 16_000_000


class LearnsRhythm(Protocol):
    """Supervision's knowledge of how often each device speaks."""

    def state(self) -> dict[str, Any]:
        """Plain JSON values."""
        ...

    def restore_rhythm(self, state: dict[str, Any]) -> None:
        """Raises ValueError if it is no state; then nothing changed."""
        ...


class DetectorMemory:
    """Loads the detectors' states at start and saves them now and then.

    What cannot be taken up (unreadable, of newer software, of a detector that is not there) is put aside in
    `detectors.refused.json` (the newest such; older ones are overwritten), counted and logged; its detector starts
    fresh. `counts`: saved, unchanged, unreadable, refused, not_saved; urgent_saved, urgent_not_saved (too
    many), urgent_restored.
    """

    def __init__(self, data: Path, detectors: Detectors, devices: LearnsRhythm | None = None) -> None:
        self._path = data / FILE_NAME
        self._aside = data / ASIDE_NAME
        self._urgent = data / URGENT_NAME
        self._detectors = detectors
        self._devices = devices
        self._last = b""
        self.writing = asyncio.Lock()
        """Held from taking states to their being on flash: what is urgent says which memory it follows."""
        self.counts: Counter[str] = Counter()

    def load(self) -> None:
        """Take up what the last run left; never raises for what is in the files."""
        self._load(self._path, self._restored)
        self._load(self._urgent, self._restored_urgent)

    def _load(self, path: Path, restored: Callable[[bytes], dict[str, Any]]) -> None:
        try:
            with path.open("rb") as file:
                body = file.read(_LARGEST_BYTES + 1)
        except FileNotFoundError:
            return
        except OSError as error:
            self.counts["unreadable"] += 1
            log.warning("detector_states_unreadable", path=str(path), error=str(error))
            return
        try:
            refused = restored(body)
        except ValueError as error:
            self.counts["unreadable"] += 1
            log.warning("detector_states_unreadable", path=str(path), error=str(error), kept_in=str(self._aside))
            self._put_aside(body)
            return
        if refused:
            self.counts["refused"] += len(refused)
            self._put_aside(msgspec.json.encode(refused))

    def _restored(self, body: bytes) -> dict[str, Any]:
        state = _parsed(body)
        refused = self._detectors.restore(state) | self._refused_rhythm(state.get(RHYTHM))
        self._last = body
        log.info("detector_states_restored", bytes=len(body), refused=sorted(refused))
        return refused

    def _restored_urgent(self, body: bytes) -> dict[str, Any]:
        """What waited to be judged when the power went, unless the memory was saved after it."""
        state = _parsed(body)
        if state.get(FOLLOWS) != zlib.crc32(self._last):
            return {}
        refused = self._detectors.restore(state)
        self.counts["urgent_restored"] += 1
        log.info("urgent_states_restored", bytes=len(body), refused=sorted(refused))
        return refused

    def take(self) -> bytes:
        """The states of this moment as they go to the file; call it where the detectors are called."""
        state = self._detectors.state()
        if self._devices is not None:
            state[RHYTHM] = self._devices.state()
        return msgspec.json.encode(state)

    def save(self, body: bytes) -> bool:
        """Replace the file by `body`, surviving a power cut at any moment; False if it could not be written."""
        if body == self._last:
            self.counts["unchanged"] += 1
            return True
        try:
            write_whole(self._path, body)
        except OSError as error:
            self.counts["not_saved"] += 1
            log.warning("detector_states_not_saved", path=str(self._path), error=str(error))
            return False
        self._last = body
        self.counts["saved"] += 1
        return True

    def take_urgent(self, keys: Container[str]) -> dict[str, Any]:
        """The states of some detectors, for `save_urgent`; call it where the detectors are called."""
        return self._detectors.state(keys)

    def save_urgent(self, state: dict[str, Any]) -> bool:
        """Keep what `take_urgent` gave beside the memory as it was saved last; False if it could not be written."""
        try:
            write_whole(self._urgent, msgspec.json.encode(state | {FOLLOWS: zlib.crc32(self._last)}))
        except OSError as error:
            self.counts["not_saved"] += 1
            log.warning("urgent_states_not_saved", path=str(self._urgent), error=str(error))
            return False
        self.counts["urgent_saved"] += 1
        return True

    def drop_urgent(self) -> None:
        """All is judged. The name need not be gone from flash at once: until it is, it would be judged again."""
        try:
            self._urgent.unlink(missing_ok=True)
        except OSError as error:
            log.warning("urgent_states_not_removed", path=str(self._urgent), error=str(error))

    def _refused_rhythm(self, state: object) -> dict[str, Any]:
        """Give supervision its part; what it could not take up. A file of older software has none."""
        if self._devices is None or state is None:
            return {}
        try:
            self._devices.restore_rhythm(state if isinstance(state, dict) else {})
        except ValueError as error:
            log.warning("device_rhythm_refused", error=str(error))
            return {RHYTHM: state}
        return {}

    def _put_aside(self, body: bytes) -> None:
        try:
            write_whole(self._aside, body)
        except OSError as error:
            log.warning("detector_states_not_put_aside", path=str(self._aside), error=str(error))


def _parsed(body: bytes) -> dict[str, Any]:
    if len(body) > _LARGEST_BYTES:
        raise ValueError(f"more than {_LARGEST_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None
