"""How the home asks before it raises an alarm: a ladder of prompts for each kind and time of day, as data."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from edge.clock import EARLIEST_PLAUSIBLE
from protocols.wire import AlarmKind

LONGEST_QUESTION_S = 300.0
"""The cloud raises a pending alarm itself at the latest after 600 s: every question must have ended well before."""

_DANGERS = frozenset({AlarmKind.SOS, AlarmKind.SMOKE, AlarmKind.GAS, AlarmKind.CO, AlarmKind.FLOOD})
NEVER_ASK = _DANGERS | {AlarmKind.UNUSUAL}
"""Dangers speak for themselves: a question would only lose time. An unusual number is nothing to ask anybody about."""


class TimeOfDay(StrEnum):
    """When a ladder holds, by the clock on the home's wall."""

    ANY = "any"
    DAY = "day"
    NIGHT = "night"


class Loudness(StrEnum):
    """How a phrase is played; a siren sounds until the alarm ends or is silenced."""

    NORMAL = "normal"
    LOUD = "loud"
    SIREN = "siren"


@dataclass(frozen=True, slots=True)
class Step:
    """Say `phrase` when `after_s` seconds of the question have passed."""

    after_s: float
    phrase: str
    loudness: Loudness = Loudness.NORMAL


@dataclass(frozen=True, slots=True)
class Ladder:
    """What happens to a detection of `kind`: `steps` are asked one after the other, after `raise_s` it is raised.

    `raise_s` 0 raises at once. `raised` is said when it is raised. With `movement_cancels` a motion sensor ends an
    open question, but not in the first `movement_after_s`: what caused the detection moved, too.
    """

    kind: AlarmKind
    raise_s: float = 0.0
    steps: tuple[Step, ...] = ()
    raised: Step = Step(0.0, "alarm_raised")
    time_of_day: TimeOfDay = TimeOfDay.ANY
    movement_cancels: bool = False
    movement_after_s: float = 5.0

    def __post_init__(self) -> None:
        """Raises ValueError for a ladder that must not be."""
        name = f"{self.kind} ({self.time_of_day})"
        if self.raise_s > LONGEST_QUESTION_S:
            raise ValueError(f"{name}: asks for {self.raise_s:g} s, at most {LONGEST_QUESTION_S:g}")
        if self.kind in NEVER_ASK and (self.raise_s > 0 or self.steps):
            raise ValueError(f"{name}: is raised at once and never asks")
        times = [step.after_s for step in self.steps]
        if times != sorted(times) or any(t >= self.raise_s for t in times):
            raise ValueError(f"{name}: steps must ascend and come before the alarm is raised ({self.raise_s:g} s)")
        if self.raise_s > 0 and times[:1] != [0.0]:
            raise ValueError(f"{name}: the first step must come at 0 s, or nobody knows that there is a question")

    def lasting(self, raise_s: float) -> Ladder:
        """The same ladder stretched or shortened to `raise_s`; 0 leaves no question."""
        if not self.steps or raise_s == 0:
            return replace(self, raise_s=0.0, steps=())
        factor = raise_s / self.raise_s
        return replace(self, raise_s=raise_s, steps=tuple(replace(s, after_s=s.after_s * factor) for s in self.steps))


def _asks(raise_s: float, phrase: str, *, night: bool = False) -> tuple[float, tuple[Step, ...]]:
    """Ask, repeat, repeat louder; at night the first words must wake."""
    first, second = (Loudness.LOUD, Loudness.LOUD) if night else (Loudness.NORMAL, Loudness.NORMAL)
    steps = (
        Step(0.0, phrase, first),
        Step(raise_s / 3, phrase, second),
        Step(raise_s * 2 / 3, "are_you_ok_again", Loudness.LOUD),
    )
    return raise_s, steps


