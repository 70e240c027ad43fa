"""The past silences of a home laid out by day, and the longest usual one for a place, an hour now and an hour of begin.

Two lines are learned: how long it had been quiet at this quarter of an hour of the day (after Cuddihy et al. 2007,
"Algorithm to automatically detect abnormally long periods of inactivity in a home"), and how long silences last that
begin at this hour. The lower of the two counts: who sleeps in is late by the clock, who went to bed early by the hours.
A place in which few days saw a silence begin at this hour says little of itself; there the line leans on the longest
one of all places. Without that, the first night that ends at another door than usual is an alarm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

BINS = 96
"""Quarters of an hour of the day."""
_BIN_S = 86_400 // BINS
_BEGINS = 48
"""Half hours of the day in which a silence may begin."""
_BEGIN_WITHIN_H = 1.5
"""A silence begun so much earlier or later is one of this hour."""
_QUANTILE = 0.96
"""The longest of a few days; the second longest of six weeks, so that one odd day does not stand for all of them."""
_EARLIER, _LATER = 3, 6
"""Quarters of an hour by which a habit may come earlier; and in which its weight fades when it comes later."""
_DOUBT_DAYS = 2.0
"""How many days of a place's own the line of all places is worth."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Span = tuple[datetime, datetime, int | None]
"""A silence: local begin and end, and its context's index; None where nothing is known of that time."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Quarters of an hour within silences: context, quarter of the day, half hour in which the silence began (indices)
    and hours quiet; arrays of one length.
    """

    context: Ints
    at: Ints
    begin: Ints
    quiet_h: Floats


@dataclass(frozen=True, slots=True)
class Line:
    """Hours of silence that are usual: `clock` (contexts, BINS), `begun` (contexts, half hours), and on how many days
    the context saw a silence begin then, `known` (contexts, half hours).
    """

    clock: Floats
    begun: Floats
    known: Floats
    clock_of_all: Floats
    begun_of_all: Floats

    def usual_h(self, context: Ints, at: Ints, begin: Ints) -> Floats:
        """The longest usual silence at each of these moments, hours."""
        days = self.known[context, begin]
        clock, begun = self.clock[context, at], self.begun[context, begin]
        clock = (days * clock + _DOUBT_DAYS * np.maximum(clock, self.clock_of_all[at])) / (days + _DOUBT_DAYS)
        begun = (days * begun + _DOUBT_DAYS * np.maximum(begun, self.begun_of_all[begin])) / (days + _DOUBT_DAYS)
        result: Floats = np.minimum(clock, begun)
        return result


@dataclass(frozen=True, slots=True)
class Past:
    """Whole days: their ordinals, what each says of the two lines, and the moments of silence it held."""

    days: list[int]
    clock: Floats
    begun: Floats
    moments: list[Moments]

    def line(self, members: Ints, fixed_h: float, pooled: NDArray[np.bool_]) -> Line:
        """The line of these days (indices); `fixed_h` where nothing is known of a time. `pooled` (contexts) are those
        that make up the line of all.
        """
        clock, begun = (_high(table[members], fixed_h) for table in (self.clock, self.begun))
        known = (self.begun[members] > 0).sum(axis=0).astype(np.float64)
        return Line(clock, begun, known, clock[pooled].max(axis=0), begun[pooled].max(axis=0))


