"""The part of the configuration that concerns the resident: ladders, outputs, answers by voice, whom the home tells."""

from __future__ import annotations

from collections import Counter
from datetime import time
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from edge.alarms.answers import AnswerSource
from edge.alarms.ladder import DEFAULTS, NEVER_ASK, Daytime, Ladder, Ladders, Loudness, Step, TimeOfDay
from edge.alarms.outputs import Output, OutputDialect, OutputKind
from edge.fallback.contacts import Contact
from edge.phrases import PHRASES, Lang
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


class ModemSection(Section):
    """A serial modem with a SIM card."""

    port: Annotated[str, Field(pattern=r"^/dev/[A-Za-z0-9/_.:-]+$", max_length=200)]
    baud: Annotated[int, Field(ge=1200, le=4_000_000)] = 115_200
    answer_s: Annotated[float, Field(ge=5, le=300)] = 60.0
    """How long the network may take over one message."""


class ContactSection(Section):
    """Somebody whom the home tells; `after_s` counts from `fallback.after_s` on."""

    name: Annotated[str, Field(min_length=1, max_length=32)]
    phone: Annotated[str, Field(pattern=r"^\+?[0-9]{3,15}$")]
    after_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    lang: Lang = "zh"

    def contact(self) -> Contact:
        """As the ladder wants it."""
        return Contact(self.name, self.phone, self.after_s, self.lang)


class FallbackSection(Section):
    """SMS without the cloud: by a modem, and by a router or provider that takes Standard Webhooks."""

    after_s: Positive = 60.0
    home_name: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """How the family calls the home; unset: the gateway's id."""
    modem: ModemSection | None = None
    sms_url: str | None = None
    secret_file: Path | None = None
    contacts: Annotated[tuple[ContactSection, ...], Field(max_length=16)] = ()
    phones: tuple[str, ...] = ()
    """Short for contacts without a delay, named by their last digits."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        people = self.people()
        if self.sms_url and not people:
            raise ValueError("sms_url needs contacts or phones to send to")
        if self.modem and not people:
            raise ValueError("modem needs contacts or phones to send to")
        if self.sms_url and not self.secret_file:
            raise ValueError("sms_url needs secret_file to sign with")
        twice = sorted(phone for phone, n in Counter(p.phone for p in people).items() if n > 1)
        if twice:
            raise ValueError(f"contacts: {', '.join(twice)} is listed twice; each phone is told once of an alarm")
        return self

    def people(self) -> tuple[Contact, ...]:
        """Whom to tell, the first ones first. Raises ValueError."""
        short = [Contact(f"…{phone[-4:]}", phone) for phone in self.phones]
        return tuple(sorted([*(c.contact() for c in self.contacts), *short], key=lambda c: c.after_s))