_K = AlarmKind
_DAY, _NIGHT = TimeOfDay.DAY, TimeOfDay.NIGHT
DEFAULTS: tuple[Ladder, ...] = (
    Ladder(_K.FALL, *_asks(30.0, "fall_question")),
    Ladder(_K.VITALS, *_asks(30.0, "vitals_question"), time_of_day=_DAY),
    Ladder(_K.VITALS, *_asks(60.0, "vitals_question", night=True), time_of_day=_NIGHT),
    Ladder(_K.INACTIVITY, *_asks(120.0, "inactivity_question"), time_of_day=_DAY, movement_cancels=True),
    Ladder(_K.INACTIVITY, *_asks(120.0, "inactivity_question", night=True), time_of_day=_NIGHT, movement_cancels=True),
    Ladder(_K.BED_EXIT, *_asks(120.0, "bed_exit_question")),
    Ladder(_K.WANDERING, *_asks(60.0, "wandering_question")),
    Ladder(_K.GEOFENCE),
    Ladder(_K.SOS),
    Ladder(_K.SMOKE, raised=Step(0.0, "smoke_siren", Loudness.SIREN)),
    Ladder(_K.GAS, raised=Step(0.0, "gas_siren", Loudness.SIREN)),
    Ladder(_K.CO, raised=Step(0.0, "co_siren", Loudness.SIREN)),
    Ladder(_K.FLOOD, raised=Step(0.0, "flood_warning", Loudness.LOUD)),
    Ladder(_K.HEAT, raised=Step(0.0, "heat_warning")),
    Ladder(_K.COLD, raised=Step(0.0, "cold_warning")),
    Ladder(_K.STOVE, *_asks(120.0, "stove_question")),
    Ladder(_K.UNUSUAL),
    Ladder(_K.TECHNICAL),
)


@dataclass(frozen=True, slots=True)
class Daytime:
    """When the home's day begins and ends, in its own time zone."""

    zone: ZoneInfo
    begins: time = time(6)
    ends: time = time(22)

    def at(self, wall: float) -> TimeOfDay | None:
        """Day or night at `wall` (Unix seconds); None while the gateway's clock is not to be believed."""
        if wall < EARLIEST_PLAUSIBLE:
            return None
        local = datetime.fromtimestamp(wall, self.zone).time()
        over_midnight = self.begins > self.ends
        first, last = (self.ends, self.begins) if over_midnight else (self.begins, self.ends)
        return _DAY if (first <= local < last) is not over_midnight else _NIGHT


class Ladders:
    """The ladders of one home: `own` ones stand before the defaults of the same kind, kind by kind.

    `question_s` sets the length of every default question. Kinds outside `ask` (None: as the ladders say) are raised
    at once. Raises ValueError if a kind is left without a ladder for some time of day, or has two.
    """

    def __init__(
        self,
        daytime: Daytime,
        own: Iterable[Ladder] = (),
        *,
        question_s: float | None = None,
        ask: frozenset[AlarmKind] | None = None,
    ) -> None:
        self._daytime = daytime
        own = tuple(own)
        replaced = {ladder.kind for ladder in own}
        defaults = [ladder for ladder in DEFAULTS if ladder.kind not in replaced]
        if question_s is not None:
            defaults = [ladder.lasting(question_s) if ladder.steps else ladder for ladder in defaults]
        if ask is not None:
            defaults = [ladder if ladder.kind in ask else ladder.lasting(0.0) for ladder in defaults]
        self._by: dict[tuple[AlarmKind, TimeOfDay], Ladder] = {}
        for ladder in (*own, *defaults):
            times = (_DAY, _NIGHT) if ladder.time_of_day is TimeOfDay.ANY else (ladder.time_of_day,)
            for when in times:
                if (ladder.kind, when) in self._by:
                    raise ValueError(f"{ladder.kind}: two ladders for the {when}")
                self._by[ladder.kind, when] = ladder
        for kind in AlarmKind:
            for when in (_DAY, _NIGHT):
                if (kind, when) not in self._by:
                    raise ValueError(f"{kind}: no ladder for the {when}")

    def at(self, kind: AlarmKind, wall: float) -> Ladder:
        """The ladder for a detection at `wall`; without a believable clock the one that raises sooner."""
        when = self._daytime.at(wall)
        if when is not None:
            return self._by[kind, when]
        return min(self._by[kind, _DAY], self._by[kind, _NIGHT], key=lambda ladder: ladder.raise_s)