def begin_of(local: datetime) -> int:
    """In which half hour of the day something began."""
    return int((local.hour * 60 + local.minute) // (1440 // _BEGINS))


def bin_of(local: datetime) -> int:
    """Which quarter of an hour of the day this is."""
    return int((local.hour * 60 + local.minute) * 60 // _BIN_S)


def lay_out(spans: Sequence[Span], contexts: int, today: int, keep: int) -> Past:
    """Lay silences out by the last `keep` whole days before `today` (an ordinal); the first day is not whole. Days of
    which nothing is known are left out.
    """
    days = _days(spans, today, keep)
    row = {day: i for i, day in enumerate(days)}
    clock = np.zeros((len(days), contexts, BINS))
    begun = np.zeros((len(days), contexts, _BEGINS))
    held: list[list[Moments]] = [[] for _ in days]
    for begin, end, context in spans:
        for day in range(begin.toordinal(), end.toordinal() + 1):
            i = row.get(day)
            if i is None:
                continue
            bins, hours = _touched(begin, end, day)
            if context is None:
                clock[i, :, bins] = np.nan
                continue
            clock[i, context, bins] = np.fmax(clock[i, context, bins], hours)
            held[i].append(Moments(np.full_like(bins, context), bins, np.full_like(bins, begin_of(begin)), hours))
        i = row.get(begin.toordinal())
        if i is not None and context is not None:
            near = _near(begin)
            begun[i, context, near] = np.maximum(begun[i, context, near], (end - begin).total_seconds() / 3600.0)
    known = np.flatnonzero((~np.isnan(clock)).any(axis=(1, 2)))
    return Past([days[i] for i in known], _dilated(clock[known]), begun[known], [_joined(held[i]) for i in known])


def _joined(parts: Sequence[Moments]) -> Moments:
    context, at, begin = (
        np.concatenate([np.zeros(0, np.int64), *columns])
        for columns in ([p.context for p in parts], [p.at for p in parts], [p.begin for p in parts])
    )
    return Moments(context, at, begin, np.concatenate([np.zeros(0), *(p.quiet_h for p in parts)]))


def _days(spans: Sequence[Span], today: int, keep: int) -> list[int]:
    touched = {day for a, b, _ in spans for day in range(a.toordinal(), min(b.toordinal(), today - 1) + 1)}
    return sorted(day for day in touched if day < today)[1:][-keep:]


def _touched(begin: datetime, end: datetime, day: int) -> tuple[Ints, Floats]:
    """The quarters of an hour of a day that a silence touches, and how long it had been quiet at the end of each."""
    midnight = datetime.fromordinal(day).replace(tzinfo=begin.tzinfo).timestamp()
    a, b = begin.timestamp() - midnight, end.timestamp() - midnight
    bins = np.arange(max(0, int(a // _BIN_S)), min(BINS, int(b // _BIN_S) + 1))
    return bins, (np.minimum((bins + 1) * _BIN_S, b) - a) / 3600.0


def _near(begin: datetime) -> NDArray[np.bool_]:
    """The half hours of the day as one of which this begin counts."""
    hour = begin.hour + begin.minute / 60 + begin.second / 3600
    apart = (np.arange(_BEGINS) + 0.5) * 24 / _BEGINS - hour
    near: NDArray[np.bool_] = np.abs((apart + 12) % 24 - 12) <= _BEGIN_WITHIN_H
    return near


def _high(days: Floats, unknown: float) -> Floats:
    """The high quantile over days (the first axis); `unknown` where no day is known."""
    if not len(days):
        return np.full(days.shape[1:], unknown)
    ordered = np.sort(days, axis=0)
    known = (~np.isnan(days)).sum(axis=0)
    place = np.ceil(_QUANTILE * np.maximum(known - 1, 0)).astype(np.int64)
    line = np.take_along_axis(ordered, place[None], axis=0)[0]
    result: Floats = np.where(np.isnan(line), unknown, line)
    return result


def _dilated(quiet: Floats) -> Floats:
    """The largest value of `_EARLIER` quarters of an hour ahead and of `_LATER` behind, these fading to nothing;
    running on from day to day.
    """
    days, contexts, bins = quiet.shape
    flat = quiet.transpose(1, 0, 2).reshape(contexts, days * bins)
    padded = np.pad(flat, ((0, 0), (_LATER, _EARLIER)), constant_values=np.nan)
    wide = flat
    for shift in range(-_EARLIER, _LATER):
        begin = _LATER - shift
        wide = np.fmax(wide, padded[:, begin : begin + days * bins] * (1 - max(shift, 0) / _LATER))
    wide = np.where(np.isnan(flat), np.nan, wide)
    result: Floats = wide.reshape(contexts, days, bins).transpose(1, 0, 2)
    return result
