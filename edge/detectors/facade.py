"""Hosts all detectors of one home: hands each what concerns it, keeps one's failure from the others, keeps memories.

Theory of operation. A detector is listed with a name and a way to make it. What it takes follows from its methods
(`on_reading`, `on_frame`, `on_tick`), of the one device it is listed for, or of the whole home. One that raises is
counted and reported as a fault, and the others go on; one that raises several times in a row has a broken memory and
is made afresh. What a Stateful detector remembers is one entry of `state()`, under its key.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypedDict, cast

from edge.detectors.base import Counts, Detection, Detector, Stateful, TakesFrames, TakesReadings, TakesTime, Urgent
from edge.detectors.bed import BedDetector
from edge.detectors.contact import ContactDetector
from edge.detectors.fall import FallDetector
from edge.detectors.habits import HabitsDetector
from edge.detectors.routine import RoutineDetector, RoutineProfile
from edge.detectors.trends import TrendDetector
from edge.detectors.vitals import VitalsDetector
from edge.readings import Device, DeviceRole, Reading, Sensitivity, SignalFrame
from edge.residents import Residents, Wearers

STATE_VERSION: Final = 1
FRESH_AFTER = 3
"""A detector that raises this often in a row is made afresh."""
_FAILURES_KEPT = 32


@dataclass(frozen=True, slots=True)
class Listed:
    """A detector of the home: `name` is a code (a-z0-9_); with `device` it sees only that device, with `among` only
    those, which `whose` names.
    """

    name: str
    make: Callable[[], Detector]
    device: str | None = None
    among: frozenset[str] | None = None
    whose: str = ""

    @property
    def key(self) -> str:
        """Its place in states and counts."""
        part = self.whose if self.device is None else self.device
        return f"{self.name}/{part}" if part else self.name

    def sees(self, device: str) -> bool:
        """Whether it is handed what a device says."""
        return self.device in (None, device) and (self.among is None or device in self.among)


class _Of(TypedDict):
    among: frozenset[str] | None
    whose: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong in one detector: `what` it was doing, and the error; `device` as listed, else the gateway."""

    key: str
    device: str
    what: str
    error: str


@dataclass(slots=True)
class _Hosted:
    listed: Listed
    detector: Detector
    in_a_row: int = 0


