"""The part of the configuration that concerns the resident: ladders, outputs, answers by voice, whom the home tells."""

from __future__ import annotations

from datetime import time
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from edge.alarms.answers import AnswerSource
from edge.alarms.ladder import DEFAULTS, NEVER_ASK, Daytime, Ladder, Ladders, Loudness, Step, TimeOfDay
from edge.alarms.outputs import Output, OutputDialect, OutputKind
from edge.phrases import PHRASES
from edge.sections import Positive, Section, Topic
from protocols.wire import AlarmKind

Seconds = Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)]


class PromptSection(Section):
    """One prompt of a ladder."""

    after_s: Seconds = 0.0
    phrase: str = "are_you_ok"
    loudness: Loudness = Loudness.NORMAL

    @field_validator("phrase")
    @classmethod
    def _known(cls, phrase: str) -> str:
        if phrase not in PHRASES:
            raise ValueError(f"there is no phrase {phrase}; there are {', '.join(sorted(PHRASES))}")
        return phrase

    def step(self) -> Step:
        """As the ladder wants it."""
        return Step(self.after_s, self.phrase, self.loudness)


class LadderSection(Section):
    """How one kind of alarm asks, at one time of day."""

    kind: AlarmKind
    time: TimeOfDay = TimeOfDay.ANY
    raise_s: Seconds = 0.0
    steps: tuple[PromptSection, ...] = ()
    raised: PromptSection | None = None
    movement_cancels: bool = False
    movement_after_s: Seconds = 5.0

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.ladder()
        return self

    def ladder(self) -> Ladder:
        """The ladder itself. Raises ValueError."""
        default = next(ladder.raised for ladder in DEFAULTS if ladder.kind is self.kind)
        return Ladder(
            kind=self.kind,
            raise_s=self.raise_s,
            steps=tuple(prompt.step() for prompt in self.steps),
            raised=self.raised.step() if self.raised else default,
            time_of_day=self.time,
            movement_cancels=self.movement_cancels,
            movement_after_s=self.movement_after_s,
        )


class OutputSection(Section):
    """A speaker, lamp or siren that prompts the resident."""

    name: Topic
    kind: OutputKind
    dialect: OutputDialect = OutputDialect.ANJU
    on: str | None = None
    off: str | None = None

    def output(self) -> Output:
        """As the commands want it."""
        return Output(self.name, self.kind, self.dialect, self.on, self.off)


class AnswerSection(Section):
    """Where a voice assistant says what the resident answered."""

    topic: Topic
    field: str | None = None
    cancel: tuple[str, ...] = ("cancel", "取消", "没事", "我没事")
    help: tuple[str, ...] = ("help", "救命", "帮帮我", "求助")

    def source(self) -> AnswerSource:
        """As the reader wants it."""
        cancel = frozenset(word.strip().casefold() for word in self.cancel)
        return AnswerSource(self.topic, cancel, frozenset(word.strip().casefold() for word in self.help), self.field)


class AlarmsSection(Section):
    """Which alarms ask the resident, how and for how long."""

    question_s: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] | None = None
    """The length of every question that has no ladder of its own here; unset: as the built-in ladders say."""
    ask: frozenset[AlarmKind] | None = None
    """The kinds that ask; unset: as the ladders say."""
    merge_s: Positive = 60.0
    spo2_scale_2: bool = False
    """Saturation scale 2 of NEWS2, only for confirmed hypercapnic failure."""
    time_zone: str = "Asia/Shanghai"
    day_begins: time = time(6)
    day_ends: time = time(22)
    ladder: tuple[LadderSection, ...] = ()
    outputs: tuple[OutputSection, ...] = ()
    answers: tuple[AnswerSection, ...] = ()

    @model_validator(mode="after")
    def _possible(self) -> Self:
        never = sorted((self.ask or frozenset()) & NEVER_ASK)
        if never:
            raise ValueError(f"ask: {', '.join(never)} is raised at once and never asks")
        try:
            self.ladders()
        except ZoneInfoNotFoundError:
            raise ValueError(f"time_zone: there is no time zone {self.time_zone}") from None
        return self

    def ladders(self) -> Ladders:
        """The home's ladders. Raises ValueError, ZoneInfoNotFoundError."""
        daytime = Daytime(ZoneInfo(self.time_zone), self.day_begins, self.day_ends)
        own = [section.ladder() for section in self.ladder]
        return Ladders(daytime, own, question_s=self.question_s, ask=self.ask)


class FallbackSection(Section):
    """SMS without the cloud, through a router or provider that takes Standard Webhooks."""

    sms_url: str | None = None
    secret_file: Path | None = None
    after_s: Positive = 60.0
    phones: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.sms_url and not self.phones:
            raise ValueError("sms_url needs phones to send to")
        if self.sms_url and not self.secret_file:
            raise ValueError("sms_url needs secret_file to sign with")
        return self
