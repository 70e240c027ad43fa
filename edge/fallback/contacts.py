"""Whom the home tells by itself, and in which order."""

from __future__ import annotations

import msgspec

from edge.phrases import Lang


class Contact(msgspec.Struct, frozen=True):
    """`after_s` counts from the moment at which the home begins to tell people; `name` is what the operator reads."""

    name: str
    phone: str
    after_s: float = 0.0
    lang: Lang = "zh"