class Detectors:
    """All detectors of a home behind three calls; see the theory of operation above."""

    def __init__(self, listed: Iterable[Listed]) -> None:
        self._hosted: dict[str, _Hosted] = {}
        for one in listed:
            if one.key in self._hosted:
                raise ValueError(f"the detector {one.key} is listed twice")
            self._hosted[one.key] = _Hosted(one, one.make())
        self._with_urgent = [key for key, hosted in self._hosted.items() if isinstance(hosted.detector, Urgent)]
        self._own_counts: Counter[str] = Counter()
        self._failures: deque[Failure] = deque(maxlen=_FAILURES_KEPT)

    @property
    def counts(self) -> Counter[str]:
        """What the detectors looked at and left out, by key; and what the facade counted."""
        total = Counter(self._own_counts)
        for key, hosted in self._hosted.items():
            if isinstance(hosted.detector, Counts):
                total.update({f"{key}_{name}": n for name, n in hosted.detector.counts.items()})
        return total

    @property
    def listed(self) -> tuple[Listed, ...]:
        """What is hosted, in order."""
        return tuple(hosted.listed for hosted in self._hosted.values())

    def hosted(self, name: str, device: str | None = None) -> Detector:
        """The detector listed under a name and device, for whoever scores it. Raises KeyError."""
        return self._hosted[name if device is None else f"{name}/{device}"].detector

    def on_reading(self, reading: Reading, now: float) -> list[Detection]:
        """Take one reading; `now` is the gateway's time in Unix seconds."""
        found: list[Detection] = []
        for hosted in self._concerned(reading.device):
            if isinstance(hosted.detector, TakesReadings):
                found += self._guarded(hosted, partial(hosted.detector.on_reading, reading, now))
        return found

    def on_frame(self, frame: SignalFrame) -> list[Detection]:
        """Take one signal frame; frames that no detector is listed for are ignored."""
        found: list[Detection] = []
        for hosted in self._concerned(frame.device):
            if isinstance(hosted.detector, TakesFrames):
                found += self._guarded(hosted, partial(hosted.detector.on_frame, frame))
        return found

    def on_tick(self, now: float) -> list[Detection]:
        """Call several times a second."""
        found: list[Detection] = []
        for hosted in self._hosted.values():
            if isinstance(hosted.detector, TakesTime):
                found += self._guarded(hosted, partial(hosted.detector.on_tick, now))
        return found

    def take_failures(self) -> list[Failure]:
        """What went wrong since the last call (the newest 32), for the log and for supervision."""
        failures = list(self._failures)
        self._failures.clear()
        return failures

    def urgent(self) -> dict[str, int]:
        """Which detectors know something that a power cut must not cost them, each with its number of it."""
        known = ((key, cast(Urgent, self._hosted[key].detector).urgent()) for key in self._with_urgent)
        return {key: number for key, number in known if number is not None}

    def state(self, keys: Container[str] | None = None) -> dict[str, Any]:
        """What all Stateful detectors remember, or those named by `keys`, as plain JSON values."""
        states: dict[str, Any] = {}
        for key, hosted in self._hosted.items():
            if isinstance(hosted.detector, Stateful) and (keys is None or key in keys):
                try:
                    states[key] = hosted.detector.state()
                except Exception as error:  # noqa: BLE001 -- one broken memory must not cost the others theirs
                    self._failed(hosted, "state", error)
        return {"v": STATE_VERSION, "detectors": states}

    def restore(self, state: dict[str, Any]) -> dict[str, Any]:
        """Take up a state; returns, by key, what could not be taken up: those detectors start fresh.

        Raises ValueError if the whole is no state of this or an older version; then nothing changed.
        """
        states = state.get("detectors")
        if state.get("v") != STATE_VERSION or not isinstance(states, dict):
            raise ValueError(f"a state of detectors of version {state.get('v')!r}, this software reads {STATE_VERSION}")
        refused: dict[str, Any] = {}
        for key, remembered in states.items():
            hosted = self._hosted.get(key)
            if hosted is None or not isinstance(hosted.detector, Stateful):
                self._own_counts["state_of_no_detector"] += 1
                refused[key] = remembered
                continue
            try:
                hosted.detector.restore(remembered)
            except Exception as error:  # noqa: BLE001 -- whatever a foreign state does, the detector starts fresh
                self._own_counts["state_refused"] += 1
                self._note(hosted, "restore", error)
                hosted.detector = hosted.listed.make()
                refused[key] = remembered
        return refused

    def _concerned(self, device: str) -> Iterable[_Hosted]:
        return (h for h in self._hosted.values() if h.listed.sees(device))

    def _guarded(self, hosted: _Hosted, call: Callable[[], list[Detection]]) -> list[Detection]:
        try:
            found = call()
        except Exception as error:  # noqa: BLE001 -- a defect of one detector must not silence the others
            self._failed(hosted, "detect", error)
            hosted.in_a_row += 1
            if hosted.in_a_row >= FRESH_AFTER:
                self._own_counts[f"{hosted.listed.key}_made_afresh"] += 1
                hosted.detector, hosted.in_a_row = hosted.listed.make(), 0
            return []
        hosted.in_a_row = 0
        return found

    def _failed(self, hosted: _Hosted, what: str, error: Exception) -> None:
        self._own_counts[f"{hosted.listed.key}_failed"] += 1
        self._note(hosted, what, error)

    def _note(self, hosted: _Hosted, what: str, error: Exception) -> None:
        listed = hosted.listed
        failure = Failure(listed.key, listed.device or "gateway", what, f"{type(error).__name__}: {error}")
        self._failures.append(failure)


def build(
    devices: Iterable[Device],
    *,
    spo2_scale_2: bool = False,
    routine: RoutineProfile | None = None,
    more: Iterable[Listed] = (),
    fall_sensitivity: Sensitivity = Sensitivity.NORMAL,
) -> Detectors:
    """The detectors a home with these devices needs; without a profile nobody watches its routine.

    `more` are those that need settings of their own (edge.location_config).
    """
    devices = tuple(devices)
    wearers = Residents(devices, routine.residents if routine is not None else 1).wearers()
    worn = [d for d in devices if d.role is DeviceRole.WEARABLE]
    return Detectors(
        [
            *(Listed("fall", partial(FallDetector, d.id, d.position, fall_sensitivity), d.id) for d in worn),
            Listed("contact", ContactDetector),
            *(Listed("vitals", partial(VitalsDetector, spo2_scale_2=spo2_scale_2), **_of(w)) for w in wearers),
            *(_rhythm(devices, routine, wearers) if routine is not None else ()),
            *more,
        ]
    )


def _rhythm(devices: tuple[Device, ...], routine: RoutineProfile, wearers: Iterable[Wearers]) -> list[Listed]:
    """What is judged against the home's or a person's own days."""
    zone = routine.zone
    beds = [d.id for d in devices if d.role is DeviceRole.BED]
    return [
        Listed("routine", partial(RoutineDetector, devices, routine)),
        Listed("habits", partial(HabitsDetector, devices, zone, pets=routine.pets)),
        *(Listed("trends", partial(TrendDetector, zone, one_person=w.known), **_of(w)) for w in wearers),
        *(Listed("bed", partial(BedDetector, bed, zone), bed) for bed in beds),
    ]


def _of(wearers: Wearers) -> _Of:
    return {"among": wearers.devices, "whose": wearers.name}
